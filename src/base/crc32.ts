import { encodeBase62 } from "./base62.ts";

const TABLE = new Uint32Array(256);
for (let byte = 0; byte < 256; byte += 1) {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb8_8320 : 0);
  TABLE[byte] = remainder;
}

/** CRC-32 (ISO 3309, as in zip and PNG) of the text's UTF-8, from 0 to 2^32 - 1. */
export function crc32(text: string): number {
  let remainder = 0xffff_ffff;
  for (const byte of new TextEncoder().encode(text)) {
    remainder = (remainder >>> 8) ^ (TABLE[(remainder ^ byte) & 0xff] ?? 0);
  }
  return ~remainder >>> 0;
}

/**
 * The six base62 characters at the end of every credential made here: secret scanners tell real ones by it, and
 * mistyped or made-up ones are refused without looking anything up. It keeps no secret.
 */
export function checksum(text: string): string {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, crc32(text));
  return encodeBase62(bytes);
}
