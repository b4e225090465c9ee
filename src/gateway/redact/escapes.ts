/**
 * Escape sequences as they occur in JSON (RFC 8259), URLs (RFC 3986, and the `%uXXXX` of old servers), HTML and
 * JavaScript, Python and C strings. Every sequence is bounded in length, so that reading one is constant work.
 */

const PERCENT = 0x25;
const AMPERSAND = 0x26;
const HASH = 0x23;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;
const MAX_DIGITS = 16;
const MAX_NAME = 8;

/** HTML's names of ASCII characters, for encoders that name more than the five of XML. */
const NAMED: ReadonlyMap<string, number> = new Map(
  Object.entries({
    Tab: "\t",
    NewLine: "\n",
    nbsp: " ",
    excl: "!",
    quot: '"',
    QUOT: '"',
    num: "#",
    dollar: "$",
    percnt: "%",
    amp: "&",
    AMP: "&",
    apos: "'",
    lpar: "(",
    rpar: ")",
    ast: "*",
    plus: "+",
    comma: ",",
    hyphen: "-",
    period: ".",
    sol: "/",
    colon: ":",
    semi: ";",
    lt: "<",
    LT: "<",
    equals: "=",
    gt: ">",
    GT: ">",
    quest: "?",
    commat: "@",
    lsqb: "[",
    lbrack: "[",
    bsol: "\\",
    rsqb: "]",
    rbrack: "]",
    Hat: "^",
    lowbar: "_",
    grave: "`",
    lcub: "{",
    lbrace: "{",
    verbar: "|",
    vert: "|",
    rcub: "}",
    rbrace: "}",
  }).map(([name, char]) => [name, char.charCodeAt(0)]),
);

/** What one character after a backslash stands for, -1 where it takes more: punctuation is itself, letters are C's. */
export const AFTER_BACKSLASH = Int16Array.from({ length: 256 }, (_, byte) => {
  const letter = "btnvfr".indexOf(String.fromCharCode(byte));
  if (letter >= 0) return 8 + letter;
  return byte > 0x20 && byte < 0x7f && !isAlphanumeric(byte) ? byte : -1;
});

/** What a hexadecimal digit is worth; -1: it is none. */
export const HEX = new Int8Array(256).fill(-1);
for (const [index, digit] of [..."0123456789abcdef"].entries()) {
  HEX[digit.charCodeAt(0)] = index;
  HEX[digit.toUpperCase().charCodeAt(0)] = index;
}

/**
 * An escape packed into one integer, since the scan calls this per character and must not allocate: the length in
 * bytes in the low five bits, then a bit that is set for a byte and clear for a code point, then the value.
 * 0 is "no escape".
 */
export type PackedEscape = number;

function pack(length: number, value: number, isByte: boolean): PackedEscape {
  return (value << 6) | (isByte ? 32 : 0) | length;
}

/** How many bytes of the source the escape takes. */
export function escapeLength(escape: PackedEscape): number {
  return escape & 31;
}

/** The byte or code point it stands for. */
export function escapeValue(escape: PackedEscape): number {
  return escape >> 6;
}

/** Whether the value is a byte as it is, and not a code point to be written as UTF-8. */
export function escapeIsByte(escape: PackedEscape): boolean {
  return (escape & 32) !== 0;
}

/** 1 where an escape can go on like this behind a `%`: a digit, or the `u` of old servers. */
export const AFTER_PERCENT = Uint8Array.from(HEX, (digit, byte) =>
  digit >= 0 || (byte | 0x20) === 0x75 ? 1 : 0,
);

/** The value of `count` hexadecimal digits at `at`, or -1. */
function hexAt(bytes: Uint8Array, at: number, count: number, end: number): number {
  if (at + count > end) return -1;
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = HEX[bytes[i]!]!;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/** A UTF-16 unit of four digits at `at`, joined with the unit of a second escape where both are a surrogate pair. */
function unitAt(bytes: Uint8Array, start: number, end: number): PackedEscape {
  const high = hexAt(bytes, start + 2, 4, end);
  if (high < 0) return 0;
  if (
    high >= 0xd800 &&
    high < 0xdc00 &&
    bytes[start + 6] === bytes[start] &&
    bytes[start + 7] === bytes[start + 1]
  ) {
    const low = hexAt(bytes, start + 8, 4, end);
    if (low >= 0xdc00 && low < 0xe000) {
      return pack(12, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), false);
    }
  }
  return pack(6, high, false);
}

