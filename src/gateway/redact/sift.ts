import { AFTER_BACKSLASH, AFTER_PERCENT, HEX, isAlphanumeric } from "./escapes.ts";
import { BASE64 } from "./fold.ts";
import { shapeHeads } from "./shapes.ts";
import module from "./sift/sift.wasm";
import type { Worth } from "./worth.ts";

/** Where things lie in the module's memory (sift/sift.as has the same). */
const AT = {
  base64: 0x0000,
  afterBackslash: 0x0100,
  worthBytes: 0x0200,
  worthUnits: 0x0300,
  hex: 0x0400,
  alphanumeric: 0x0600,
  parts: 0x0700,
  maybe: 0x0800,
  behind: 0x0c00,
  heads: 0x10000,
  text: 0x20040,
  events: 0x40000,
  row: 0x40040,
  joined: 0x60000,
} as const;

/**
 * What is noted: a lead byte, a run of token characters, two dashes, `_t`, a line break behind 40 characters of base64,
 * and a row of such.
 */
export const LEAD = 0;
export const RUN = 1;
export const DASHES = 2;
export const NAME = 3;
export const WRAP = 4;
export const WRAPS = 5;

/** What may be asked for beside escapes, as a set of bits. */
export const RUNS = 1;
export const ALL_RUNS = 2;
export const NAMES = 4;

const WINDOW = 64 * 1024;
/** Seen on both sides of a window: more than an escape is long. */
const MARGIN = 64;
const NO_DASHES = -0x4000_0000;
const NOTHING = new Int32Array(0);

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly openRun: WebAssembly.Global;
  readonly lastDashes: WebAssembly.Global;
  sift(length: number, end: number, wanted: number, reach: number): number;
  join(length: number): number;
}

const exports = new WebAssembly.Instance(module).exports as unknown as Exports;
const heap = new Uint8Array(exports.memory.buffer);
const numbers = new Int32Array(exports.memory.buffer);
heap.set(BASE64, AT.base64);
heap.set(AFTER_BACKSLASH, AT.afterBackslash);
heap.set(HEX, AT.hex);
for (let byte = 0; byte < 256; byte++) heap[AT.alphanumeric + byte] = isAlphanumeric(byte) ? 1 : 0;
/** Which lead the parts of `maybe` are about; part 0 is about breaks of lines. */
const PERCENT = 1;
const AMPERSAND = 2;
const BACKSLASH = 3;
heap.set([PERCENT, AMPERSAND], AT.parts + 0x25);
heap[AT.parts + 0x5c] = BACKSLASH;

/**
 * By the byte before a break of lines, and behind any other lead: 1 where something worth undoing may begin there. An
 * escape of one character is told by it; of others there is more to read.
 */
function maybeOf(worth: Worth): Uint8Array {
  const maybe = new Uint8Array(4 * 256);
  maybe.set(BASE64);
  maybe.set(AFTER_PERCENT, 256 * PERCENT);
  for (let next = 0; next < 256; next++) {
    const single = AFTER_BACKSLASH[next]!;
    const isBreak = single === 0x0a || single === 0x0d;
    const isLonger = single < 0 && /[uUx0-3]/.test(String.fromCharCode(next));
    const isLive = single >= 0 ? worth.bytes[single] === 1 || isBreak : isLonger;
    maybe[256 * AMPERSAND + next] = next === 0x23 || isAlphanumeric(next) ? 1 : 0;
    maybe[256 * BACKSLASH + next] = isLive ? 1 : 0;
  }
  return maybe;
}

const maybes = new WeakMap<Worth, Uint8Array>();
/** Whose tables lie in the memory. */
let loaded: Worth | undefined;

/**
 * Goes over a text 16 bytes at a time and tells, in order, of the places that have to be looked at: lead bytes of
 * escapes and wraps that may be worth undoing; and, if `wanted`, runs of 20 or more token characters with which a
 * credential may begin (`ALL_RUNS`: whatever they begin with), two dashes, and names that may be a token's. What it
 * leaves out is none of these.
 */
export class Sift {
  /** LEAD, RUN, DASHES, NAME, WRAP or WRAPS. */
  kind = LEAD;
  /** Where that stands; of a run and of wraps, their end. */
  at = 0;
  /** Where a run begins, or the first wrap. */
  first = 0;
  readonly #bytes: Uint8Array;
  readonly #length: number;
  readonly #worth: Worth;
  readonly #wanted: number;
  readonly #reach: number;
  #events = NOTHING;
  #next = 0;
  #base = 0;
  #to = 0;
  #openRun = 0;
  #lastDashes = NO_DASHES;

  /** `reach`: so near behind two dashes a run is told of whatever it begins with. */
  constructor(bytes: Uint8Array, length: number, worth: Worth, wanted: number, reach: number) {
    this.#bytes = bytes;
    this.#length = length;
    this.#worth = worth;
    this.#wanted = wanted;
    this.#reach = reach;
  }

  /** Moves to the next place; false where there is none. */
  next(): boolean {
    while (this.#next === this.#events.length) {
      if (this.#to >= this.#length) return false;
      this.#window();
    }
    const event = this.#events[this.#next++]!;
    this.kind = event & 7;
    this.at = this.#base + (event >> 3);
    if (this.kind === RUN || this.kind >= WRAP) this.first = this.#base + this.#events[this.#next++]!;
    return true;
  }

  #window(): void {
    const base = this.#to;
    const moved = base - this.#base;
    this.#base = base;
    this.#to = Math.min(base + WINDOW, this.#length);
    this.#load(base, this.#to);
    exports.openRun.value = this.#openRun - moved;
    exports.lastDashes.value = Math.max(NO_DASHES, this.#lastDashes - moved);
    const count = exports.sift(this.#to - base, this.#length - base, this.#wanted, this.#reach);
    this.#openRun = exports.openRun.value as number;
    this.#lastDashes = exports.lastDashes.value as number;
    // Out of the way of a search in a copy, which may come before these have been gone through.
    this.#events = count === 0 ? NOTHING : numbers.slice(AT.events / 4, AT.events / 4 + count);
    this.#next = 0;
  }

  #load(base: number, to: number): void {
    if (loaded !== this.#worth) {
      heap.set(this.#worth.bytes, AT.worthBytes);
      heap.set(this.#worth.units, AT.worthUnits);
      heap.set(remembered(this.#worth), AT.maybe);
      heap.set(this.#worth.rows, AT.behind);
      heap.set(shapeHeads(), AT.heads);
      loaded = this.#worth;
    }
    const from = Math.max(0, base - MARGIN);
    const end = Math.min(this.#length, to + MARGIN);
    if (from === 0) heap.fill(0, AT.text - MARGIN, AT.text - base);
    heap.set(this.#bytes.subarray(from, end), AT.text + from - base);
    heap.fill(0, AT.text + end - base, AT.text + to - base + 2 * MARGIN);
  }
}

function remembered(worth: Worth): Uint8Array {
  const known = maybes.get(worth);
  if (known !== undefined) return known;
  const made = maybeOf(worth);
  maybes.set(worth, made);
  return made;
}

/**
 * Joins the lines of a row of wraps as they were told of (`WRAPS`); what it answers is overwritten by the next.
 */
export function joinLines(row: Uint8Array): Uint8Array {
  heap.set(row, AT.row);
  // What stood there before is no part of the last break.
  heap[AT.row + row.length] = 0;
  return heap.subarray(AT.joined, AT.joined + exports.join(row.length));
}
