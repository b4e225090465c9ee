/**
 * Spans to mask: pairs of start and end in one flat array, in no particular order and free to overlap. A redaction
 * finds none in nearly every body, so that the shape is chosen to cost nothing when empty.
 */

const STAR = 0x2a;

/** Adds `[start, end)`, joined to the last span where they touch. */
export function addSpan(spans: number[], start: number, end: number): void {
  const last = spans.length - 2;
  if (last >= 0 && start <= spans[last + 1]! && end >= spans[last]!) {
    spans[last] = Math.min(spans[last]!, start);
    spans[last + 1] = Math.max(spans[last + 1]!, end);
  } else {
    spans.push(start, end);
  }
}

/** Overwrites what of the spans lies within `bytes` by as many `*`. */
export function maskSpans(bytes: Uint8Array, spans: readonly number[]): void {
  for (let i = 0; i < spans.length; i += 2) bytes.fill(STAR, spans[i], Math.min(spans[i + 1]!, bytes.length));
}

/** The spans that reach beyond `offset`, counted from there, sorted and joined. */
export function spansBeyond(spans: readonly number[], offset: number): number[] {
  const pairs: [number, number][] = [];
  for (let i = 0; i < spans.length; i += 2) {
    if (spans[i + 1]! > offset) pairs.push([Math.max(0, spans[i]! - offset), spans[i + 1]! - offset]);
  }
  const rest: number[] = [];
  for (const [start, end] of pairs.toSorted((a, b) => a[0] - b[0])) addSpan(rest, start, end);
  return rest;
}
