import { CEILINGS } from "../connections/limits.ts";
import { foldCase } from "../credentials/fold-case.ts";
import { Problem } from "../base/problem.ts";
import type { Exponents } from "../policies/request-view.ts";
import { ambiguous } from "./strict-refusal.ts";

const SPACE = /[ \t\n\r]*/y;
// oxlint-disable-next-line no-control-regex -- raw control characters are what ends it.
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const EXPONENT = /[eE]/;
/** As serializers write what is smaller than a thousandth, and nothing else. */
const COUNTING_DOWN = /[eE]-/;
const TINY = /^-?[1-9](?:\.[0-9]+)?[eE]-[0-9]+$/;
const THOUSANDTH = 0.001;
/** More numbers with exponents are not told apart from others. */
const MAX_EXPONENTS = 1_000;
/** Fewer digits than a double keeps. */
const SMALL_WHOLE = /^-?[0-9]{1,15}$/;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Reads JSON that every parser reads alike: RFC 8259 in UTF-8 without a byte order mark, and I-JSON (RFC 7493) but for
 * its dates. Refused are members whose names are the same once unescaped or in another case (Go's `encoding/json` takes
 * either), numbers that a double does not keep (others would read another one), lone surrogates, and NUL, at which some
 * stop reading. Objects have no prototype, so that `__proto__` is a name like any other. Numbers with an exponent are
 * read, since serializers write small and large ones so, and told: digits that are read as far as they go say another one.
 *
 * Throws BODY_AMBIGUOUS, and JSON_TOO_DEEP beyond what any connection takes.
 */
export function readStrictJson(bytes: Uint8Array): {
  readonly value: unknown;
  /** Left out where there are none. */
  readonly exponents?: Exponents;
} {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return ambiguous("body", "is not UTF-8");
  }
  const reader = new Reader(text);
  const value = reader.document();
  const { exponents } = reader;
  return exponents?.size === 0 ? { value } : { value, exponents };
}

class Reader {
  readonly #text: string;
  #exponents: Set<number> | null = new Set<number>();
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get exponents(): Exponents {
    return this.#exponents;
  }

  document(): unknown {
    const value = this.#value();
    if (this.#at < this.#text.length) malformed();
    return value;
  }

  #value(): unknown {
    this.#space();
    const value = this.#bare();
    this.#space();
    return value;
  }

  #bare(): unknown {
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object();
      case "[":
        return this.#list();
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #object(): unknown {
    const object = Object.create(null) as Record<string, unknown>;
    const names = new Set<string>();
    this.#enter();
    if (!this.#eats("}")) {
      do {
        this.#space();
        if (this.#text.charCodeAt(this.#at) !== QUOTE) malformed();
        const name = this.#string();
        const folded = foldCase(name);
        if (names.has(folded)) ambiguous("body", "has an object with the same name twice");
        names.add(folded);
        this.#space();
        if (!this.#eats(":")) malformed();
        object[name] = this.#value();
      } while (this.#eats(","));
      if (!this.#eats("}")) malformed();
    }
    this.#depth -= 1;
    return object;
  }

  #list(): unknown {
    const list: unknown[] = [];
    this.#enter();
    if (!this.#eats("]")) {
      do list.push(this.#value());
      while (this.#eats(","));
      if (!this.#eats("]")) malformed();
    }
    this.#depth -= 1;
    return list;
  }

  #enter(): void {
    this.#at += 1;
    this.#depth += 1;
    if (this.#depth > CEILINGS.max_json_depth) {
      throw new Problem(
        "JSON_TOO_DEEP",
        `The JSON is nested more than ${CEILINGS.max_json_depth} levels deep.`,
      );
    }
    this.#space();
  }

  #string(): string {
    const start = this.#at;
    this.#at += 1;
    this.#skip(PLAIN);
    if (this.#text.charCodeAt(this.#at) === QUOTE) {
      this.#at += 1;
      return this.#text.slice(start + 1, this.#at - 1);
    }
    while (this.#text.charCodeAt(this.#at) === BACKSLASH) {
      this.#at += 2;
      this.#skip(PLAIN);
    }
    if (this.#text.charCodeAt(this.#at) !== QUOTE) malformed();
    this.#at += 1;
    let value: string;
    try {
      value = String(JSON.parse(this.#text.slice(start, this.#at)));
    } catch {
      return malformed();
    }
    if (!value.isWellFormed()) ambiguous("body", "has half of a character (a lone surrogate)");
    if (value.includes("\0")) ambiguous("body", "has a NUL character");
    return value;
  }

  #number(): number {
    const start = this.#at;
    this.#skip(NUMBER);
    const literal = this.#text.slice(start, this.#at);
    if (literal === "") malformed();
    const value = Number(literal);
    if (!SMALL_WHOLE.test(literal) && !isKept(literal, value)) {
      ambiguous("body", "has a number that not every parser keeps");
    }
    if (EXPONENT.test(literal)) this.#noteExponent(value);
    // `-0` is an integer to some, and then has no sign.
    return value === 0 ? 0 : value;
  }

  #noteExponent(value: number): void {
    this.#exponents?.add(value);
    if (this.#exponents !== null && this.#exponents.size > MAX_EXPONENTS) this.#exponents = null;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) malformed();
    this.#at += word.length;
    return value;
  }

  #space(): void {
    const code = this.#text.charCodeAt(this.#at);
    if (code <= 0x20) this.#skip(SPACE);
  }

  #skip(pattern: RegExp): void {
    pattern.lastIndex = this.#at;
    if (pattern.test(this.#text)) this.#at = pattern.lastIndex;
  }

  #eats(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }
}

function malformed(): never {
  return ambiguous("body", "says it is JSON, and is not");
}

/**
 * Whether the double is the very number that was written, and a whole one if it is large. `10000e-2` is none: read as
 * far as its digits go, it is more than what it says.
 */
function isKept(literal: string, value: number): boolean {
  if (COUNTING_DOWN.test(literal) && !(TINY.test(literal) && Math.abs(value) < THOUSANDTH)) return false;
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER && decimalOf(literal) === decimalOf(String(value));
}

/** One spelling per number: its digits without zeros at either end, and the power of ten of the last of them. */
function decimalOf(literal: string): string {
  const [mantissa = "", exponent = "0"] = literal.replace(/^-/, "").toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = (whole + fraction).replace(/^0+/, "");
  const kept = withoutTrailingZeros(digits);
  if (kept === "") return "0";
  return `${kept}e${Number(exponent) - fraction.length + digits.length - kept.length}`;
}

/** A loop: `/0+$/` takes time with the square of the zeros in the middle. */
function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end -= 1;
  return digits.slice(0, end);
}
