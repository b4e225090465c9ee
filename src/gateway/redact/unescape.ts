import { escapeIsByte, escapeValue, type PackedEscape } from "./escapes.ts";
import { NOTE, ROW, singly, WRAPPED } from "./notes.ts";
import { joinLines } from "./sift.ts";
import { leadingByte } from "./worth.ts";

/** Copying a run by a loop is cheaper than a call up to about this length. */
const SHORT_RUN = 48;

/**
 * A copy of `source[from, to)` with the escapes undone that an `EscapeReader` noted there. Never longer than its source.
 * It is written to `out` where that is given, which is as long as the source at least.
 */
export function unescape(
  source: Uint8Array,
  from: number,
  to: number,
  notes: readonly number[],
  out = new Uint8Array(to - from),
): Uint8Array {
  let length = 0;
  let run = from;
  for (let i = 0; i < notes.length; i += NOTE) {
    const first = notes[i]!;
    const escape = notes[i + 2]!;
    length = copyRun(source, run, first, out, length);
    run = notes[i + 1]!;
    if (escape === ROW) {
      const lines = joinLines(source.subarray(first, run));
      out.set(lines, length);
      length += lines.length;
    } else if (escape !== WRAPPED) length = put(escape, out, length);
  }
  length = copyRun(source, run, to, out, length);
  return out.subarray(0, length);
}

/** Copies `source[from, to)` to `at`; answers where it ends there. */
function copyRun(source: Uint8Array, from: number, to: number, out: Uint8Array, at: number): number {
  let length = at;
  if (to - from > SHORT_RUN) out.set(source.subarray(from, to), at);
  else for (let i = from; i < to; i++) out[length++] = source[i]!;
  return at + to - from;
}

function put(escape: PackedEscape, out: Uint8Array, at: number): number {
  const value = escapeValue(escape);
  let length = at;
  if (escapeIsByte(escape) || value < 0x80) {
    out[length++] = value;
    return length;
  }
  out[length++] = leadingByte(value);
  for (let shift = value < 0x800 ? 0 : value < 0x10000 ? 6 : 12; shift >= 0; shift -= 6) {
    out[length++] = 0x80 | ((value >> shift) & 0x3f);
  }
  return length;
}

/** How many bytes `put` writes. */
function lengthOf(escape: PackedEscape): number {
  const value = escapeValue(escape);
  if (escapeIsByte(escape) || value < 0x80) return 1;
  return value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
}

/**
 * Where the bytes of such a copy came from. What was not an escape lies in runs, so that a map of the escapes alone is
 * enough; it is made where something was found.
 */
export class Origins {
  readonly #from: number;
  readonly #notes: readonly number[];
  /** Where each escape stands in the copy, first and behind. */
  readonly #places: Uint32Array;

  constructor(source: Uint8Array, from: number, notes: readonly number[]) {
    this.#from = from;
    this.#notes = singly(source, notes);
    this.#places = new Uint32Array((2 * this.#notes.length) / NOTE);
    let length = 0;
    let run = from;
    for (let i = 0, place = 0; i < this.#notes.length; i += NOTE) {
      length += this.#notes[i]! - run;
      run = this.#notes[i + 1]!;
      this.#places[place++] = length;
      if (this.#notes[i + 2] !== WRAPPED) length += lengthOf(this.#notes[i + 2]!);
      this.#places[place++] = length;
    }
  }

  /** Where the source of the byte at `index` begins. */
  startOf(index: number): number {
    const escape = this.#escapeBefore(index);
    return escape >= 0 && index < this.#places[2 * escape + 1]!
      ? this.#notes[NOTE * escape]!
      : this.#literal(escape, index);
  }

  /** Where the source of the byte at `index` ends. */
  endOf(index: number): number {
    const escape = this.#escapeBefore(index);
    if (escape >= 0 && index < this.#places[2 * escape + 1]!) return this.#notes[NOTE * escape + 1]!;
    return this.#literal(escape, index) + 1;
  }

  #literal(escape: number, index: number): number {
    if (escape < 0) return this.#from + index;
    return this.#notes[NOTE * escape + 1]! + index - this.#places[2 * escape + 1]!;
  }

  /** The last escape that stands at or before `index` in the copy, or -1. */
  #escapeBefore(index: number): number {
    let low = 0;
    let high = this.#places.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#places[2 * middle]! <= index) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
