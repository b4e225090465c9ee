import { escapeAt, escapeIsByte, escapeLength, escapeValue, type PackedEscape } from "./escapes.ts";
import { BASE64, unfold } from "./fold.ts";

/** 256 flags: whether an escape of this byte is worth undoing. */
export type ByteSet = Uint8Array;

export const ANY_BYTE: ByteSet = new Uint8Array(256).fill(1);

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** Encoders that wrap do so at 60, 64 or 76 characters; prose has no such run before a line's end. */
const SHORTEST_WRAPPED = 40;

/** The bytes that an escape, or the wrap of a line, begins with. */
const LEADS = new Uint8Array(256);
for (const lead of "%\\&\r\n") LEADS[lead.charCodeAt(0)] = 1;

/**
 * The set of bytes worth undoing an escape for: those of the forms, and those that an inner escape is made of.
 * An escape of any other byte cannot stand inside a form, so that common JSON (`\n`, `\"`) is not copied.
 */
export function worthUndoing(forms: readonly { readonly bytes: Uint8Array }[]): ByteSet {
  const set = new Uint8Array(256);
  for (let byte = 0; byte < 128; byte++)
    set[byte] = /[A-Za-z0-9%\\&#;{}]/.test(String.fromCharCode(byte)) ? 1 : 0;
  for (const { bytes } of forms) for (const byte of bytes) set[byte] = 1;
  for (let byte = 0; byte < 256; byte++) if (unfold(byte).some((member) => set[member] === 1)) set[byte] = 1;
  return set;
}

/** The first byte of a code point in UTF-8. */
export function leadingByte(code: number): number {
  if (code < 0x80) return code;
  if (code < 0x800) return 0xc0 | (code >> 6);
  return code < 0x10000 ? 0xe0 | (code >> 12) : 0xf0 | (code >> 18);
}

function isLineBreak(code: number): boolean {
  return code === LINE_FEED || code === CARRIAGE_RETURN;
}

/** How many numbers note one escape: where it begins, where it ends, and what it stands for (0: a wrap of lines). */
export const NOTE = 3;

/**
 * Finds the escapes worth undoing in the first `length` bytes of a text. A line break that wraps base64 or
 * hexadecimal counts as an escape of nothing.
 */
export class EscapeReader {
  readonly #bytes: Uint8Array;
  readonly #to: number;
  readonly #worth: ByteSet;
  #at = 0;
  #end = 0;
  #escape: PackedEscape = 0;
  #more: boolean;

  constructor(bytes: Uint8Array, length: number, worth: ByteSet) {
    this.#bytes = bytes;
    this.#to = length;
    this.#worth = worth;
    this.#more = this.#next();
  }

  /** The notes of the next escapes that are no further than `gap` apart; `undefined` at the end of the text. */
  cluster(gap: number): number[] | undefined {
    if (!this.#more) return undefined;
    const notes: number[] = [];
    let limit: number;
    do {
      notes.push(this.#at, this.#end, this.#escape);
      limit = this.#end + gap;
      this.#more = this.#next();
    } while (this.#more && this.#at <= limit);
    return notes;
  }

  /** Moves to the next escape; false where there is none. */
  #next(): boolean {
    const bytes = this.#bytes;
    const to = this.#to;
    const unrolled = to - 8;
    let i = this.#end;
    for (;;) {
      while (
        i < unrolled &&
        (LEADS[bytes[i]!]! |
          LEADS[bytes[i + 1]!]! |
          LEADS[bytes[i + 2]!]! |
          LEADS[bytes[i + 3]!]! |
          LEADS[bytes[i + 4]!]! |
          LEADS[bytes[i + 5]!]! |
          LEADS[bytes[i + 6]!]! |
          LEADS[bytes[i + 7]!]!) ===
          0
      ) {
        i += 8;
      }
      while (i < to && LEADS[bytes[i]!] === 0) i++;
      if (i >= to) return false;
      if (this.#read(i)) return true;
      i = this.#end;
    }
  }

  /** Reads at a lead byte; `#end` is behind what was read, worth undoing or not. */
  #read(at: number): boolean {
    this.#at = at;
    const escape = escapeAt(this.#bytes, at, this.#to);
    const value = escapeValue(escape);
    if (escape === 0 ? isLineBreak(this.#bytes[at]!) : isLineBreak(value)) {
      const wrap = this.#wrap(at, escape === 0 ? 1 : escapeLength(escape));
      if (wrap !== 0) {
        this.#escape = 0;
        this.#end = at + wrap;
        return true;
      }
    }
    this.#escape = escape;
    this.#end = at + (escape === 0 ? 1 : escapeLength(escape));
    return escape !== 0 && this.#worth[escapeIsByte(escape) ? value : leadingByte(value)] === 1;
  }

  /** The length of the break (CR LF counts as one) if the line before it is a wrapped one, else 0. */
  #wrap(at: number, length: number): number {
    if (at < SHORTEST_WRAPPED) return 0;
    for (let i = at - 1; i >= at - SHORTEST_WRAPPED; i--) if (BASE64[this.#bytes[i]!] === 0) return 0;
    const second = at + length;
    if (second >= this.#to) return length;
    if (isLineBreak(this.#bytes[second]!)) return length + 1;
    const escape = escapeAt(this.#bytes, second, this.#to);
    return escape !== 0 && isLineBreak(escapeValue(escape)) ? length + escapeLength(escape) : length;
  }
}
