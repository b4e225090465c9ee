import { hasAt } from "./shapes.ts";

/**
 * Tokens in answers of OAuth token endpoints: the members `access_token` and `refresh_token` of RFC 6749 §5.1 and
 * `id_token` of OpenID Connect Core §3.1.3.3, wherever in a JSON text they stand, and pairs of a form with these names
 * (as GitHub answers). Only strings are masked. `client_secret` is not: Stripe's is meant for clients.
 */

const ENDING = Buffer.from('_token"');
const BEGINNINGS = ['"access', '"refresh', '"id'].map((text) => Buffer.from(text));
const PAIR = /^(?:access|refresh|id)_token$/;
/** White space around the colon. */
const MOST_SPACE = 32;
/** Bytes from a name to its value's first. */
export const LONGEST_NAME = 15 + 2 * MOST_SPACE + 2;
const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const EQUALS = 0x3d;
const AMPERSAND = 0x26;
const LONGEST_PAIR_NAME = 64;

/** Where the string begins, quote left out, that is the value of the name whose `_token"` stands at `at`; or -1. */
export function mintedValue(bytes: Uint8Array, at: number, to: number): number {
  if (!hasAt(bytes, at, ENDING)) return -1;
  if (!BEGINNINGS.some((text) => hasAt(bytes, at - text.length, text))) return -1;
  const colon = afterSpace(bytes, at + ENDING.length, to);
  if (colon >= to || bytes[colon] !== COLON) return -1;
  const quote = afterSpace(bytes, colon + 1, to);
  return quote < to && bytes[quote] === QUOTE ? quote + 1 : -1;
}

function afterSpace(bytes: Uint8Array, from: number, to: number): number {
  const last = Math.min(to, from + MOST_SPACE);
  let i = from;
  while (i < last && (bytes[i] === 0x20 || (bytes[i]! >= 0x09 && bytes[i]! <= 0x0d))) i++;
  return i;
}

/** Where a JSON string ends that goes on at `from`: at its quote, or one behind `to` where a backslash ends the text. */
export function stringEnd(bytes: Uint8Array, from: number, to: number): number {
  let i = from;
  while (i < to && bytes[i] !== QUOTE && bytes[i]! >= 0x20) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i;
}

/** Where the value of a form's pair ends that goes on at `from`. */
export function pairEnd(bytes: Uint8Array, from: number, to: number): number {
  let i = from;
  while (i < to && bytes[i] !== AMPERSAND && bytes[i]! > 0x20 && bytes[i] !== QUOTE) i++;
  return i;
}

/** Tells the values of tokens where a text is a form from its beginning on. Reads no further than it is one. */
export function eachMintedPair(
  bytes: Uint8Array,
  to: number,
  value: (start: number, end: number) => void,
): void {
  for (let at = 0; at < to;) {
    let name = "";
    let i = at;
    while (i < to && name.length < LONGEST_PAIR_NAME && isNameByte(bytes[i]!))
      name += String.fromCharCode(bytes[i++]!);
    if (i === at || bytes[i] !== EQUALS) return;
    const end = pairEnd(bytes, i + 1, to);
    if (PAIR.test(name)) value(i + 1, end);
    if (bytes[end] !== AMPERSAND) return;
    at = end + 1;
  }
}

function isNameByte(byte: number): boolean {
  return (
    byte === 0x5f ||
    byte === 0x2d ||
    byte === 0x2e ||
    (byte >= 0x30 && byte <= 0x39) ||
    ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a)
  );
}

/** A URL, as a header holds it, with the values of such parameters masked: RFC 6749 §4.2.2 answers in the fragment. */
export function maskUrlTokens(text: string): string {
  return text.replace(
    /([?#&](?:access|refresh|id)_token=)([^&#\s"<>]+)/g,
    (_all, name: string, token: string) => name + "*".repeat(token.length),
  );
}
