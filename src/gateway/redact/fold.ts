/**
 * Bytes that the search takes for the same: letters of either case (hexadecimal digits; and a secret in other case
 * is still most of the secret), the two alphabets of base64 (RFC 4648), and `+` for a space as in URL forms.
 */

/** The bytes that are members of one class, first the one that stands for it. */
function classOf(byte: number): number[] {
  const char = String.fromCharCode(byte);
  if ("+- ".includes(char)) return [0x2b, 0x2d, 0x20];
  if ("/_".includes(char)) return [0x2f, 0x5f];
  if (/[a-z]/i.test(char)) return [byte | 0x20, byte & ~0x20];
  return [byte];
}

/** Each byte's class, as the member that stands for it. */
export const FOLD: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => classOf(byte)[0]!);

/** 1 for the characters of both base64 alphabets, padding left out. */
export const BASE64: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9+/_-]/.test(String.fromCharCode(byte)) ? 1 : 0,
);

const MEMBERS: readonly (readonly number[])[] = Array.from({ length: 256 }, (_, byte) => classOf(byte));

/** All bytes of the class of `byte`. */
export function unfold(byte: number): readonly number[] {
  return MEMBERS[byte]!;
}

/** A copy with every byte replaced by its class. */
export function fold(bytes: Uint8Array): Uint8Array {
  const folded = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) folded[i] = FOLD[bytes[i]!]!;
  return folded;
}
