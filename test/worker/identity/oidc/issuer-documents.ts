import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import type { Algorithm } from "../../../../src/identity/oidc/algorithms.ts";
import type { Fetch } from "../../../../src/identity/oidc/issuer.ts";
import { IssuerKeys } from "../../../../src/identity/oidc/jwks.ts";
import {
  type ExpectedToken,
  type TokenVerdict,
  type VerifyDependencies,
  verifyToken,
} from "../../../../src/identity/oidc/verify.ts";

export const ISSUER = "https://issuer.example.com";
export const AUDIENCE = "https://valetkey.example.com";
/** 22 November 2026, 12:00 UTC. */
export const NOW = 1_795_348_800;

export interface SigningKey {
  readonly kid: string;
  readonly algorithm: Algorithm;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  /** With `kid`, `use` and `alg`. */
  readonly jwk: JWK;
}

export async function signingKey(algorithm: Algorithm, kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, use: "sig", alg: algorithm };
  return { kid, algorithm, privateKey, publicKey, jwk };
}

export const standardClaims = {
  iss: ISSUER,
  aud: AUDIENCE,
  sub: "workload-1",
  iat: NOW - 10,
  nbf: NOW - 10,
  exp: NOW + 300,
};

/** A token with the standard claims, changed by `claims` (undefined takes one out) and `header`. */
export function tokenOf(
  key: SigningKey,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  return new SignJWT({ ...standardClaims, ...claims })
    .setProtectedHeader({ alg: key.algorithm, kid: key.kid, typ: "JWT", ...header })
    .sign(key.privateKey);
}

export const encodePart = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** An issuer's two documents, and what was asked of it. */
export class IssuerDocuments {
  keys: JWK[];
  metadata: Record<string, unknown> = { issuer: ISSUER, jwks_uri: `${ISSUER}/keys` };
  /** Answers instead of the documents where it is set. */
  instead: ((url: string, signal: AbortSignal) => Promise<Response>) | null = null;
  readonly asked: string[] = [];

  constructor(...keys: SigningKey[]) {
    this.keys = keys.map(({ jwk }) => jwk);
  }

  readonly fetch: Fetch = async (url, { signal, redirect }) => {
    if (redirect !== "manual") throw new Error("redirects would be followed");
    this.asked.push(url);
    if (this.instead !== null) return this.instead(url, signal);
    return Response.json(url.endsWith("/keys") ? { keys: this.keys } : this.metadata);
  };

  get keyLoads(): number {
    return this.asked.filter((url) => url.endsWith("/keys")).length;
  }
}

/** A verifier over an issuer's documents with a clock of its own. */
export class Verifier {
  seconds = NOW;
  refusedUrls: readonly string[] = [];
  readonly #dependencies: VerifyDependencies;

  constructor(documents: IssuerDocuments, timeoutMs?: number) {
    const clock = (): number => this.seconds * 1_000;
    const options = timeoutMs === undefined ? {} : { timeoutMs };
    this.#dependencies = {
      keys: new IssuerKeys({ fetch: documents.fetch, clock, ...options }),
      clock,
      waitUntil: () => undefined,
      checkDestination: (url) => {
        if (this.refusedUrls.includes(url)) throw new Error("refused");
      },
    };
  }

  get dependencies(): VerifyDependencies {
    return this.#dependencies;
  }

  verify(token: string, expected: Partial<ExpectedToken> = {}): Promise<TokenVerdict> {
    const all = { kind: "workload", issuer: ISSUER, audience: AUDIENCE, ...expected } as const;
    return verifyToken(token, all, this.#dependencies);
  }

  /** `"ok"`, or why not. */
  async outcome(token: string, expected: Partial<ExpectedToken> = {}): Promise<string> {
    const verdict = await this.verify(token, expected);
    if (verdict.kind === "ok") return "ok";
    return verdict.kind === "refused" ? verdict.reason : verdict.failure;
  }
}
