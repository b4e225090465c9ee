import { flags } from "./pairs.ts";

/** What may stand between two lines of base64, in a file or in a JSON string or URL of it. */
export const GAP = flags(/[\s\\%+ ]/);
const BODY = flags(/[A-Za-z0-9+/=%]/);
const DASH = 0x2d;
const BACKSLASH = 0x5c;
/** A few lines of base64: one of them holds a long run of letters and digits. */
const FURTHEST = 200;
/** `PRIVATE KEY BLOCK-----`, its spaces percent-encoded. */
const LONGEST_HEADER = 32;
const HEADER = /PRIVATE(?: |\+|%20)KEY(?:(?: |\+|%20)BLOCK)?-----$/;
const AFTER_BACKSLASH = flags(/[nrtu\\/]/);

/**
 * For a run behind a GAP: where the body of a PEM private key (RFC 7468 §10 and §11, and OpenPGP's and OpenSSH's kin) begins in
 * which it stands, or -1. Looks a bounded way back.
 */
export function pemBodyBefore(bytes: Uint8Array, at: number): number {
  // Without any line break the run itself begins with the end of the header.
  let end = at;
  while (end < at + 6 && bytes[end] !== DASH) end++;
  if (bytes[end] === DASH && bytes[end + 4] === DASH) return isHeader(bytes, end + 5) ? end + 5 : -1;
  const first = Math.max(0, at - FURTHEST);
  let i = at - 1;
  while (i >= first && (BODY[bytes[i]!] === 1 || GAP[bytes[i]!] === 1)) i--;
  return i >= first && bytes[i] === DASH && isHeader(bytes, i + 1) ? i + 1 : -1;
}

function isHeader(bytes: Uint8Array, end: number): boolean {
  let text = "";
  for (let i = Math.max(0, end - LONGEST_HEADER); i < end; i++) text += String.fromCharCode(bytes[i]!);
  return HEADER.test(text);
}

/** Tells every piece of a line of the body that begins at `from`; answers where it ends. White space stays. */
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
    if (i > start) line(start, i);
    const gap = i;
    while (i < to && bytes[i]! <= 0x20) i++;
    if (i === gap || i >= to) return i;
  }
}
