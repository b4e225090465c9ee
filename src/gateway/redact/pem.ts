import { flags } from "./pairs.ts";

/** What may stand between two lines of base64, in a file or in a JSON string or URL of it. */
export const GAP = flags(/[\s\\%+ ]/);
const BODY = flags(/[A-Za-z0-9+/=%]/);
/** What may stand between the header and the first long run: short lines, and the fields of RFC 1421 or OpenPGP. */
const BETWEEN = flags(/[A-Za-z0-9+/=%\s\\:,.()_-]/);
const DASH = 0x2d;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const LINE_FEED = 0x0a;
export const FURTHEST_HEADER = 300;
/** `BEGIN ENCRYPTED PRIVATE KEY-----`, its spaces percent-encoded. */
const LONGEST_HEADER = 64;
const HEADER = /BEGIN[^-]{0,32}PRIVATE(?: |\+|%20)KEY(?:(?: |\+|%20)BLOCK)?-----$/;
const AFTER_BACKSLASH = flags(/[nrtu\\/]/);
const LONGEST_FIELD = 120;

/** No header ends within reach. */
export const NO_DASHES = -1;
const NO_HEADER = -2;

/**
 * For a run behind a GAP: where the body of a PEM private key (RFC 7468 §10 and §11, and OpenPGP's and OpenSSH's kin)
 * begins in which it stands; NO_DASHES, or less, where there is none. Looks a bounded way back, and not behind `clear`,
 * for which the answer was NO_DASHES.
 */
export function pemBodyBefore(bytes: Uint8Array, at: number, to: number, clear: number): number {
  // Without any line break the run itself begins with the end of the header.
  let end = at;
  while (end < at + 6 && bytes[end] !== DASH) end++;
  if (areDashes(bytes, end, to)) return isHeader(bytes, end + 5) ? end + 5 : NO_HEADER;
  const first = Math.max(5, at - FURTHEST_HEADER, clear < at ? clear + 1 : 0);
  for (let i = at; i >= first && BETWEEN[bytes[i - 1]!] === 1; i--)
    if (bytes[i - 1] === DASH && areDashes(bytes, i - 5, to))
      return isHeader(bytes, i) && areLines(latin1(bytes, i, at)) ? i : NO_HEADER;
  return NO_DASHES;
}

/** Whether lines are a key's, fields or base64, and not words that go on about one. */
function areLines(text: string): boolean {
  return text.split(/\n|\\n|%0A/).every((line) => line.includes(":") || !line.trim().includes(" "));
}

function areDashes(bytes: Uint8Array, at: number, to: number): boolean {
  if (at + 5 > to) return false;
  for (let i = at; i < at + 5; i++) if (bytes[i] !== DASH) return false;
  return true;
}

function isHeader(bytes: Uint8Array, end: number): boolean {
  return HEADER.test(latin1(bytes, Math.max(0, end - LONGEST_HEADER), end));
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to));
}

/**
 * Tells every piece of a line of the body that begins at `from`, fields left out; answers where the body ends. White
 * space stays as it is, so that a text keeps its lines.
 */
export function eachPemLine(
  bytes: Uint8Array,
  from: number,
  to: number,
  line: (start: number, end: number) => void,
): number {
  let i = from;
  for (;;) {
    const start = i;
    while (i < to) {
      if (BODY[bytes[i]!] === 1) i++;
      else if (bytes[i] === BACKSLASH && i + 1 < to && AFTER_BACKSLASH[bytes[i + 1]!] === 1) i += 2;
      else break;
    }
    const end = fieldEnd(bytes, i, to);
    const isField = end > i;
    if (i > start && !isField) line(start, i);
    i = end;
    while (i < to && bytes[i]! <= 0x20) i++;
    if (i >= to || (i === end && !isField)) return i;
  }
}

/** The end of the line where a field (`DEK-Info: …`) goes on at `at`, else `at`. */
function fieldEnd(bytes: Uint8Array, at: number, to: number): number {
  if ((bytes[at] !== COLON && bytes[at] !== DASH) || areDashes(bytes, at, to)) return at;
  const last = Math.min(to, at + LONGEST_FIELD);
  let hasColon = false;
  for (let i = at; i < last; i++) {
    if (bytes[i] === COLON) hasColon = true;
    if (bytes[i] === LINE_FEED || bytes[i] === BACKSLASH) return hasColon ? i : at;
  }
  return at;
}
