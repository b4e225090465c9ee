import {
  AFTER_BACKSLASH,
  escapeAt,
  escapeIsByte,
  escapeLength,
  escapeValue,
  isNoEscape,
  type PackedEscape,
  unitAbove,
  unitBelow,
} from "./escapes.ts";
import { BASE64, unfold } from "./fold.ts";
import {
  DASHES,
  HEX_PAIRS,
  IS_LITTLE,
  JOINT,
  LEADS,
  LIVE,
  LOOSE,
  NAME,
  pairKinds,
  pairOf,
  WRAP,
} from "./pairs.ts";

/** Which escapes are worth undoing. */
export interface Worth {
  /** 256 flags: whether those of this byte are. */
  readonly bytes: Uint8Array;
  /** 256 flags: whether any are of the 256 UTF-16 units with this upper byte. */
  readonly units: Uint8Array;
  /** Whether those of quotes are, or of control characters that end no line. */
  readonly quotes: boolean;
}

const BACKSLASH = 0x5c;
const LOWER_U = 0x75;
const UNIT = pairOf(BACKSLASH, LOWER_U);
const UNIT_LENGTH = 6;
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
  /** Two dashes stand within a few bytes behind `at`. */
  dashes(at: number): void;
  /** A `_token"` may stand in, or begin or end in, these bytes; `from` is even. */
  names(from: number, to: number): void;
}

/** Pairs of bytes that are looked at together. */
const GROUP = 5;
/** Pairs that stand as a whole in any run of 20 bytes. */
const RUN = 9;
const KINDS = LIVE | LOOSE | NAME | DASHES;

/**
 * What is worth undoing an escape for: the bytes of the forms, and those that an inner escape is made of. An escape of
 * any other byte cannot stand inside a form, so that common JSON (`\n`, `\"`) is not copied.
 */
