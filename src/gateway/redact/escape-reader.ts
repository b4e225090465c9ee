import { escapeAt, escapeIsByte, escapeLength, escapeValue, type PackedEscape } from "./escapes.ts";
import { BASE64, unfold } from "./fold.ts";
import { LEADS } from "./pairs.ts";
import { DASHES, LEAD, RUN, Sift, WRAP } from "./sift.ts";

/** Which escapes are worth undoing. */
export interface Worth {
  /** 256 flags: whether those of this byte are. */
  readonly bytes: Uint8Array;
  /** 256 flags: whether any are of the 256 UTF-16 units with this upper byte. */
  readonly units: Uint8Array;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** Encoders that wrap do so at 60, 64 or 76 characters; prose has no such run before a line's end. */
const SHORTEST_WRAPPED = 40;

/** Is told in passing what else the text holds, in order. */
export interface Watch {
  /** What it wants to be told of, as `Sift` has it, and how near behind two dashes any run counts. */
  readonly wanted: number;
  readonly reach: number;
  /** All from `first` to `end` are token characters, 20 or more, and their neighbours are none. */
  run(first: number, end: number): void;
  /** Two dashes stand at `at`: the first and the last such in a few bytes are told of. */
  dashes(at: number): void;
  /** `_t` stands at `at`. */
  name(at: number): void;
}

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
  return { bytes, units };
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
  readonly #to: number;
  readonly #worth: Worth;
  readonly #watch: Watch | undefined;
  readonly #sift: Sift;
  /** Where a line ended last that is too short to be a wrapped one, unless another is joined to it. */
  shortLineEnd = -1;
  #at = 0;
  #end = 0;
  #escape: PackedEscape = 0;
  #more: boolean;

  constructor(bytes: Uint8Array, length: number, worth: Worth, watch?: Watch) {
    this.#bytes = bytes;
    this.#to = length;
    this.#worth = worth;
    this.#watch = watch;
    this.#sift = new Sift(bytes, length, worth, watch?.wanted ?? 0, watch?.reach ?? 0);
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
    const sift = this.#sift;
    while (sift.next()) {
      if (sift.kind !== LEAD && sift.kind !== WRAP) this.#tell(sift);
      else if (sift.at >= this.#end && this.#read(sift.at, sift.kind === WRAP)) return true;
    }
    return false;
  }

  #tell({ kind, at, first }: Sift): void {
    if (kind === RUN) this.#watch?.run(first, at);
    else if (kind === DASHES) this.#watch?.dashes(at);
    else this.#watch?.name(at);
  }

  /** Reads at a lead byte; `#end` is behind what was read, worth undoing or not. */
  #read(at: number, isWrap: boolean): boolean {
    this.#at = at;
    if (isWrap) {
      this.#escape = 0;
      this.#end = at + this.#breakLength(at, 1);
      return true;
    }
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
    return this.#breakLength(at, length);
  }

  /** Of a line break of `length` bytes, and of another that makes one of it. */
  #breakLength(at: number, length: number): number {
    const second = at + length;
    if (second >= this.#to) return length;
    if (LEADS[this.#bytes[second]!] === 0) return length;
    if (isLineBreak(this.#bytes[second]!)) return length + 1;
    const escape = escapeAt(this.#bytes, second, this.#to);
    return escape !== 0 && isLineBreak(escapeValue(escape)) ? length + escapeLength(escape) : length;
  }
}
