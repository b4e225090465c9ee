import {
  AFTER_BACKSLASH,
  escapeAt,
  escapeIsByte,
  escapeLength,
  escapeValue,
  isNoEscape,
  type PackedEscape,
  unitOf,
} from "./escapes.ts";
import { BASE64, unfold } from "./fold.ts";
import { LEAD, LEADS, LOOSE, NAME, pairKinds } from "./pairs.ts";

/** 256 flags: whether an escape of this byte is worth undoing. */
export type ByteSet = Uint8Array;

export const ANY_BYTE: ByteSet = new Uint8Array(256).fill(1);

const BACKSLASH = 0x5c;
const LOWER_U = 0x75;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** Encoders that wrap do so at 60, 64 or 76 characters; prose has no such run before a line's end. */
const SHORTEST_WRAPPED = 40;

/** Is told in passing what else the text holds. */
export interface Watch {
  /** Whether it wants to be told of a run that begins at `first` or the byte before: what is longest to find out last. */
  mayBegin(first: number): boolean;
  /**
   * Ten token characters stand at `at`: every run of 20 or more is told, by a place in it, once or more. It begins at
   * `first` or the byte before.
   */
  run(at: number, first: number): void;
  /** A `_token"` may stand in, or begin or end in, these bytes; `from` is even. */
  names(from: number, to: number): void;
}

/** Pairs of bytes that are looked at together. */
const GROUP = 5;
/** Pairs that stand as a whole in any run of 20 bytes. */
const RUN = 9;
const NO_KINDS = pairKinds(false, false);

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
  /** The same, two at a time. */
  readonly #pairs: Uint16Array;
  readonly #to: number;
  readonly #worth: ByteSet;
  readonly #watch: Watch | undefined;
  readonly #kinds: Uint8Array;
  #at = 0;
  #end = 0;
  #escape: PackedEscape = 0;
  #more: boolean;

  /** `kinds` are those of `pairKinds` that `watch` is to be told of. */
  constructor(bytes: Uint8Array, length: number, worth: ByteSet, watch?: Watch, kinds = NO_KINDS) {
    this.#bytes = bytes.byteOffset % 2 === 0 ? bytes : new Uint8Array(bytes);
    this.#pairs = new Uint16Array(this.#bytes.buffer, this.#bytes.byteOffset, length >> 1);
    this.#to = length;
    this.#worth = worth;
    this.#watch = watch;
    this.#kinds = kinds;
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
    const to = this.#to;
    let i = this.#end;
    for (;;) {
      // Escapes stand in rows.
      if (i >= to || LEADS[this.#bytes[i]!] === 0) i = this.#lead(i);
      if (i >= to) return false;
      const length = this.#quiet(i);
      if (length > 0) {
        i += length;
        continue;
      }
      if (this.#read(i)) return true;
      i = this.#end;
    }
  }

  /**
   * The length of what stands at a lead byte, where two bytes, or a whole `\uXXXX`, tell that it is not worth undoing;
   * 0 where it has to be read. Whatever this passes over, `#read` would.
   */
  #quiet(at: number): number {
    const bytes = this.#bytes;
    const lead = bytes[at]!;
    const isWrapped = at > 0 && BASE64[bytes[at - 1]!] === 1;
    if (isLineBreak(lead)) return isWrapped ? 0 : 1;
    if (at + 1 >= this.#to) return 0;
    if (lead !== BACKSLASH) return isNoEscape(bytes, at) ? 1 : 0;
    const next = bytes[at + 1]!;
    const single = AFTER_BACKSLASH[next]!;
    if (single >= 0) return this.#worth[single] === 1 || (isWrapped && isLineBreak(single)) ? 0 : 2;
    if (next !== LOWER_U) return 0;
    const unit = unitOf(bytes, at, this.#to);
    // Control characters and halves of pairs are left to `#read`.
    return unit < 0x20 || (unit & 0xf800) === 0xd800 || this.#worth[leadingByte(unit)] === 1 ? 0 : 6;
  }

  /** The next byte from `from` on that an escape or a line break begins with; or the end of the text. */
  #lead(from: number): number {
    const bytes = this.#bytes;
    const pairs = this.#pairs;
    const kinds = this.#kinds;
    const watch = this.#watch;
    const to = this.#to;
    let i = from;
    if ((i & 1) === 1) {
      if (i >= to || LEADS[bytes[i]!] === 1) return i;
      i += 1;
    }
    let at = i >> 1;
    let behindRun = -1;
    const last = (to >> 1) - GROUP;
    while (at <= last) {
      const kind =
        kinds[pairs[at]!]! |
        kinds[pairs[at + 1]!]! |
        kinds[pairs[at + 2]!]! |
        kinds[pairs[at + 3]!]! |
        kinds[pairs[at + 4]!]!;
      if (kind !== LOOSE) {
        if ((kind & NAME) !== 0) watch!.names(2 * at, 2 * (at + GROUP));
        if ((kind & LEAD) !== 0) break;
        if ((kind & LOOSE) === 0) {
          if (at !== behindRun) {
            let first = at;
            while (first > 0 && (kinds[pairs[first - 1]!]! & LOOSE) === 0) first--;
            if (watch!.mayBegin(2 * first)) {
              const enough = first + RUN;
              let next = at + GROUP;
              while (next < enough && next < pairs.length && (kinds[pairs[next]!]! & LOOSE) === 0) next++;
              if (next >= enough) watch!.run(2 * at, 2 * first);
            }
          }
          behindRun = at + GROUP;
        }
      }
      at += GROUP;
    }
    if (at > last) watch?.names(2 * at, to);
    i = 2 * at;
    while (i < to && LEADS[bytes[i]!] === 0) i++;
    return i;
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
