import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { accessTokenHash } from "../../../src/identity/dpop/verify.ts";

let proofsMade = 0;

/** A client's key, and the proofs it makes (RFC 9449 §4.2). */
export class ProofKey {
  readonly thumbprint: string;
  readonly jwk: JWK;
  readonly #privateKey: CryptoKey;

  private constructor(privateKey: CryptoKey, jwk: JWK, thumbprint: string) {
    this.#privateKey = privateKey;
    this.jwk = jwk;
    this.thumbprint = thumbprint;
  }

  static async make(): Promise<ProofKey> {
    const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
    const jwk = await exportJWK(publicKey);
    return new ProofKey(privateKey, jwk, await calculateJwkThumbprint(jwk));
  }

  /** For a request, with the token that it comes with if there is one; `claims` changes it. */
  proof(method: string, url: string, token: string | null = null, claims: object = {}): Promise<string> {
    proofsMade += 1;
    const own = {
      jti: `proof-${proofsMade}`,
      htm: method,
      htu: url,
      iat: Math.floor(Date.now() / 1000),
      ...(token === null ? {} : { ath: accessTokenHash(token) }),
    };
    return new SignJWT({ ...own, ...claims })
      .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk: this.jwk })
      .sign(this.#privateKey);
  }
}
