import { flags } from "./pairs.ts";

const RUN = flags(/[A-Za-z0-9+/=_-]/);
const HEX = flags(/[0-9A-Fa-f]/);
const SHORTEST = 32;
/** What is longer is data: an image, a document, an embedding. */
export const LONGEST_RANDOM = 512;
/** Bits a character. Random base64 of 32 characters has about 4.6, of hexadecimal 3.5; words and paths have less. */
const BASE64_BITS = 4.5;
const HEX_BITS = 3.3;

/** Where the run of base64 or hexadecimal begins that `at` stands in, not before `first`. */
export function runStart(bytes: Uint8Array, at: number, first: number): number {
  let start = at;
  while (start > first && RUN[bytes[start - 1]!] === 1) start--;
  return start;
}

/** Where it ends. */
export function runEnd(bytes: Uint8Array, at: number, to: number): number {
  let end = at;
  while (end < to && RUN[bytes[end]!] === 1) end++;
  return end;
}

/** Whether a run looks drawn at random: of 32 to 512 characters, by Shannon's measure. */
export function isRandom(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (length < SHORTEST || length > LONGEST_RANDOM) return false;
  const counts = new Uint16Array(256);
  let isHex = true;
  let isNumber = true;
  for (let i = start; i < end; i++) {
    counts[bytes[i]!]!++;
    if (HEX[bytes[i]!] === 0) isHex = false;
    if (bytes[i]! > 0x39) isNumber = false;
  }
  if (isNumber) return false;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= (count / length) * Math.log2(count / length);
  return bits > (isHex ? HEX_BITS : BASE64_BITS);
}
