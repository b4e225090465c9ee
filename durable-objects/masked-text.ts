import { pairOf } from "../src/gateway/redact/pairs.ts";
import { shapeAt, shapeHeads } from "../src/gateway/redact/shapes.ts";

const MASK = Buffer.from("[redacted]");
/** Of webhooks: ours, and those of others that follow the same specification. */
const SIGNING_SECRET = /whsec_[A-Za-z0-9+/=_-]{16,}/g;

/** A text with every credential of a known shape in it, ours included, replaced: what leaves by chat and mail stays there. */
export function maskedText(text: string): string {
  const bytes = Buffer.from(text.toWellFormed());
  const heads = shapeHeads();
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (let at = 0; at + 1 < bytes.length; at++) {
    if (heads[pairOf(bytes[at] ?? 0, bytes[at + 1] ?? 0)] === 0) continue;
    const match = shapeAt(bytes, at, bytes.length, false);
    if (match === undefined) continue;
    pieces.push(bytes.subarray(from, match.from), MASK);
    from = match.to;
    at = match.to - 1;
  }
  const masked = from === 0 ? text : Buffer.concat([...pieces, bytes.subarray(from)]).toString();
  return masked.replaceAll(SIGNING_SECRET, `whsec_${MASK.toString()}`);
}
