import { compactVerify } from "jose";
import type { Clock } from "../../base/clock.ts";
import { type Algorithm, DEFAULT_ALGORITHMS } from "./algorithms.ts";
import { checkClaims, type ClaimRefusal, type Expected, type VerifiedClaims } from "./claims.ts";
import type { SourceFailure } from "./issuer.ts";
import type { IssuerKeys, KeyContext } from "./jwks.ts";
import { type JwsRefusal, readJws } from "./jws.ts";

/** RFC 7519 sets no bound; workloads' tokens are 1 to 3 KB. */
export const MAX_TOKEN_CHARACTERS = 16_384;

/** An issuer as it is configured, and what a token of it has to be. */
export interface ExpectedToken extends Expected {
  /** Left out: discovered from `{issuer}/.well-known/openid-configuration`. */
  readonly jwksUri?: string | undefined;
  /** Default: RS256, PS256, ES256, ES384, EdDSA. */
  readonly algorithms?: readonly Algorithm[];
}

/**
 * Exact, for the ledger; whoever sent the token hears `unauthorized()` and nothing else. Only `nonce` and `ok` come
 * after the signature: an earlier reason says what the token claims to be.
 */
export type TokenRefusal =
  | JwsRefusal
  | ClaimRefusal
  | "key_unknown"
  | "key_ambiguous"
  | "key_unusable"
  | "signature";

export type TokenVerdict =
  | { readonly kind: "ok"; readonly claims: VerifiedClaims }
  | { readonly kind: "refused"; readonly reason: TokenRefusal }
  /** The issuer's keys are not at hand: nothing is known about the token. Answer 503. */
  | { readonly kind: "unavailable"; readonly failure: SourceFailure };

export interface VerifyDependencies extends KeyContext {
  readonly keys: IssuerKeys;
  readonly clock: Clock;
}

const refused = (reason: TokenRefusal): TokenVerdict => ({ kind: "refused", reason });

/** What a token says its issuer and audiences are, to find what is configured for it. Null where it cannot be read. */
export function peekToken(
  token: string,
): { readonly issuer: string; readonly audiences: readonly string[] } | null {
  const read = readJws(token, MAX_TOKEN_CHARACTERS);
  if (read.kind === "refused") return null;
  const { iss, aud } = read.jws.payload;
  if (typeof iss !== "string") return null;
  const audiences = (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === "string");
  return { issuer: iss, audiences };
}

/**
 * Verifies a JWT of a configured issuer (RFC 7519, RFC 8725, OpenID Connect Core §3.1.3.7). In order, what is cheap
 * first and nothing fetched for a token that cannot pass:
 *
 * 1. at most 16 KB, a compact JWS, no member name twice; a JWE is refused unread (attack 53)
 * 2. no header parameter that brings a key; an asymmetric algorithm that is configured (attacks 52, 53)
 * 3. `typ`, `iss` exactly, `sub`, `aud`, `azp`, `exp`, `nbf`, `iat` (attacks 54, 55)
 * 4. exactly one key of the issuer that fits algorithm and key id (attack 56)
 * 5. the signature
 */
export async function verifyToken(
  token: string,
  expected: ExpectedToken,
  dependencies: VerifyDependencies,
): Promise<TokenVerdict> {
  const read = readJws(token, MAX_TOKEN_CHARACTERS);
  if (read.kind === "refused") return read;
  const { algorithm, type, keyId, payload } = read.jws;
  if (!(expected.algorithms ?? DEFAULT_ALGORITHMS).includes(algorithm)) return refused("algorithm");
  const { nonce: _nonce, ...beforeSignature } = expected;
  const wrong = checkClaims(type, payload, beforeSignature, dependencies.clock());
  if (wrong !== null) return refused(wrong);
  const lookup = await dependencies.keys.find(expected, algorithm, keyId, dependencies);
  switch (lookup.kind) {
    case "unavailable":
      return lookup;
    case "none":
      return refused("key_unknown");
    case "ambiguous":
      return refused("key_ambiguous");
    case "key":
      break;
  }
  let key: CryptoKey;
  try {
    key = await lookup.key.import(algorithm);
  } catch {
    return refused("key_unusable");
  }
  try {
    await compactVerify(token, key, { algorithms: [algorithm] });
  } catch {
    return refused("signature");
  }
  // The time is looked at again: fetching keys can take seconds.
  const late = checkClaims(type, payload, expected, dependencies.clock());
  return late === null ? { kind: "ok", claims: payload as VerifiedClaims } : refused(late);
}
