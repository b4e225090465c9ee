import { escapeIsByte, escapeValue, type PackedEscape } from "./escapes.ts";
import { leadingByte, NOTE } from "./escape-reader.ts";

/** Moving a run by a loop is cheaper than a call up to about this length. */
const SHORT_RUN = 48;

/**
 * A copy of a text with one layer of escapes undone, that can tell where its bytes came from. What was not an escape
 * lies in runs, so that a map of the escapes alone is enough.
 */
export class Unescaped {
  readonly bytes: Uint8Array;
  readonly #origin: number;
  readonly #notes: readonly number[];
  /** Where each escape stands in the copy, first and behind. */
  readonly #places: Uint32Array;

  constructor(bytes: Uint8Array, origin: number, notes: readonly number[], places: Uint32Array) {
    this.bytes = bytes;
    this.#origin = origin;
    this.#notes = notes;
    this.#places = places;
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
    if (escape < 0) return this.#origin + index;
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

/**
 * `source[from, to)` with the escapes undone that an `EscapeReader` noted there. Never longer than its source. The copy
 * is written to `out` where that is given, which is as long as the source at least.
 */
export function unescape(
  source: Uint8Array,
  from: number,
  to: number,
  notes: readonly number[],
  out = new Uint8Array(to - from),
): Unescaped {
  const places = new Uint32Array((2 * notes.length) / NOTE);
  out.set(source.subarray(from, to));
  let place = 0;
  let length = 0;
  let run = 0;
  for (let i = 0; i < notes.length; i += NOTE) {
    length = moveRun(out, run, notes[i]! - from, length);
    run = notes[i + 1]! - from;
    places[place++] = length;
    if (notes[i + 2] !== 0) length = put(notes[i + 2]!, out, length);
    places[place++] = length;
  }
  length = moveRun(out, run, to - from, length);
  return new Unescaped(out.subarray(0, length), from, notes, places);
}

/** Moves `bytes[from, to)` down to `at`; answers where it ends there. */
function moveRun(bytes: Uint8Array, from: number, to: number, at: number): number {
  if (to - from > SHORT_RUN) {
    if (at !== from) bytes.copyWithin(at, from, to);
    return at + to - from;
  }
  let length = at;
  for (let i = from; i < to; i++) bytes[length++] = bytes[i]!;
  return length;
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
