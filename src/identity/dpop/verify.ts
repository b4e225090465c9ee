import { createHash } from "node:crypto";
import { calculateJwkThumbprint, compactVerify, importJWK } from "jose";
import { publicKey } from "../oidc/algorithms.ts";
import { type JwsRefusal, readJws } from "../oidc/jws.ts";
import { normalizeTargetUri } from "./target-uri.ts";

/** How far `iat` may be from now, both ways (RFC 9449 §11.1: seconds or minutes). */
export const PROOF_WINDOW_SECONDS = 60;
/** A proof with an RSA-4096 key is about 2 KB. */
export const MAX_PROOF_CHARACTERS = 8_192;
const JTI = /^[\x21-\x7e]{1,128}$/;

export interface ProofRequest {
  /** The `DPoP` header's one value. */
  readonly proof: string;
  /** Of the request that carries it, as it came in. */
  readonly method: string;
  /** Of the request as the client addressed it, scheme and host included. */
  readonly url: string;
  /** `accessTokenHash` of the token that comes with the proof; left out where none does (a token request). */
  readonly accessTokenHash?: string;
  /** The key the token is bound to, `cnf.jkt`. */
  readonly expectedThumbprint?: string;
  /** In ms. */
  readonly now: number;
}

export type ProofRefusal =
  | JwsRefusal
  | "type"
  | "key"
  | "thumbprint"
  | "signature"
  | "method"
  | "uri"
  | "issued_at"
  | "jti"
  | "access_token";

export interface VerifiedProof {
  /** RFC 7638, SHA-256, base64url: the `jkt` that a token is bound to. */
  readonly thumbprint: string;
  readonly jti: string;
  /** In seconds. */
  readonly iat: number;
}

export type ProofVerdict =
  | ({ readonly kind: "ok" } & VerifiedProof)
  | { readonly kind: "refused"; readonly reason: ProofRefusal };

const refused = (reason: ProofRefusal): ProofVerdict => ({ kind: "refused", reason });

/** What `ath` has to be for an access token (RFC 9449 §4.2). */
export function accessTokenHash(accessToken: string): string {
  return createHash("sha256").update(accessToken).digest("base64url");
}

/** The `DPoP` header's value; null where it is missing or there are several (RFC 9449 §4.3, 1). */
export function singleProof(header: string | null): string | null {
  return header !== null && /^[A-Za-z0-9._-]+$/.test(header) ? header : null;
}

/**
 * Verifies a DPoP proof (RFC 9449 §4.3). Enforced, in order: size and form; an asymmetric algorithm; no header parameter
 * that brings a key but `jwk`; `typ`; `jwk` a public key that fits the algorithm; the key is the one the token is bound
 * to; `htm` and `htu`; `iat` within a minute; `jti`; `ath` where a token comes along; the signature.
 *
 * That a proof is used once is the caller's next step (replay.ts). The server hands out no nonces (§8): proofs live for
 * a minute and are remembered exactly, so a nonce would only add a round trip.
 */
export async function verifyProof(request: ProofRequest): Promise<ProofVerdict> {
  const read = readJws(request.proof, MAX_PROOF_CHARACTERS, "jwk");
  if (read.kind === "refused") return read;
  const { algorithm, type, header, payload } = read.jws;
  if (type !== "dpop+jwt") return refused("type");
  const { jwk } = header;
  if (typeof jwk !== "object" || jwk === null || Array.isArray(jwk)) return refused("key");
  const key = publicKey({ ...jwk, alg: "alg" in jwk ? jwk.alg : algorithm });
  if (key === null || !key.algorithms.includes(algorithm)) return refused("key");
  const thumbprint = await calculateJwkThumbprint(key.jwk, "sha256");
  const { expectedThumbprint } = request;
  if (expectedThumbprint !== undefined && thumbprint !== expectedThumbprint) return refused("thumbprint");

  const { htm, htu, iat, jti, ath } = payload;
  if (htm !== request.method) return refused("method");
  const target = normalizeTargetUri(request.url);
  if (typeof htu !== "string" || target === null || normalizeTargetUri(htu) !== target) return refused("uri");
  const now = request.now / 1_000;
  if (typeof iat !== "number" || Math.abs(iat - now) > PROOF_WINDOW_SECONDS) return refused("issued_at");
  if (typeof jti !== "string" || !JTI.test(jti)) return refused("jti");
  if (request.accessTokenHash !== undefined && ath !== request.accessTokenHash)
    return refused("access_token");
  try {
    await compactVerify(request.proof, await importJWK(key.jwk, algorithm), { algorithms: [algorithm] });
  } catch {
    return refused("signature");
  }
  return { kind: "ok", thumbprint, jti, iat };
}
