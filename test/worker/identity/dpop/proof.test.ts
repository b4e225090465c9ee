import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import {
  accessTokenHash,
  MAX_PROOF_CHARACTERS,
  type ProofRequest,
  singleProof,
  verifyProof,
} from "../../../../src/identity/dpop/verify.ts";

const NOW = 1_795_348_800;
const URL = "https://valetkey.example.com/proxy/stripe/v1/charges";

interface ClientKey {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
  readonly algorithm: string;
}

async function clientKey(algorithm: string): Promise<ClientKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  return { privateKey, jwk: await exportJWK(publicKey), algorithm };
}

let client: ClientKey;
beforeAll(async () => {
  client = await clientKey("ES256");
});

function proofOf(claims: object = {}, header: object = {}, key = client): Promise<string> {
  return new SignJWT({ jti: "-BwC3ESc6acc2lTc", htm: "POST", htu: URL, iat: NOW, ...claims })
    .setProtectedHeader({ alg: key.algorithm, typ: "dpop+jwt", jwk: key.jwk, ...header })
    .sign(key.privateKey);
}

async function outcome(proof: string, request: Partial<ProofRequest> = {}): Promise<string> {
  const verdict = await verifyProof({ proof, method: "POST", url: URL, now: NOW * 1_000, ...request });
  return verdict.kind === "ok" ? "ok" : verdict.reason;
}

/** RFC 9449 §4.1 and §7.1. */
const RFC_HEADER =
  "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19";
const RFC_TOKEN_REQUEST = `${RFC_HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg`;
const RFC_RESOURCE_REQUEST = `${RFC_HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA`;
const RFC_ACCESS_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const RFC_THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

