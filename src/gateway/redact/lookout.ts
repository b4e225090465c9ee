import { isRandom, LONGEST_RANDOM, runEnd, runStart } from "./entropy.ts";
import type { Watch } from "./escape-reader.ts";
import { eachMintedPair, LONGEST_NAME, mintedValue, pairEnd, stringEnd } from "./minted.ts";
import { pairOf, TOKEN } from "./pairs.ts";
import { eachPemLine, FURTHEST_HEADER, GAP, NO_DASHES, pemBodyBefore } from "./pem.ts";
import { LONGEST_SHAPE, shapeAt, shapeHeads } from "./shapes.ts";
import { ALL_RUNS, NAMES, RUNS } from "./sift.ts";
import { addSpan } from "./spans.ts";

/** What is masked beside the given values. */
export interface Lookouts {
  /** Credentials that can be told by their prefix, and private keys in PEM. */
  readonly shapes: boolean;
  /** Whatever looks drawn at random. */
  readonly entropy: boolean;
  /** Tokens that the upstream hands out itself. */
  readonly minted: boolean;
}

/** What goes on behind the end of what was searched, to be masked on from there. */
export type Open =
  | { readonly kind: "body"; readonly body: Uint8Array }
  /** `back`: bytes before that stand or fall with those behind. */
  | { readonly kind: "pem"; readonly back: number }
  | { readonly kind: "pair" }
  /** `skip`: bytes that belong to an escape that began before. */
  | { readonly kind: "string"; readonly skip: number };

/** How a text that is searched continues another, and is continued. */
export interface Edges {
  /** Bytes at its beginning that were searched before; what begins with the first of them was decided then. */
  readonly seen: number;
  /** It goes on behind its end. */
  readonly more: boolean;
  /** What goes on behind `seen`. */
  readonly open: Open | undefined;
}

export const WHOLE: Edges = { seen: 0, more: false, open: undefined };

const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const DOT = 0x2e;

/** Dashes are told of by the block of bytes that they stand in. */
const BLOCK_BYTES = 64;
/** How far back a decision may need to look, beside what it looks at. */
const LOOKBACK = FURTHEST_HEADER + 40;

/** Bytes that a stream must keep so that whatever begins before them is decided. */
export function decisionDistance({ shapes, entropy, minted }: Lookouts): number {
  return Math.max(
    shapes ? LONGEST_SHAPE + LOOKBACK : 0,
    entropy ? LONGEST_RANDOM + LOOKBACK : 0,
    minted ? LONGEST_NAME + LOOKBACK : 0,
  );
}

/**
 * Looks at what the walk over a text points out: long runs of token characters, and names that end in `_token"`.
 * Whether something is masked depends on the text alone, never on where a stream was cut.
 */
export class Lookout implements Watch {
  /** What has not ended where the text does. */
  open: Open | undefined;
  readonly wanted: number;
  readonly reach = FURTHEST_HEADER + BLOCK_BYTES;
  readonly #wanted: Lookouts;
  readonly #bytes: Uint8Array;
  readonly #to: number;
  readonly #spans: number[];
  readonly #edges: Edges;
  readonly #heads = shapeHeads();
  /** Up to here a key is masked: what is told of before is no other. */
  #done = 0;
  /** Up to here it is known that no header of a PEM key ends. */
  #clear = 0;
  /** Where two dashes stood last. */
  #dashes = Number.NEGATIVE_INFINITY;
  /** How far it is known what looks drawn at random. */
  #measured = 0;