/** Digits of a base from `at` to a closing byte; the closing byte may be left out where `open` is set. */
function numberAt(
  bytes: Uint8Array,
  start: number,
  at: number,
  base: 10 | 16,
  close: number,
  end: number,
): PackedEscape {
  const last = Math.min(end, at + MAX_DIGITS);
  let value = 0;
  let i = at;
  while (i < last) {
    const digit = HEX[bytes[i]!]!;
    if (digit < 0 || digit >= base) break;
    value = Math.min(value * base + digit, 0x110000);
    i++;
  }
  if (i === at || value > 0x10ffff) return 0;
  if (i < end && bytes[i] === close) return pack(i + 1 - start, value, false);
  // Browsers accept a numeric reference without its semicolon; nothing accepts `\u{61`.
  return close === SEMICOLON ? pack(i - start, value, false) : 0;
}

function percentAt(bytes: Uint8Array, start: number, end: number): PackedEscape {
  if (start + 3 > end) return 0;
  const byte = (HEX[bytes[start + 1]!]! << 4) | HEX[bytes[start + 2]!]!;
  if (byte >= 0) return pack(3, byte, true);
  return (bytes[start + 1]! | 0x20) === 0x75 ? unitAt(bytes, start, end) : 0;
}

export function isAlphanumeric(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a);
}

function backslashAt(bytes: Uint8Array, start: number, end: number): PackedEscape {
  if (start + 1 >= end) return 0;
  const next = bytes[start + 1]!;
  const single = AFTER_BACKSLASH[next]!;
  if (single >= 0) return pack(2, single, true);
  switch (next) {
    case 0x75: // \u0061 and \u{61}
      return bytes[start + 2] === 0x7b
        ? numberAt(bytes, start, start + 3, 16, 0x7d, end)
        : unitAt(bytes, start, end);
    case 0x55: {
      const code = hexAt(bytes, start + 2, 8, end);
      return code >= 0 && code <= 0x10ffff ? pack(10, code, false) : 0;
    }
    case 0x78: {
      const byte = hexAt(bytes, start + 2, 2, end);
      return byte >= 0 ? pack(4, byte, true) : 0;
    }
    default:
      return octalAt(bytes, start, end);
  }
}

function octalAt(bytes: Uint8Array, start: number, end: number): PackedEscape {
  if (start + 4 > end) return 0;
  const [a, b, c] = [bytes[start + 1]! - 0x30, bytes[start + 2]! - 0x30, bytes[start + 3]! - 0x30];
  return a >= 0 && a < 4 && b >= 0 && b < 8 && c >= 0 && c < 8 ? pack(4, a * 64 + b * 8 + c, true) : 0;
}

function entityAt(bytes: Uint8Array, start: number, end: number): PackedEscape {
  if (start + 3 > end) return 0;
  if (bytes[start + 1] === HASH) {
    return (bytes[start + 2]! | 0x20) === 0x78
      ? numberAt(bytes, start, start + 3, 16, SEMICOLON, end)
      : numberAt(bytes, start, start + 2, 10, SEMICOLON, end);
  }
  const last = Math.min(end, start + 2 + MAX_NAME);
  let name = "";
  for (let i = start + 1; i < last; i++) {
    const byte = bytes[i]!;
    if (byte === SEMICOLON) {
      const code = NAMED.get(name);
      return code === undefined ? 0 : pack(i + 1 - start, code, true);
    }
    if (!isAlphanumeric(byte)) return 0;
    name += String.fromCharCode(byte);
  }
  return 0;
}

/** The escape sequence that begins at `start` and ends before `end`, or 0. */
export function escapeAt(bytes: Uint8Array, start: number, end: number): PackedEscape {
  switch (bytes[start]) {
    case PERCENT:
      return percentAt(bytes, start, end);
    case BACKSLASH:
      return backslashAt(bytes, start, end);
    case AMPERSAND:
      return entityAt(bytes, start, end);
    default:
      return 0;
  }
}
