import type { Found } from "../budgets/usage.ts";

/** Texts and numbers that are longer are none that is looked for. */
const MAX_TEXT = 256;
/** Members deeper than this are none that is looked for. */
const MAX_DEPTH = 16;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/** A list has no members: nothing below it has a path, but where it is the root. */
const LIST = null;

/**
 * Finds numbers and texts at some paths in JSON that passes by, in memory that does not grow with it. What stands in a
 * text, or deeper than a path says, is not taken for it, whatever it looks like. Values that come one after the other,
 * or in a list that is the root, are roots each; what comes last counts. What is no JSON finds nothing, or something:
 * nobody has to trust it more than the answer.
 */
export class JsonFields {
  readonly #wanted: ReadonlySet<string>;
  readonly #found = new Map<string, number | string>();
  /** For each container around: the member in it, or that it is a list. Only so many are remembered. */
  readonly #members: (string | null)[] = [];
  #depth = 0;
  #isRootList = false;
  #isInText = false;
  #isEscaped = false;
  #isKeyDue = false;
  /** What is being read, where it may be looked for. */
  #text: number[] | null = null;
  #plain: number[] = [];

  constructor(paths: Iterable<string>) {
    this.#wanted = new Set(paths);
  }

  get found(): Found {
    return this.#found;
  }

  /** The next bytes. */
  see(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.#isInText) this.#inText(byte);
      else this.#between(byte);
    }
  }

  /** What comes is the beginning of something else. */
  restart(): void {
    this.#endPlain();
    this.#depth = 0;
    this.#members.length = 0;
    this.#isRootList = false;
    this.#isInText = false;
    this.#isEscaped = false;
    this.#isKeyDue = false;
    this.#text = null;
  }

  /** There is no more. */
  end(): void {
    this.#endPlain();
  }

  #inText(byte: number): void {
    if (this.#isEscaped) {
      this.#isEscaped = false;
      this.#keep(byte);
    } else if (byte === BACKSLASH) {
      this.#isEscaped = true;
      this.#keep(byte);
    } else if (byte === QUOTE) {
      this.#isInText = false;
      this.#endText();
    } else {
      this.#keep(byte);
    }
  }

  #keep(byte: number): void {
    if (this.#text === null) return;
    if (this.#text.length >= MAX_TEXT) this.#text = null;
    else this.#text.push(byte);
  }

  #between(byte: number): void {
    switch (byte) {
      case QUOTE:
        this.#isInText = true;
        this.#text = this.#isKeyDue ? (this.#depth <= MAX_DEPTH ? [] : null) : this.#isWanted() ? [] : null;
        return;
      case OPEN_OBJECT:
        this.#open("");
        return;
      case OPEN_LIST:
        if (this.#depth === 0 && !this.#isRootList) this.#isRootList = true;
        else this.#open(LIST);
        return;
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        this.#endPlain();
        this.#close();
        return;
      case COMMA:
        this.#endPlain();
        this.#isKeyDue = this.#depth > 0 && this.#depth <= MAX_DEPTH && this.#members.at(-1) !== LIST;
        return;
      case COLON:
        this.#isKeyDue = false;
        return;
      case 0x20:
      case 0x09:
      case 0x0a:
      case 0x0d:
        this.#endPlain();
        return;
      default:
        if (this.#plain.length <= MAX_TEXT) this.#plain.push(byte);
    }
  }

  #open(member: string | null): void {
    this.#endPlain();
    this.#depth++;
    if (this.#depth <= MAX_DEPTH) this.#members.push(member);
    this.#isKeyDue = member !== LIST;
  }

  #close(): void {
    if (this.#depth === 0) {
      this.#isRootList = false;
      return;
    }
    if (this.#depth <= MAX_DEPTH) this.#members.pop();
    this.#depth--;
    this.#isKeyDue = false;
  }

  #path(): string | null {
    if (this.#depth === 0 || this.#depth > MAX_DEPTH || this.#members.includes(LIST)) return null;
    return this.#members.join(".");
  }

  #isWanted(): boolean {
    const path = this.#path();
    return path !== null && this.#wanted.has(path);
  }

  #endText(): void {
    const text = this.#text;
    this.#text = null;
    if (this.#isKeyDue) {
      this.#isKeyDue = false;
      if (this.#depth <= MAX_DEPTH) this.#members[this.#depth - 1] = text === null ? "" : memberOf(text);
      return;
    }
    const path = text === null ? null : this.#path();
    if (text !== null && path !== null) this.#found.set(path, textOf(text));
  }

  #endPlain(): void {
    if (this.#plain.length === 0) return;
    const plain = this.#plain;
    this.#plain = [];
    const path = plain.length > MAX_TEXT ? null : this.#path();
    if (path === null || !this.#wanted.has(path)) return;
    const value = Number(String.fromCharCode(...plain));
    if (Number.isFinite(value)) this.#found.set(path, value);
  }
}

/** A member with dots in its name is none that a path can mean. */
function memberOf(bytes: readonly number[]): string {
  const name = textOf(bytes);
  return name.includes(".") ? "" : name;
}

/** What stands between two quotes. */
function textOf(bytes: readonly number[]): string {
  const raw = Buffer.from(bytes).toString("utf8");
  if (!raw.includes("\\")) return raw;
  try {
    return String(JSON.parse(`"${raw}"`));
  } catch {
    return "";
  }
}