  constructor(wanted: Lookouts, bytes: Uint8Array, to: number, spans: number[], edges: Edges) {
    this.#wanted = wanted;
    this.wanted =
      (wanted.shapes || wanted.entropy ? RUNS : 0) |
      (wanted.entropy ? ALL_RUNS : 0) |
      (wanted.minted ? NAMES : 0);
    this.#bytes = bytes;
    this.#to = to;
    this.#spans = spans;
    this.#edges = edges;
    if (edges.open !== undefined) this.resume(edges.open, edges.seen);
    if (wanted.minted && edges.seen === 0 && TOKEN[bytes[0]!] === 1)
      eachMintedPair(bytes, to, (start, end) => this.#pair(start, end));
  }

  /** Masks on, from `from`, what was open there. */
  resume(open: Open, from: number): void {
    switch (open.kind) {
      case "body": {
        let end = from;
        while (end < this.#to && open.body[this.#bytes[end]!] === 1) end++;
        this.#mask(from, end, open);
        break;
      }
      case "pem":
        this.#pem(from - open.back);
        break;
      case "pair":
        this.#pair(from, pairEnd(this.#bytes, from, this.#to));
        break;
      case "string":
        this.#string(from, from + open.skip);
    }
  }

  #mayBeginAt(start: number): boolean {
    const bytes = this.#bytes;
    if (this.#heads[pairOf(bytes[start]!, bytes[start + 1]!)] !== 0) return true;
    if (start === 0) return false;
    const before = bytes[start - 1]!;
    return before === BACKSLASH || before === PERCENT || (this.#mayBePem(start) && GAP[before] === 1);
  }

  /** Whether a header may end not too far before. */
  #mayBePem(start: number): boolean {
    return start - this.#dashes <= this.reach;
  }

  dashes(at: number): void {
    this.#dashes = at;
  }

  run(first: number): void {
    const isWhole = first > 0 || this.#edges.seen === 0;
    if (this.#wanted.shapes && isWhole && this.#mayBeginAt(first)) this.#shape(first);
    if (this.#wanted.entropy) this.#random(first);
  }

  name(at: number): void {
    const value = mintedValue(this.#bytes, at, this.#to);
    if (value >= 0) this.#string(value, value);
  }

  /** A credential begins with a run, or behind what is an escape's rest: the `n` of `\n`, the digits of `%22`. */
  #shape(start: number): void {
    const bytes = this.#bytes;
    let match = shapeAt(bytes, start, this.#to, this.#edges.more);
    const before = start > 0 ? bytes[start - 1] : 0;
    if (match === undefined && (before === BACKSLASH || before === PERCENT)) {
      const rest = before === PERCENT ? 2 : restOfEscape(bytes[start]!);
      match = shapeAt(bytes, start + rest, this.#to, this.#edges.more);
    }
    if (match !== undefined) {
      this.#mask(match.from, match.to, { kind: "body", body: match.body });
      this.#done = match.to;
      return;
    }
    if (start < this.#done || start === 0 || GAP[bytes[start - 1]!] === 0 || !this.#mayBePem(start)) return;
    const pem = pemBodyBefore(bytes, start, this.#to, this.#clear);
    if (pem >= 0) this.#done = this.#pem(pem);
    else if (pem === NO_DASHES) this.#clear = start;
  }

  /** The pieces between dots are looked at one by one. */
  #random(first: number): void {
    const bytes = this.#bytes;
    const { seen, more } = this.#edges;
    let at = Math.max(first, this.#measured);
    do {
      const start = runStart(bytes, at, this.#measured);
      const end = runEnd(bytes, at, this.#to);
      const isCut = (start === 0 && seen > 0) || (end === this.#to && more);
      if (!isCut && isRandom(bytes, start, end)) addSpan(this.#spans, start, end);
      this.#measured = end;
      at = end + 1;
    } while (bytes[at - 1] === DOT && at < this.#to);
  }

  #string(from: number, next: number): void {
    const end = stringEnd(this.#bytes, next, this.#to);
    this.#mask(from, Math.min(end, this.#to), { kind: "string", skip: end - this.#to });
  }

  #pair(from: number, end: number): void {
    this.#mask(from, end, { kind: "pair" });
  }

  #pem(from: number): number {
    const end = eachPemLine(this.#bytes, from, this.#to, (start, stop) => addSpan(this.#spans, start, stop));
    const back = end === this.#to - 1 && this.#bytes[end] === BACKSLASH ? 1 : 0;
    this.#stayOpen(end + back, { kind: "pem", back });
    return end;
  }

  #mask(from: number, end: number, open: Open): void {
    if (end > from) addSpan(this.#spans, from, end);
    this.#stayOpen(end, open);
  }

  /** A string outlasts what stands in it. */
  #stayOpen(end: number, open: Open): void {
    if (end >= this.#to && this.#edges.more && this.open?.kind !== "string") this.open = open;
  }
}

function restOfEscape(letter: number): number {
  if (letter === 0x75) return 5;
  return letter === 0x78 ? 3 : 1;
}
