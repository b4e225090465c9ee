const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Whether JSON in UTF-8 has lists and objects more than `levels` deep, told before anything parses it and without
 * recursion: one pass, which ends where it is known. Of bytes that are no JSON it says whatever comes out; they are
 * refused by who parses them.
 */
export function isDeeperThan(levels: number, json: Uint8Array): boolean {
  // Fewer bytes than levels cannot be deeper.
  if (json.length <= levels) return false;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (inString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) {
      inString = true;
    } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      depth++;
      if (depth > levels) return true;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      depth--;
    }
  }
  return false;
}
