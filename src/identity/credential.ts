import { decodeBase62, encodeBase62 } from "../base/base62.ts";
import { checksum } from "../base/crc32.ts";
import { equalDigests, hmacSha256 } from "../base/digest.ts";
import { toHex } from "../base/ids.ts";
import { type Jurisdiction, jurisdictionOf } from "../base/jurisdiction.ts";
import { Redacted } from "../base/redacted.ts";

/**
 * Agent keys begin with `vka_`, members' credentials with `vkm_`, their sessions' tokens with `vks_`, what makes a
 * tenant's first admin with `vkb_`, codes that enrol a person with `vke_`. A jurisdiction follows where the tenant has
 * one, `vka_eu_…`: it says in which database to look, and only there.
 */
export type CredentialPrefix = "vka" | "vkm" | "vks" | "vkb" | "vke";

const SECRET_BYTES = 32;
const SECRET_CHARACTERS = 48;
const CHECKSUM_CHARACTERS = 6;

/** A fresh credential: prefix, `_`, 256 random bits and the checksum of all before it, 58 characters or some more. */
export function newCredential(prefix: CredentialPrefix, jurisdiction: Jurisdiction | null = null): Redacted {
  const start = jurisdiction === null ? `${prefix}_` : `${prefix}_${jurisdiction}_`;
  const body = start + encodeBase62(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
  return new Redacted(body + checksum(body));
}

/** Whether a text could be a credential made here: without it, nothing is looked up. */
export function isCredential(prefix: CredentialPrefix, text: string): boolean {
  const start = prefix.length + 1 + (jurisdictionOf(text)?.length ?? -1) + 1;
  const end = start + SECRET_CHARACTERS;
  return (
    text.length === end + CHECKSUM_CHARACTERS &&
    text.startsWith(`${prefix}_`) &&
    decodeBase62(text.slice(start, end)) !== null &&
    text.slice(end) === checksum(text.slice(0, end))
  );
}

/** What is stored of a credential: its HMAC-SHA256 under the deployment's pepper, lower-case hex. */
export function credentialDigest(pepper: Uint8Array, credential: Redacted | string): string {
  return toHex(hmacSha256(pepper, typeof credential === "string" ? credential : credential.revealBytes()));
}

/** Compares two credentials by their digests, in constant time. */
export function sameCredential(pepper: Uint8Array, a: Redacted, b: string): boolean {
  return equalDigests(hmacSha256(pepper, a.revealBytes()), hmacSha256(pepper, b));
}
