import type { JWK } from "jose";

/**
 * The signature algorithms there are here: asymmetric ones only (RFC 7518 §3.1, RFC 8037, RFC 9864). `none`, the HMACs
 * and everything of JWE are no values of this type and so can never be configured (attack 52).
 */
export const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** What an issuer may sign with where nothing else is configured. */
export const DEFAULT_ALGORITHMS: readonly Algorithm[] = [
  "RS256",
  "PS256",
  "ES256",
  "ES384",
  "EdDSA",
  "Ed25519",
];

export function isAlgorithm(value: unknown): value is Algorithm {
  return ALGORITHMS.some((algorithm) => algorithm === value);
}

/** A public key: what verification needs, and no other member of the JWK it came from. */
export interface PublicKey {
  readonly jwk: JWK;
  /** The algorithms it may be used with: one, or two names of the same one. */
  readonly algorithms: readonly Algorithm[];
}

const CURVES: Readonly<Record<string, Algorithm>> = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };
const ED25519: readonly Algorithm[] = ["EdDSA", "Ed25519"];
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
const BASE64URL = /^[A-Za-z0-9_-]+$/;
/** 2048 to 8192 bits as base64url. */
const MODULUS_CHARACTERS = { least: 342, most: 1_366 };

function base64url(value: unknown, least: number, most: number): value is string {
  return typeof value === "string" && value.length >= least && value.length <= most && BASE64URL.test(value);
}

/** The key's own members and what its type alone allows; null for a type or curve that nothing here signs with. */
function materialOf(
  jwk: Readonly<Record<string, unknown>>,
): { material: JWK; fit: readonly Algorithm[] } | null {
  const { kty, crv, n, e, x, y } = jwk;
  if (kty === "RSA") {
    if (!base64url(n, MODULUS_CHARACTERS.least, MODULUS_CHARACTERS.most) || !base64url(e, 1, 6)) return null;
    return { material: { kty, n, e }, fit: ALGORITHMS.filter((name) => /^[RP]S/.test(name)) };
  }
  if (kty === "EC" && typeof crv === "string" && Object.hasOwn(CURVES, crv)) {
    const algorithm = CURVES[crv];
    if (algorithm === undefined || !base64url(x, 42, 88) || !base64url(y, 42, 88)) return null;
    return { material: { kty, crv, x, y }, fit: [algorithm] };
  }
  if (kty === "OKP" && crv === "Ed25519" && base64url(x, 43, 43)) {
    return { material: { kty, crv, x }, fit: ED25519 };
  }
  return null;
}

/**
 * A JWK (RFC 7517) as a key to verify with, or null where it is none: symmetric, private, of another `use`, without
 * `verify` among its `key_ops`, of an unknown type or curve, or with an `alg` that its type does not fit.
 *
 * A JWK that names its `alg` is used with exactly that one. One without is used with what its curve decides; RSA, which
 * decides nothing, with RS256 alone (the algorithm every OpenID provider has, and what those who leave `alg` out sign
 * with). So no key is ever used with an algorithm that a token chose (attack 52).
 */
export function publicKey(jwk: Readonly<Record<string, unknown>>): PublicKey | null {
  if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) return null;
  const { alg, use, key_ops: operations } = jwk;
  if (use !== undefined && use !== "sig") return null;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) return null;
  const found = materialOf(jwk);
  if (found === null) return null;
  const { material, fit } = found;
  if (alg === undefined) return { jwk: material, algorithms: material.kty === "RSA" ? ["RS256"] : fit };
  return isAlgorithm(alg) && fit.includes(alg) ? { jwk: material, algorithms: [alg] } : null;
}