describe("a DPoP proof", () => {
  it("of RFC 9449 is verified, with the thumbprint and the hash that the RFC gives", async () => {
    expect(
      await verifyProof({
        proof: RFC_TOKEN_REQUEST,
        method: "POST",
        url: "https://server.example.com/token",
        now: 1_562_262_620_000,
      }),
    ).toEqual({ kind: "ok", thumbprint: RFC_THUMBPRINT, jti: "-BwC3ESc6acc2lTc", iat: 1_562_262_616 });
    expect(
      await verifyProof({
        proof: RFC_RESOURCE_REQUEST,
        method: "GET",
        url: "https://resource.example.org/protectedresource",
        accessTokenHash: accessTokenHash(RFC_ACCESS_TOKEN),
        expectedThumbprint: RFC_THUMBPRINT,
        now: 1_562_262_620_000,
      }),
    ).toMatchObject({ kind: "ok", jti: "e1j3V_bKic8-LAEB" });
  });

  it.each(["ES256", "ES384", "EdDSA", "PS256", "RS256"])("may be signed with %s", async (algorithm) => {
    expect(await outcome(await proofOf({}, {}, await clientKey(algorithm)))).toBe("ok");
  });

  it("attack 58: for another method or URL is refused", async () => {
    const proof = await proofOf();
    expect(await outcome(proof)).toBe("ok");
    for (const method of ["GET", "post", "PUT"]) expect(await outcome(proof, { method })).toBe("method");
    for (const url of [
      "https://valetkey.example.com/proxy/stripe/v1/charges/",
      "https://valetkey.example.com/proxy/stripe/v1/Charges",
      "https://valetkey.example.com/proxy/stripe/v1/refunds",
      "https://valetkey.example.com:8443/proxy/stripe/v1/charges",
      "http://valetkey.example.com/proxy/stripe/v1/charges",
      "https://other.example.com/proxy/stripe/v1/charges",
      "https://valetkey.example.com/proxy/stripe/v1%2Fcharges",
      "nonsense",
    ]) {
      expect(await outcome(proof, { url }), url).toBe("uri");
    }
  });

  it("names the URL without query and fragment, in any of its equivalent spellings", async () => {
    expect(await outcome(await proofOf(), { url: `${URL}?limit=3#top` })).toBe("ok");
    for (const htu of [
      "HTTPS://VALETKEY.example.com:443/proxy/stripe/v1/charges",
      "https://valetkey.example.com/proxy/./stripe/v1/%63harges",
      `${URL}?other=query`,
    ]) {
      expect(await outcome(await proofOf({ htu })), htu).toBe("ok");
    }
    for (const [htu, url] of [
      ["https://h.example/%7Ea%2fb", "https://h.example/~a%2Fb"],
      ["https://h.example", "https://h.example/"],
    ] as const) {
      expect(await outcome(await proofOf({ htu }), { url }), htu).toBe("ok");
    }
  });

  it.each([
    "",
    null,
    undefined,
    [URL],
    "/proxy/stripe/v1/charges",
    "https://valetkey.example.com@attacker.example/proxy/stripe/v1/charges",
    "https://user@valetkey.example.com/proxy/stripe/v1/charges",
    "https://@valetkey.example.com/proxy/stripe/v1/charges",
    "https:\\\\valetkey.example.com/proxy/stripe/v1/charges",
    "https://valetkey.example.com\\proxy\\stripe\\v1\\charges",
    " https://valetkey.example.com/proxy/stripe/v1/charges",
    "https://valetkey.example.com/proxy/stripe/v1/charges\n",
    "https://valetkey。example.com/proxy/stripe/v1/charges",
    "https:valetkey.example.com/proxy/stripe/v1/charges",
    "ftp://valetkey.example.com/proxy/stripe/v1/charges",
  ])("with htu %j is refused", async (htu) => {
    expect(await outcome(await proofOf({ htu }))).toBe("uri");
  });

  it("attack 58: is good for a minute before and after, and not longer", async () => {
    expect(await outcome(await proofOf({ iat: NOW - 60 }))).toBe("ok");
    expect(await outcome(await proofOf({ iat: NOW + 60 }))).toBe("ok");
    for (const iat of [NOW - 61, NOW + 61, String(NOW), undefined, null, NOW * 1_000, 0]) {
      expect(await outcome(await proofOf({ iat }))).toBe("issued_at");
    }
  });

  it.each([undefined, "", null, 7, ["a"], "x".repeat(129), "a b", "ä", "a\n"])(
    "attack 58: with jti %j is refused",
    async (jti) => {
      expect(await outcome(await proofOf({ jti }))).toBe("jti");
    },
  );

  it("attack 58: belongs to the access token it comes with", async () => {
    const ath = accessTokenHash("vkt_one");
    const request = { accessTokenHash: ath };
    expect(await outcome(await proofOf({ ath }), request)).toBe("ok");
    for (const other of [accessTokenHash("vkt_two"), undefined, null, "", `${ath}=`, [ath]]) {
      expect(await outcome(await proofOf({ ath: other }), request)).toBe("access_token");
    }
  });

  it("attack 58: by another key than the token's is refused", async () => {
    const expectedThumbprint = await calculateJwkThumbprint(client.jwk);
    expect(await outcome(await proofOf(), { expectedThumbprint })).toBe("ok");
    const other = await clientKey("ES256");
    expect(await outcome(await proofOf({}, {}, other), { expectedThumbprint })).toBe("thumbprint");
    const stolen = await proofOf({}, { jwk: client.jwk }, other);
    expect(await outcome(stolen, { expectedThumbprint })).toBe("signature");
  });

  it("attack 53: has a public key that fits, in its header and nowhere else", async () => {
    const secret = await exportJWK(client.privateKey);
    expect(secret.d).toBeDefined();
    for (const jwk of [
      secret,
      { ...client.jwk, k: "AAAA" },
      { kty: "oct", k: "AAAA" },
      { ...client.jwk, crv: "P-384" },
      { ...client.jwk, alg: "ES384" },
      { ...client.jwk, use: "enc" },
      { kty: "RSA", n: "AQAB", e: "AQAB" },
      {},
      null,
      [],
      "key",
      undefined,
    ]) {
      expect(await outcome(await proofOf({}, { jwk }))).toBe("key");
    }
    const rsa = await clientKey("PS256");
    expect(await outcome(await proofOf({}, { jwk: { ...rsa.jwk, alg: "PS256" } }, rsa))).toBe("ok");
    expect(await outcome(await proofOf({}, { jwk: { ...rsa.jwk, alg: "RS256" } }, rsa))).toBe("key");
    for (const header of [{ jku: "https://attacker.example" }, { x5c: [] }, { x5u: "x" }, { crit: [] }]) {
      const [, payload, signature] = (await proofOf()).split(".");
      const encoded = Buffer.from(
        JSON.stringify({ alg: "ES256", typ: "dpop+jwt", jwk: client.jwk, ...header }),
      ).toString("base64url");
      expect(await outcome(`${encoded}.${payload}.${signature}`)).toBe("header");
    }
  });

  it("attack 52: is refused with alg none or an HMAC keyed with its own jwk", async () => {
    const [, payload] = (await proofOf()).split(".");
    for (const alg of ["none", "HS256"]) {
      const header = Buffer.from(JSON.stringify({ alg, typ: "dpop+jwt", jwk: client.jwk }));
      expect(await outcome(`${header.toString("base64url")}.${payload}.AAAA`)).toBe("algorithm");
    }
    const forged = await new SignJWT({ jti: "a", htm: "POST", htu: URL, iat: NOW })
      .setProtectedHeader({
        alg: "HS256",
        typ: "dpop+jwt",
        ...({ jwk: { kty: "oct", k: "c2VjcmV0" } } as object),
      })
      .sign(new TextEncoder().encode("secret".padEnd(32, "x")));
    expect(await outcome(forged)).toBe("algorithm");
  });

  it("is told by its typ, so that no other token of the key is one", async () => {
    for (const typ of ["JWT", "at+jwt", "application/dpop+jwt", "", undefined]) {
      expect(await outcome(await proofOf({}, { typ }))).toBe("type");
    }
  });

  it("is bounded in size, and changed in any part it is refused", async () => {
    expect(await outcome(await proofOf({ pad: "x".repeat(MAX_PROOF_CHARACTERS) }))).toBe("too_large");
    const proof = await proofOf();
    const [header = "", payload = ""] = proof.split(".");
    const other = (await proofOf({ jti: "other" })).split(".");
    expect(await outcome(`${header}.${payload}.${other[2]}`)).toBe("signature");
    expect(await outcome(`${header}.${other[1]}.${proof.split(".")[2]}`)).toBe("signature");
    for (const junk of ["", "a.b.c", `${header}.${payload}`, `${proof}.x`, `${proof} `]) {
      expect(await outcome(junk)).toBe("malformed");
    }
  });

  it("comes once: of two in the header neither counts", async () => {
    const proof = await proofOf();
    expect(singleProof(proof)).toBe(proof);
    for (const header of [null, "", `${proof}, ${proof}`, `${proof} `, "a b"]) {
      expect(singleProof(header)).toBeNull();
    }
  });
});
