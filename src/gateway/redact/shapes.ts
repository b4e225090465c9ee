import { flags, pairOf } from "./pairs.ts";
import { CLASSES, SHAPE_RULES } from "./shape-rules.ts";

/** One prefix of a rule, ready to be matched. */
interface Shape {
  readonly prefix: Uint8Array;
  /** 256 flags: what the body is made of. */
  readonly body: Uint8Array;
  readonly min: number;
  readonly max: number;
  readonly notBefore: string;
}

/** What is to be masked behind a prefix: from, to, and of which characters it goes on where the text was cut. */
export interface ShapeMatch {
  readonly from: number;
  readonly to: number;
  readonly body: Uint8Array;
}

/** No credential is shorter; a run of as many token characters is where one may begin. */
export const SHORTEST_SHAPE = 20;
/** Bytes from the beginning of a credential by which it is decided whether it is one. */
export const LONGEST_SHAPE = 200;

interface Compiled {
  /** By the number of the first two bytes: 0, or one more than the place in `buckets`. */
  readonly heads: Uint8Array;
  readonly buckets: readonly (readonly Shape[])[];
}

let compiled: Compiled | undefined;

function compile(): Compiled {
  const heads = new Uint8Array(0x10000);
  const buckets: Shape[][] = [];
  const bodies = new Map(Object.entries(CLASSES).map(([name, members]) => [name, flags(members)]));
  for (const { prefixes, body, min, max, notBefore } of SHAPE_RULES) {
    for (const text of prefixes) {
      const prefix = Buffer.from(text, "latin1");
      const head = pairOf(prefix[0]!, prefix[1]!);
      if (heads[head] === 0) heads[head] = buckets.push([]);
      const shape = {
        prefix,
        body: bodies.get(body)!,
        min,
        max: max ?? Infinity,
        notBefore: notBefore ?? "",
      };
      buckets[heads[head]! - 1]!.push(shape);
    }
  }
  // The longest prefix decides: `sk-or-v1-` before `sk-`.
  for (const bucket of buckets) bucket.sort((a, b) => b.prefix.length - a.prefix.length);
  return { heads, buckets };
}

/** By `pairOf` a text's first two bytes: not 0 where a credential may begin with them. */
export function shapeHeads(): Uint8Array {
  compiled ??= compile();
  return compiled.heads;
}

/**
 * The credential that begins at `at`, or undefined. With `more`, the text goes on behind `to`: what cannot be decided
 * yet is none yet, and will be looked at again.
 */
export function shapeAt(bytes: Uint8Array, at: number, to: number, more: boolean): ShapeMatch | undefined {
  if (at + SHORTEST_SHAPE > to) return undefined;
  compiled ??= compile();
  const head = compiled.heads[pairOf(bytes[at]!, bytes[at + 1]!)]!;
  if (head === 0) return undefined;
  for (const { prefix, body, min, max, notBefore } of compiled.buckets[head - 1]!) {
    if (!hasAt(bytes, at, prefix)) continue;
    const from = at + prefix.length;
    const limit = Math.min(to, from + max + 1);
    let end = from;
    while (end < limit && body[bytes[end]!] === 1) end++;
    const isUndecided = more && end === to && max !== Infinity;
    if (isUndecided || end - from < min || end - from > max) continue;
    if (end < to && notBefore.includes(String.fromCharCode(bytes[end]!))) continue;
    return { from, to: end, body };
  }
  return undefined;
}

/** Whether `text` stands at `at`. */
export function hasAt(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  if (at < 0) return false;
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false;
  return true;
}
