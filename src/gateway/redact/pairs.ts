/**
 * Kinds of two bytes at once, by which one pass over a text finds escapes, long runs and names: half the lookups of a
 * pass byte by byte, and one pass instead of three. A set of bits each.
 */

/** One of the two begins an escape or ends a line: `%`, `\`, `&`, CR, LF. */
export const LEAD = 1;
/** Not both are characters of a token: what holds them is no part of a long run. */
export const LOOSE = 2;
/** `_t` or `n"`: one of the two stands at an even place in every `_token"`. */
export const NAME = 4;

/** 1 for the bytes that begin an escape, or the wrap of a line. */
export const LEADS: Uint8Array = flags(/[%\\&\r\n]/);
/** 1 for the characters that tokens are made of. */
export const TOKEN: Uint8Array = flags(/[A-Za-z0-9_.-]/);

/** A table of bytes, 1 for those of a class of ASCII characters. */
export function flags(members: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    byte < 128 && members.test(String.fromCharCode(byte)) ? 1 : 0,
  );
}

const tables = new Map<number, Uint8Array>();

/**
 * The kinds of all pairs, by the 16-bit number that they are in memory. Without `runs` everything is LOOSE, without
 * `names` nothing is NAME.
 */
export function pairKinds(runs: boolean, names: boolean): Uint8Array {
  const key = (runs ? 1 : 0) + (names ? 2 : 0);
  const known = tables.get(key);
  if (known !== undefined) return known;
  const table = new Uint8Array(0x10000);
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second++) {
      const isTight = runs && TOKEN[first] === 1 && TOKEN[second] === 1;
      table[pairOf(first, second)] = ((LEADS[first]! | LEADS[second]!) * LEAD) | (isTight ? 0 : LOOSE);
    }
  }
  for (const pair of names ? ["_t", 'n"'] : [])
    table[pairOf(pair.charCodeAt(0), pair.charCodeAt(1))]! |= NAME;
  tables.set(key, table);
  return table;
}

const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Two bytes as the number they are in memory. */
export function pairOf(first: number, second: number): number {
  return IS_LITTLE ? first | (second << 8) : (first << 8) | second;
}
