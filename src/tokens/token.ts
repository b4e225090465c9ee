import { decodeBase62, encodeBase62 } from "../base/base62.ts";
import { BoundedCache } from "../base/cache.ts";
import type { Clock } from "../base/clock.ts";
import { checksum } from "../base/crc32.ts";
import { equalDigests, hmacSha256 } from "../base/digest.ts";
import { idBytes, idFromBytes, type TenantId, type TokenId } from "../base/ids.ts";
import { idIn, jurisdictionByte, jurisdictionOfByte } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";

/**
 * A scoped token: `vkt_`, 90 base62 characters of payload, 6 of CRC-32. The payload's 60 bytes, big-endian:
 *
 * | 0       | 1              | 2            | 3 | 4–11   | 12–23 | 24–27            | 28–59                     |
 * | ------- | -------------- | ------------ | - | ------ | ----- | ---------------- | ------------------------- |
 * | version | signing key id | jurisdiction | 0 | tenant | token | expiry (seconds) | HMAC-SHA256 of bytes 0–27 |
 *
 * The checksum lets secret scanners and this code tell junk without a key; the tag and the expiry are checked without
 * any I/O, so that junk costs no storage call.
 */
const PREFIX = "vkt_";
const PAYLOAD_CHARACTERS = 90;
const TOKEN_LENGTH = PREFIX.length + PAYLOAD_CHARACTERS + 6;
const VERSION = 1;
const SIGNED_BYTES = 28;

/** Finds what looks like a scoped token inside a header, URL or body. */
export const TOKEN_PATTERN = /vkt_[0-9A-Za-z]{96}/;

export interface TokenClaims {
  readonly tenantId: TenantId;
  readonly tokenId: TokenId;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/**
 * Signs and reads tokens. Several keys can be live, so that they rotate: the first signs, all verify.
 * `spec`: `id:base64` pairs separated by commas, id 1 to 255, 32 bytes each. Throws MISCONFIGURED otherwise.
 */
export class TokenSigner {
  readonly #keys = new Map<number, Uint8Array>();
  readonly #signingKeyId: number;
  readonly #verified = new BoundedCache<string, TokenClaims>(10_000);

  constructor(spec: string | undefined) {
    for (const part of (spec ?? "").split(",")) {
      const [id, encoded] = part.trim().split(":");
      const key = Buffer.from(encoded ?? "", "base64");
      const keyId = Number(id);
      if (!Number.isInteger(keyId) || keyId < 1 || keyId > 255 || key.byteLength !== 32) {
        throw new Problem(
          "MISCONFIGURED",
          "TOKEN_SIGNING_KEYS must be `id:base64 of 32 bytes`, comma-separated.",
        );
      }
      this.#keys.set(keyId, key);
    }
    this.#signingKeyId = this.#keys.keys().next().value ?? 0;
  }

  issue(claims: TokenClaims): string {
    const payload = new Uint8Array(60);
    payload[0] = VERSION;
    payload[1] = this.#signingKeyId;
    payload[2] = jurisdictionByte(claims.tenantId);
    payload.set(idBytes(claims.tenantId), 4);
    payload.set(idBytes(claims.tokenId), 12);
    new DataView(payload.buffer).setUint32(24, Math.floor(claims.expiresAt / 1000));
    const key = this.#keys.get(this.#signingKeyId);
    if (key === undefined) throw new Problem("MISCONFIGURED", "There is no token signing key.");
    payload.set(hmacSha256(key, payload.subarray(0, SIGNED_BYTES)), SIGNED_BYTES);
    const text = PREFIX + encodeBase62(payload);
    return text + checksum(text);
  }

  /** The claims of a token that this deployment signed and that has not expired, else null. No I/O. */
  verify(token: string, clock: Clock): TokenClaims | null {
    const claims = this.#verified.get(token) ?? this.#read(token);
    if (claims === null || claims.expiresAt <= clock()) return null;
    return claims;
  }

  #read(token: string): TokenClaims | null {
    if (token.length !== TOKEN_LENGTH || !token.startsWith(PREFIX)) return null;
    const text = token.slice(0, -6);
    if (checksum(text) !== token.slice(-6)) return null;
    const payload = decodeBase62(text.slice(PREFIX.length));
    if (payload === null || payload[0] !== VERSION || payload[3] !== 0) return null;
    const key = this.#keys.get(payload[1] ?? 0);
    if (key === undefined) return null;
    if (!equalDigests(hmacSha256(key, payload.subarray(0, SIGNED_BYTES)), payload.subarray(SIGNED_BYTES)))
      return null;
    const jurisdiction = jurisdictionOfByte(payload[2]);
    if (jurisdiction === undefined) return null;
    const claims: TokenClaims = {
      tenantId: idIn(jurisdiction, idFromBytes("tenant", payload.subarray(4, 12))),
      tokenId: idIn(jurisdiction, idFromBytes("token", payload.subarray(12, 24))),
      expiresAt: new DataView(payload.buffer, payload.byteOffset).getUint32(24) * 1000,
    };
    this.#verified.set(token, claims);
    return claims;
  }
}