export function worthUndoing(forms: readonly { readonly bytes: Uint8Array }[]): Worth {
  const set = new Uint8Array(256);
  for (let byte = 0; byte < 128; byte++)
    set[byte] = /[A-Za-z0-9%\\&#;{}]/.test(String.fromCharCode(byte)) ? 1 : 0;
  for (const { bytes } of forms) for (const byte of bytes) set[byte] = 1;
  for (let byte = 0; byte < 256; byte++) if (unfold(byte).some((member) => set[member] === 1)) set[byte] = 1;
  return worthOf(set);
}

function worthOf(bytes: Uint8Array): Worth {
  const units = Uint8Array.from({ length: 256 }, (_, upper) => {
    if (upper === 0) return 1;
    // Halves of pairs may stand for any code point above.
    if (upper >= 0xd8 && upper <= 0xdf && bytes.subarray(0xf0).includes(1)) return 1;
    const [first, last] = [leadingByte(upper << 8), leadingByte((upper << 8) | 0xff)];
    return bytes.subarray(first, last + 1).includes(1) ? 1 : 0;
  });
  const quotes = [...`"'\b\t\v\f`].some((char) => bytes[char.charCodeAt(0)] === 1);
  return { bytes, units, quotes };
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

export const ALL_WORTH: Worth = worthOf(new Uint8Array(256).fill(1));

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
  readonly #worth: Worth;
  readonly #watch: Watch | undefined;
  readonly #kinds: Uint16Array;
  /** Where a line ended last that is too short to be a wrapped one, unless another is joined to it. */
  shortLineEnd = -1;
  #at = 0;
  #end = 0;
  #escape: PackedEscape = 0;
  #more: boolean;

  /** `kinds` are those of `pairKinds` that `watch` is to be told of. */
  constructor(
    bytes: Uint8Array,
    length: number,
    worth: Worth,
    watch?: Watch,
    kinds = pairKinds(false, false, worth.quotes),
  ) {
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
    let i = this.#live(this.#end);
    while (i < this.#to) {
      if (this.#read(i)) return true;
      i = this.#live(this.#end);
    }
    return false;
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
    const worth = this.#worth;
    const next = bytes[at + 1]!;
    const single = AFTER_BACKSLASH[next]!;
    if (single >= 0) return worth.bytes[single] === 1 || (isWrapped && isLineBreak(single)) ? 0 : 2;
    if (next !== LOWER_U) return 0;
    const above = unitAbove(bytes, at, this.#to);
    if (above > 0) return worth.units[above] === 1 ? 0 : 6;
    if (above < 0) return 0;
    const unit = unitBelow(bytes, at);
    // Control characters are left to `#read`.
    return unit < 0x20 || worth.bytes[leadingByte(unit)] === 1 ? 0 : 6;
  }

  /** Where the row of `\uXXXX` ends that goes on at `from`, as far as none is worth undoing. */
  #units(from: number): number {
    if (!IS_LITTLE) return from;
    const pairs = this.#pairs;
    const units = this.#worth.units;
    const last = pairs.length - 4;
    let at = from >> 1;
    if ((from & 1) === 0) {
      for (; at <= last && pairs[at] === UNIT; at += 3) {
        const above = HEX_PAIRS[pairs[at + 1]!]!;
        if ((above | HEX_PAIRS[pairs[at + 2]!]!) < 0 || units[above] === 1) break;
      }
      return 2 * at;
    }
    // The same between the pairs.
    for (; at <= last && pairs[at]! >> 8 === BACKSLASH; at += 3) {
      const first = pairs[at + 1]!;
      const second = pairs[at + 2]!;
      if ((first & 0xff) !== LOWER_U) break;
      const above = HEX_PAIRS[(first >> 8) | ((second & 0xff) << 8)]!;
      const below = HEX_PAIRS[(second >> 8) | ((pairs[at + 3]! & 0xff) << 8)]!;
      if ((above | below) < 0 || units[above] === 1) break;
    }
    return 2 * at + 1;
  }

  /**
   * The next byte from `from` on at which an escape or a wrap begins that may be worth undoing; or the end of the text.
   * What it passes over `#quiet` would.
   */
  #live(from: number): number {
    const bytes = this.#bytes;
    const pairs = this.#pairs;
    const kinds = this.#kinds;
    const watch = this.#watch;
    const to = this.#to;
    const last = (to >> 1) - GROUP;
    let i = from;
    for (;;) {
      // Escapes stand in rows.
      while (i < to && LEADS[bytes[i]!] === 1) {
        const length = this.#quiet(i);
        if (length === 0) return i;
        i += length;
        if (length === UNIT_LENGTH) i = this.#units(i);
      }
      let at = (i + 1) >> 1;
      let behindRun = -1;
      // The byte before was looked at, but it may be the last of a line that is wrapped here.
      let before = at > 0 ? kinds[pairs[at - 1]!]! & WRAP : 0;
      let found = -1;
      for (; at <= last; at += GROUP) {
        const a = kinds[pairs[at]!]!;
        const b = kinds[pairs[at + 1]!]!;
        const c = kinds[pairs[at + 2]!]!;
        const d = kinds[pairs[at + 3]!]!;
        const e = kinds[pairs[at + 4]!]!;
        const joint =
          JOINT & ((before & (a >> 8)) | (a & (b >> 8)) | (b & (c >> 8)) | (c & (d >> 8)) | (d & (e >> 8)));
        const kind = (a | b | c | d | e) & KINDS;
        before = e;
        if ((kind | joint) === LOOSE) continue;
        if ((kind & (DASHES | NAME)) !== 0) {
          if ((kind & DASHES) !== 0) watch!.dashes(2 * at);
          if ((kind & NAME) !== 0) watch!.names(2 * at, 2 * (at + GROUP));
        }
        if ((kind & LIVE) !== 0 || joint !== 0) {
          found = this.#leadIn(Math.max(i, 2 * at - 1), 2 * (at + GROUP));
          if (found >= 0) break;
        }
        if ((kind & LOOSE) === 0) {
          if (at !== behindRun) this.#run(at);
          behindRun = at + GROUP;
        }
      }
      if (found < 0) {
        watch?.names(2 * at, to);
        found = this.#leadIn(Math.max(i, 2 * at - 1), to);
        if (found < 0) return to;
      }
      i = found;
    }
  }

  /** The first lead byte from `from` on, before `end`; or -1. */
  #leadIn(from: number, end: number): number {
    const bytes = this.#bytes;
    for (let i = from; i < end; i++) if (LEADS[bytes[i]!] === 1) return i;
    return -1;
  }

  /** Tells of the run that the group at `at` stands in. */
  #run(at: number): void {
    const pairs = this.#pairs;
    const kinds = this.#kinds;
    const watch = this.#watch!;
    let first = at;
    while (first > 0 && (kinds[pairs[first - 1]!]! & LOOSE) === 0) first--;
    if (!watch.mayBegin(2 * first)) return;
    const enough = first + RUN;
    let next = at + GROUP;
    while (next < enough && next < pairs.length && (kinds[pairs[next]!]! & LOOSE) === 0) next++;
    if (next >= enough) watch.run(2 * at, 2 * first);
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
      this.shortLineEnd = at;
    }
    this.#escape = escape;
    this.#end = at + (escape === 0 ? 1 : escapeLength(escape));
    return escape !== 0 && this.#worth.bytes[escapeIsByte(escape) ? value : leadingByte(value)] === 1;
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
