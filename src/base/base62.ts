const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHUNK_BYTES = 4;
const CHUNK_CHARACTERS = 6;
const MAX_CHUNK = 0xffff_ffff;
const HALF = 62 ** 3;

/** The digit's value by character code; -1 for every other character. */
const DIGITS = new Int8Array(128).fill(-1);
for (let value = 0; value < ALPHABET.length; value += 1) DIGITS[ALPHABET.charCodeAt(value)] = value;

/**
 * Base62 (0-9, A-Z, a-z) of bytes whose number is a multiple of 4: each 4 bytes, big-endian, are 6 characters, so the
 * length of the text says the length of the bytes and there is one text for them. Throws RangeError for other lengths.
 */
export function encodeBase62(bytes: Uint8Array): string {
  if (bytes.byteLength % CHUNK_BYTES !== 0) throw new RangeError("base62 takes a multiple of 4 bytes");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = "";
  for (let offset = 0; offset < bytes.byteLength; offset += CHUNK_BYTES) {
    const chunk = view.getUint32(offset);
    text += threeDigits(Math.trunc(chunk / HALF)) + threeDigits(chunk % HALF);
  }
  return text;
}

function threeDigits(value: number): string {
  return `${ALPHABET[Math.trunc(value / 3844)]}${ALPHABET[Math.trunc(value / 62) % 62]}${ALPHABET[value % 62]}`;
}

/** The bytes of a text that `encodeBase62` made, null for every other text. */
export function decodeBase62(text: string): Uint8Array | null {
  if (text.length % CHUNK_CHARACTERS !== 0) return null;
  const bytes = new Uint8Array((text.length / CHUNK_CHARACTERS) * CHUNK_BYTES);
  const view = new DataView(bytes.buffer);
  for (let start = 0, offset = 0; start < text.length; start += CHUNK_CHARACTERS, offset += CHUNK_BYTES) {
    let chunk = 0;
    for (let index = start; index < start + CHUNK_CHARACTERS; index += 1) {
      const digit = DIGITS[text.charCodeAt(index)] ?? -1;
      if (digit < 0) return null;
      chunk = chunk * 62 + digit;
    }
    if (chunk > MAX_CHUNK) return null;
    view.setUint32(offset, chunk);
  }
  return bytes;
}
