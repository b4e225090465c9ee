import { AFTER_BACKSLASH, AFTER_PERCENT, isAlphanumeric } from "./escapes.ts";
import { BASE64 } from "./fold.ts";

/**
 * Kinds of two bytes at once, by which one pass over a text finds escapes, long runs and names: half the lookups of a
 * pass byte by byte, and one pass instead of three. A set of bits each.
 */

/** An escape that may be worth undoing begins with the first of the two; or the second may wrap a line. */
export const LIVE = 1;
/** Not both are characters of a token: what holds them is no part of a long run. */
export const LOOSE = 2;
/** `_t` or `n"`: one of the two stands at an even place in every `_token"`. */
export const NAME = 4;
/** `--`: a header of a PEM text has two of them at even places. */
export const DASHES = 8;
/** Of the second byte: it is `%`, `&` or `\`, or a character of base64. */
const PERCENT = 0x10;
const AMPERSAND = 0x20;
const BACKSLASH = 0x40;
const CHARACTER = 0x80;
/**
 * The same bits, eight places further up, tell of the first byte that it may make an escape of such a byte before it, or
 * a wrap. So `first & (second >> 8) & JOINT` is not 0 where that stands across two pairs.
 */
export const JOINT = PERCENT | AMPERSAND | BACKSLASH | CHARACTER;
/** Of `JOINT`, what holds of bytes that were looked at before. */
export const WRAP = CHARACTER;

/** Whether the first byte in memory is the lower one. */
export const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** 1 for the bytes that begin an escape, or the wrap of a line. */
export const LEADS: Uint8Array = flags(/[%\\&\r\n]/);
/** Where an escape takes more than one character behind its backslash. */
const MORE_AFTER_BACKSLASH = flags(/[uUx0-3]/);
/** 1 for the characters that tokens are made of. */
export const TOKEN: Uint8Array = flags(/[A-Za-z0-9_.-]/);

/** A table of bytes, 1 for those of a class of ASCII characters. */
export function flags(members: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    byte < 128 && members.test(String.fromCharCode(byte)) ? 1 : 0,
  );
}

/** What hardly any secret holds and nearly every JSON text, behind a backslash: quotes, tabs and their kin. */
const UNUSUAL = flags(/["'tbvf]/);

const tables = new Map<number, Uint16Array>();

/**
 * The kinds of all pairs, by the 16-bit number that they are in memory. Without `runs` everything is LOOSE, without
 * `names` nothing is NAME. Without `quotes` escapes of quotes, and of control characters that end no line, are not LIVE.
 */
export function pairKinds(runs: boolean, names: boolean, quotes: boolean): Uint16Array {
  const key = (runs ? 1 : 0) + (names ? 2 : 0) + (quotes ? 4 : 0);
  const known = tables.get(key);
  if (known !== undefined) return known;
  const table = new Uint16Array(0x10000);
  const following = Uint16Array.from({ length: 256 }, (_, byte) => follows(byte, quotes) << 8);
  for (let first = 0; first < 256; first++) {
    const lead = leadBit(first);
    for (let second = 0; second < 256; second++) {
      const isTight = runs && TOKEN[first] === 1 && TOKEN[second] === 1;
      const isLive =
        (lead & (following[second]! >> 8)) !== 0 || (BASE64[first] === 1 && LINE_END[second] === 1);
      table[pairOf(first, second)] =
        (isLive ? LIVE : 0) |
        (isTight ? 0 : LOOSE) |
        leadBit(second) |
        (BASE64[second] === 1 ? CHARACTER : 0) |
        following[first]!;
    }
  }
  for (const pair of names ? ["_t", 'n"'] : [])
    table[pairOf(pair.charCodeAt(0), pair.charCodeAt(1))]! |= NAME;
  if (runs) table[pairOf(0x2d, 0x2d)]! |= DASHES;
  tables.set(key, table);
  return table;
}

const LINE_END = flags(/[\r\n]/);

function leadBit(byte: number): number {
  return [PERCENT, AMPERSAND, BACKSLASH]["%&\\".indexOf(String.fromCharCode(byte))] ?? 0;
}

/** Of which leads `byte` may make an escape, and whether it may be a wrap. */
function follows(byte: number, quotes: boolean): number {
  const single = AFTER_BACKSLASH[byte]! >= 0 && (quotes || UNUSUAL[byte] === 0);
  return (
    (AFTER_PERCENT[byte] === 1 ? PERCENT : 0) |
    (byte === 0x23 || isAlphanumeric(byte) ? AMPERSAND : 0) |
    (single || MORE_AFTER_BACKSLASH[byte] === 1 ? BACKSLASH : 0) |
    (LINE_END[byte] === 1 ? CHARACTER : 0)
  );
}

/** The byte that two hexadecimal digits name, by `pairOf` them; -1 where not both are digits. */
export const HEX_PAIRS = hexPairs();

function hexPairs(): Int16Array {
  const table = new Int16Array(0x10000).fill(-1);
  const digits = [..."0123456789abcdefABCDEF"];
  for (const high of digits)
    for (const low of digits)
      table[pairOf(high.charCodeAt(0), low.charCodeAt(0))] = Number.parseInt(high + low, 16);
  return table;
}

/** Two bytes as the number they are in memory. */
export function pairOf(first: number, second: number): number {
  return IS_LITTLE ? first | (second << 8) : (first << 8) | second;
}
