import { escapeAt, escapeIsByte, escapeLength, escapeValue, type PackedEscape } from "./escapes.ts";
import { isBehindLine, isLineBreak, ROW, WRAPPED } from "./notes.ts";
import { LEADS } from "./pairs.ts";
import { DASHES, LEAD, RUN, Sift, WRAP, WRAPS } from "./sift.ts";
import { leadingByte, type Worth } from "./worth.ts";

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
  #escape: PackedEscape = WRAPPED;
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
      if (sift.kind === WRAP || sift.kind === WRAPS) {
        this.#at = sift.first;
        this.#end = sift.at;
        this.#escape = sift.kind === WRAPS ? ROW : WRAPPED;
        return true;
      }
      if (sift.kind !== LEAD) this.#tell(sift);
      else if (sift.at >= this.#end && this.#read(sift.at)) return true;
    }
    return false;
  }

  #tell({ kind, at, first }: Sift): void {
    if (kind === RUN) this.#watch?.run(first, at);
    else if (kind === DASHES) this.#watch?.dashes(at);
    else this.#watch?.name(at);
  }

  /** Reads at a lead byte; `#end` is behind what was read, worth undoing or not. */
  #read(at: number): boolean {
    this.#at = at;
    const escape = escapeAt(this.#bytes, at, this.#to);
    const value = escapeValue(escape);
    if (escape === 0 ? isLineBreak(this.#bytes[at]!) : isLineBreak(value)) {
      const wrap = this.#wrap(at, escape === 0 ? 1 : escapeLength(escape));
      if (wrap !== 0) {
        this.#escape = WRAPPED;
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
    return isBehindLine(this.#bytes, at) ? this.#breakLength(at, length) : 0;
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
