import { replayEntry } from "./replay.ts";
import { accessTokenHash, type ProofRefusal, singleProof, verifyProof } from "./verify.ts";

/** How a token came with a request. */
export interface Presented {
  readonly token: string;
  /** `dpop`: `Authorization: DPoP`; `own`: the gateway's own header; `bearer`: anywhere else. */
  readonly scheme: "bearer" | "dpop" | "own";
  /** The `DPoP` header, as it is. */
  readonly proof: string | null;
  readonly method: string;
  /** As the client addressed it: `clientUrl`. */
  readonly url: string;
}

/** A proof that is good once, as its token's object remembers it; in milliseconds since 1970. */
export interface SpendableProof {
  readonly key: string;
  readonly expiresAt: number;
}

export type PresentedVerdict =
  /** `proof`: still to be spent; null for a token that is bound to no key. */
  | { readonly kind: "ok"; readonly proof: SpendableProof | null }
  | { readonly kind: "refused"; readonly reason: ProofRefusal | "scheme" | "unbound" | "proof_missing" };

/**
 * Whether a token's sender may use it: one that is bound to a key (`jkt`) comes by `DPoP` or in the gateway's own
 * header, with a proof of that key, for this request and this token (RFC 9449 §7). Where `Bearer` would do, whoever
 * finds a bound token could use it as any other (§7.2). One that is not bound does not come by `DPoP`.
 */
export async function checkPresented(
  { token, scheme, proof: header, method, url }: Presented,
  jkt: string | null,
  now: number,
): Promise<PresentedVerdict> {
  if (jkt === null) {
    return scheme === "dpop" ? { kind: "refused", reason: "unbound" } : { kind: "ok", proof: null };
  }
  if (scheme === "bearer") return { kind: "refused", reason: "scheme" };
  const proof = singleProof(header);
  if (proof === null) return { kind: "refused", reason: "proof_missing" };
  const verdict = await verifyProof({
    ...{ proof, method, url, now },
    accessTokenHash: accessTokenHash(token),
    expectedThumbprint: jkt,
  });
  return verdict.kind === "ok" ? { kind: "ok", proof: replayEntry(verdict) } : verdict;
}

/**
 * The URL as the client sees it, from the gateway's own origin for that host and the request's raw URL: a proxy in front
 * may have ended TLS.
 */
export function clientUrl(origin: string, rawUrl: string): string {
  const path = rawUrl.indexOf("/", rawUrl.indexOf("://") + 3);
  return path < 0 ? `${origin}/` : origin + rawUrl.slice(path);
}
