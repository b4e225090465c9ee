/** Whether the first byte in memory is the lower one. */
const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

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

/** Two bytes as the number they are in memory. */
export function pairOf(first: number, second: number): number {
  return IS_LITTLE ? first | (second << 8) : (first << 8) | second;
}
