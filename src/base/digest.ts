import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** HMAC-SHA256 (RFC 2104), synchronous: no await between reading state and writing it. */
export function hmacSha256(key: Uint8Array, data: Uint8Array | string): Uint8Array {
  return createHmac("sha256", key).update(data).digest();
}

/** SHA-256 (FIPS 180-4) as lower-case hex. */
export function sha256Hex(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Compares two digests of equal length in constant time; unequal lengths are unequal. */
export function equalDigests(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}
