import { BASE64, unfold } from "./fold.ts";
import { isLineBreak, isOfBreak } from "./notes.ts";
import { LEADS } from "./pairs.ts";

/** Which escapes are worth undoing. */
export interface Worth {
  /** 256 flags: whether those of this byte are. */
  readonly bytes: Uint8Array;
  /** 256 flags: whether any are of the 256 UTF-16 units with this upper byte. */
  readonly units: Uint8Array;
  /**
   * By the byte behind the break of a wrapped line: in which rows of such breaks it may be, `PLAIN`, `ESCAPED`, both or
   * none; LEADING where an escape may begin there.
   */
  readonly rows: Uint8Array;
}

/** More than a break of lines is long. */
const REACH = 31;
/** Breaks as they are, and as `\n` or `\r`. */
const PLAIN = 1;
const ESCAPED = 2;
const LEADING = 4;

/**
 * What is worth undoing an escape for: the bytes of the forms, and those that an inner escape is made of. An escape of
 * any other byte cannot stand inside a form, so that common JSON (`\n`, `\"`) is not copied.
 */
export function worthUndoing(forms: readonly { readonly bytes: Uint8Array }[]): Worth {
  const set = new Uint8Array(256);
  for (let byte = 0; byte < 128; byte++)
    set[byte] = /[A-Za-z0-9%\\&#;{}]/.test(String.fromCharCode(byte)) ? 1 : 0;
  for (const { bytes } of forms) for (const byte of bytes) set[byte] = 1;
  for (let byte = 0; byte < 256; byte++) if (unfold(byte).some((member) => set[member] === 1)) set[byte] = 1;
  return worthOf(set, rowsOf(forms));
}

function worthOf(bytes: Uint8Array, rows: Uint8Array): Worth {
  const units = Uint8Array.from({ length: 256 }, (_, upper) => {
    if (upper === 0) return 1;
    // Halves of pairs may stand for any code point above.
    if (upper >= 0xd8 && upper <= 0xdf && bytes.subarray(0xf0).includes(1)) return 1;
    const [first, last] = [leadingByte(upper << 8), leadingByte((upper << 8) | 0xff)];
    return bytes.subarray(first, last + 1).includes(1) ? 1 : 0;
  });
  return { bytes, units, rows };
}

/**
 * A row of wrapped lines can be joined at once where none of its breaks can be a part of a form (`Straddles`): no form
 * ends as a break begins, and none begins with the `n` of a `\n` and goes on as the text does there.
 */
function rowsOf(forms: readonly { readonly bytes: Uint8Array }[]): Uint8Array {
  let known = PLAIN | ESCAPED;
  const rows = new Uint8Array(256);
  const excepted = new Set<number>();
  for (const { bytes } of forms) {
    const [first, second] = [bytes[0]!, bytes[1]!];
    const isLetter = first === 0x6e || first === 0x72;
    for (const byte of [first, ...bytes.subarray(1).slice(-REACH)]) {
      if (isOfBreak(byte)) known &= isLineBreak(byte) ? 0 : ~ESCAPED;
    }
    if (isLetter && LEADS[second] === 1) known &= ~ESCAPED;
    if (isLetter) for (const byte of unfold(second)) excepted.add(byte);
  }
  for (let byte = 0; byte < 256; byte++) {
    if (LEADS[byte] === 1) rows[byte] = LEADING;
    else if (BASE64[byte] === 1) rows[byte] = excepted.has(byte) ? known & ~ESCAPED : known;
  }
  return rows;
}

/** The first byte of a code point in UTF-8. */
export function leadingByte(code: number): number {
  if (code < 0x80) return code;
  if (code < 0x800) return 0xc0 | (code >> 6);
  return code < 0x10000 ? 0xe0 | (code >> 12) : 0xf0 | (code >> 18);
}

/** Where no forms are known: all of them. */
export const ALL_WORTH: Worth = worthOf(new Uint8Array(256).fill(1), rowsOf([]));
