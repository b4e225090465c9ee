import { Problem } from "../base/problem.ts";
import { foldCase } from "../credentials/fold-case.ts";
import { percentEncode, withoutParameter } from "../credentials/parameters.ts";

/**
 * Servers that take the method from a field of the query or the body (Rack, Symfony and Laravel, Spring, ASP.NET MVC,
 * Slim): what was decided on as a POST would be carried out as something else (attack 28).
 */
const FIELDS = ["_method", "x-http-method-override", "x-http-method", "x-method-override"];

/** Without one of these no decoding of a query has such a field in it. */
const MAY_OVERRIDE = /method|%/i;
/** A name that is longer is none of those, however it is escaped. */
const LONGEST_NAME = 1024;
const LONGEST_HEADER = 8 * 1024;

/** Whether a query or a form has a field that some server takes for the method. */
export function overridesMethod(text: string): boolean {
  return MAY_OVERRIDE.test(text) && FIELDS.some((field) => withoutParameter(text, field) !== text);
}

/** Looks at a body in passing. Both throw VALIDATION_ERROR where it has, or could have, a field for the method. */
export interface BodyWatch {
  see(chunk: Uint8Array): void;
  end(): void;
}

/**
 * What to look at a body with: null for one in which no server looks for a method. A body without a media type is a
 * form to Rack.
 */
export function watchFor(headers: Headers): BodyWatch | null {
  const type = (headers.get("content-type") ?? "").toLowerCase();
  const watches: BodyWatch[] = [];
  if (type === "" || type.includes("urlencoded")) watches.push(new FormWatch());
  if (type.includes("json")) watches.push(new JsonWatch());
  if (type.includes("multipart/")) watches.push(new MultipartWatch());
  if (watches.length === 0) return null;
  if (headers.has("content-encoding") || FOREIGN_CHARSET.test(type)) refuse("cannot be read for one");
  return {
    see: (chunk) => watches.forEach((watch) => watch.see(chunk)),
    end: () => watches.forEach((watch) => watch.end()),
  };
}

/** In these, names of ASCII characters are written by their own bytes; in others perhaps not. */
const FOREIGN_CHARSET = /charset\s*=\s*["']?(?!utf-?8|us-ascii|iso-8859-|latin1|windows-125)/;

function refuse(what: string): never {
  throw new Problem(
    "VALIDATION_ERROR",
    `The body ${what}; a field could change the method after it was checked.`,
    {
      why: "Methods are narrowed for this call: send it with the method you mean, without `_method`, uncompressed and in UTF-8.",
    },
  );
}

const NAMED = "has a field that overrides the method";

function latin1(chunk: Uint8Array): string {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1");
}

/** `name=value&name=value`. Kept is the name that is being read, without the blanks that servers trim. */
class FormWatch implements BodyWatch {
  #name = "";
  #isNamed = false;

  see(chunk: Uint8Array): void {
    const [first = "", ...others] = latin1(chunk).split(/[&;]/);
    this.#read(first);
    for (const piece of others) {
      this.end();
      this.#read(piece);
    }
  }

  end(): void {
    if (overridesMethod(this.#name)) refuse(NAMED);
    this.#name = "";
    this.#isNamed = false;
  }

  #read(text: string): void {
    if (this.#isNamed) return;
    const equals = text.indexOf("=");
    const name = this.#name + (equals < 0 ? text : text.slice(0, equals));
    this.#name = name.replace(/^(?:[+\s]|%(?:25)*(?:20|0[9a-d]))+/i, "").slice(0, LONGEST_NAME);
    if (equals >= 0 && overridesMethod(this.#name)) refuse(NAMED);
    this.#isNamed = equals >= 0;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/** The members of the outermost object; deeper ones are nobody's method. */
class JsonWatch implements BodyWatch {
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  #name = "";

  see(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (this.#inString) this.#inside(byte);
      else if (byte === QUOTE) {
        this.#inString = true;
        this.#name = "";
      } else if (byte === COLON) {
        if (this.#depth === 1 && isField(this.#name)) refuse(NAMED);
      } else if (byte === 0x7b || byte === 0x5b) this.#depth += 1;
      else if (byte === 0x7d || byte === 0x5d) this.#depth -= 1;
    }
  }

  end(): void {}

  #inside(byte: number): void {
    if (byte === QUOTE && !this.#isEscaped) {
      this.#inString = false;
      return;
    }
    this.#isEscaped = byte === BACKSLASH && !this.#isEscaped;
    if (this.#depth === 1 && this.#name.length < LONGEST_NAME) this.#name += String.fromCharCode(byte);
  }
}

function isField(raw: string): boolean {
  try {
    return FIELDS.includes(foldCase(String(JSON.parse(`"${raw}"`))));
  } catch {
    return false;
  }
}

/** `Content-Disposition` wherever a line begins with it, since parsers differ in where they see a part begin. */
class MultipartWatch implements BodyWatch {
  #line = "";
  #disposition = "";

  see(chunk: Uint8Array): void {
    const [first = "", ...others] = latin1(chunk).split(/[\r\n]+/);
    this.#line = (this.#line + first).slice(0, LONGEST_HEADER);
    for (const line of others) {
      this.end();
      this.#line = line.slice(0, LONGEST_HEADER);
    }
  }

  /** Of a line. */
  end(): void {
    const line = this.#line;
    this.#line = "";
    if (line === "") return;
    if (/^[ \t]/.test(line) && this.#disposition !== "") this.#disposition += line;
    else this.#disposition = /^\s*content-disposition/i.test(line) ? line : "";
    if (this.#disposition.length >= LONGEST_HEADER) refuse("has a part with too long a header");
    if (namesOf(this.#disposition).some(overridesMethod)) refuse(NAMED);
  }
}

/** RFC 7578 §4.2, RFC 2231; in RFC 2047's words, which some parsers undo, a name is not read but refused. */
const NAME = /[;\s]name(?:\*\d*)?\*?\s*=\s*(?:"((?:\\.|[^"\\])*)|([^;\s]*))/gi;

function namesOf(disposition: string): string[] {
  const values = [...disposition.matchAll(NAME)].map(([, quoted, bare = ""]) =>
    quoted === undefined ? bare.replaceAll("'", "\0") : quoted.replaceAll(/\\(.)/g, "$1"),
  );
  if (values.some((value) => value.includes("=?"))) refuse("has a part whose name is encoded");
  const pieces = values.map((value) => value.split("\0").findLast((piece) => piece !== "") ?? "");
  return [...pieces, pieces.join("")].map(percentEncode);
}
