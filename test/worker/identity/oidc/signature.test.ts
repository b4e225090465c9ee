import { CompactEncrypt, exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { ALGORITHMS, publicKey } from "../../../../src/identity/oidc/algorithms.ts";
import { readJws } from "../../../../src/identity/oidc/jws.ts";
import { peekToken } from "../../../../src/identity/oidc/verify.ts";
import {
  encodePart,
  IssuerDocuments,
  type SigningKey,
  signingKey,
  standardClaims,
  tokenOf,
  Verifier,
} from "./issuer-documents.ts";

let rsa: SigningKey;
let ec: SigningKey;
let documents: IssuerDocuments;
let verifier: Verifier;

beforeAll(async () => {
  rsa = await signingKey("RS256", "rsa");
  ec = await signingKey("ES256", "ec");
  documents = new IssuerDocuments(rsa, ec);
  verifier = new Verifier(documents);
});

describe("a token's algorithm", () => {
  it.each(ALGORITHMS.filter((name) => !/^RS(384|512)|^PS(384|512)/.test(name)))(
    "%s verifies with a key that says so",
    async (algorithm) => {
      const key = await signingKey(algorithm, "k");
      const fresh = new Verifier(new IssuerDocuments(key));
      expect(await fresh.outcome(await tokenOf(key), { algorithms: [algorithm] })).toBe("ok");
    },
  );

  it("attack 52: alg none is refused, with and without a signature", async () => {
    for (const alg of ["none", "None", "NONE", "", 0, null, ["RS256"]]) {
      const unsigned = `${encodePart({ alg, kid: "rsa", typ: "JWT" })}.${encodePart(standardClaims)}.`;
      expect(await verifier.outcome(unsigned)).toMatch(/^(malformed|algorithm)$/);
      expect(await verifier.outcome(`${unsigned}AAAA`)).toBe("algorithm");
    }
  });

  it("attack 52: an HMAC keyed with the issuer's public key is refused", async () => {
    for (const secret of [
      await exportSPKI(rsa.publicKey),
      JSON.stringify(rsa.jwk),
      String(rsa.jwk.n),
      String((await exportJWK(ec.publicKey)).x),
    ]) {
      for (const alg of ["HS256", "HS384", "HS512"]) {
        const forged = await new SignJWT(standardClaims)
          .setProtectedHeader({ alg, kid: "rsa", typ: "JWT" })
          .sign(new TextEncoder().encode(secret.padEnd(64, " ")));
        expect(await verifier.outcome(forged)).toBe("algorithm");
      }
    }
  });

  it("attack 52: a symmetric or private key in the issuer's set is no key", async () => {
    const { privateKey } = await generateKeyPair("ES256", { extractable: true });
    const leaked = { ...(await exportJWK(privateKey)), kid: "leaked", alg: "ES256", use: "sig" };
    const other = new IssuerDocuments(rsa);
    other.keys.push(
      { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", kid: "oct", alg: "HS256" },
      leaked,
    );
    const fresh = new Verifier(other);
    const signed = await tokenOf({ ...ec, privateKey, kid: "leaked" });
    expect(await fresh.outcome(await tokenOf(rsa))).toBe("ok");
    expect(await fresh.outcome(signed)).toBe("key_unknown");
  });

  it("attack 52: an algorithm the key does not name is refused, also of the same family", async () => {
    const asPss = await generateKeyPair("PS256", { extractable: true });
    const jwk = { ...(await exportJWK(asPss.publicKey)), kid: "one", use: "sig", alg: "RS256" };
    const other = new IssuerDocuments();
    other.keys = [jwk];
    const token = await tokenOf({ ...rsa, algorithm: "PS256", privateKey: asPss.privateKey, kid: "one" });
    expect(await new Verifier(other).outcome(token)).toBe("key_unknown");
    other.keys = [{ ...jwk, alg: "PS256" }];
    expect(await new Verifier(other).outcome(token)).toBe("ok");
  });

  it("attack 52: an RSA key without alg is used with RS256 alone, an EC key with its curve's", async () => {
    const { alg: _rsaAlg, ...bareRsa } = rsa.jwk;
    const { alg: _ecAlg, ...bareEc } = ec.jwk;
    const other = new IssuerDocuments();
    other.keys = [bareRsa, bareEc];
    const fresh = new Verifier(other);
    expect(await fresh.outcome(await tokenOf(rsa))).toBe("ok");
    expect(await fresh.outcome(await tokenOf(ec))).toBe("ok");
    const [, payload, signature] = (await tokenOf(rsa)).split(".");
    const asPss = `${encodePart({ alg: "PS256", kid: "rsa", typ: "JWT" })}.${payload}.${signature}`;
    expect(await fresh.outcome(asPss)).toBe("key_unknown");
  });

  it("attack 52: a key for encryption, or of another type than its alg, verifies nothing", async () => {
    for (const change of [
      { use: "enc" },
      { key_ops: ["sign"] },
      { alg: "ES256" },
      { alg: "RSA-OAEP" },
      { kty: "EC" },
      { e: "" },
    ]) {
      const other = new IssuerDocuments(ec);
      other.keys.push({ ...rsa.jwk, ...change });
      expect(publicKey({ ...rsa.jwk, ...change })?.algorithms ?? []).toEqual([]);
      expect(await new Verifier(other).outcome(await tokenOf(rsa))).toBe("key_unknown");
    }
  });

  it("attack 52: none and HMACs do not get as far as being compared with a configuration", () => {
    for (const alg of ["none", "HS256", "HS512", "RS1", "dir", "__proto__", "toString"]) {
      const token = `${encodePart({ alg })}.${encodePart(standardClaims)}.AAAA`;
      expect(readJws(token, 1_000)).toEqual({ kind: "refused", reason: "algorithm" });
      expect(peekToken(token)).toBeNull();
    }
  });

  it("is refused where the issuer is not configured for it", async () => {
    expect(await verifier.outcome(await tokenOf(rsa), { algorithms: ["ES256"] })).toBe("algorithm");
  });
});

describe("a token's signature", () => {
  it("holds for every byte of header, payload and signature", async () => {
    const token = await tokenOf(ec);
    expect(await verifier.outcome(token)).toBe("ok");
    // Some bits of the last character are of no byte.
    for (let at = 0; at < token.length - 1; at += 7) {
      const changed = token[at] === "A" ? "B" : "A";
      if (token[at] === ".") continue;
      expect(await verifier.outcome(token.slice(0, at) + changed + token.slice(at + 1))).not.toBe("ok");
    }
  });

  it("by another key of the same id is refused", async () => {
    const impostor = await signingKey("RS256", "rsa");
    expect(await verifier.outcome(await tokenOf(impostor))).toBe("signature");
  });

  it("attack 53: jwk, jku, x5u, x5c and crit in the header are refused, also when the issuer signed them", async () => {
    const attacker = await signingKey("RS256", "attacker");
    const before = documents.asked.length;
    for (const header of [
      { jwk: attacker.jwk },
      { jku: "https://attacker.example/keys" },
      { x5u: "https://attacker.example/cert" },
      { x5c: ["MIIB"] },
      { x5c: [] },
      { zip: "DEF" },
      { jwk: null },
    ]) {
      expect(await verifier.outcome(await tokenOf(attacker, {}, header))).toBe("header");
      expect(await verifier.outcome(await tokenOf(rsa, {}, header))).toBe("header");
    }
    const [, payload, signature] = (await tokenOf(rsa)).split(".");
    for (const header of [
      { crit: ["exp"], exp: 1 },
      { crit: [] },
      { crit: ["b64"], b64: false },
      { b64: true },
    ]) {
      const token = `${encodePart({ alg: "RS256", kid: "rsa", ...header })}.${payload}.${signature}`;
      expect(await verifier.outcome(token)).toBe("header");
    }
    expect(documents.asked).toHaveLength(before);
  });

  it("attack 53: a key id is only ever compared", async () => {
    const loads = documents.asked.length;
    for (const kid of [
      "../../../../dev/null",
      "https://attacker.example/keys",
      "rsa' OR '1'='1",
      "__proto__",
      "constructor",
      "rsa ",
      "RSA",
    ]) {
      expect(await verifier.outcome(await tokenOf(rsa, {}, { kid }))).toBe("key_unknown");
    }
    for (const kid of ["x".repeat(257), "", "rsa\u0000", "rsä", 7, null, ["rsa"], { rsa: 1 }]) {
      const token = `${encodePart({ alg: "RS256", kid })}.${encodePart(standardClaims)}.AAAA`;
      expect(await verifier.outcome(token)).toBe("key_id");
    }
    expect(new Set(documents.asked.slice(loads)).size).toBeLessThanOrEqual(2);
  });

  it("attack 53: a JWE is refused unread, also one that PBES2 would stretch for hours", async () => {
    const inner = await tokenOf(rsa);
    const sealed = await new CompactEncrypt(new TextEncoder().encode(inner))
      .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", cty: "JWT" })
      .encrypt((await generateKeyPair("RSA-OAEP-256")).publicKey);
    expect(await verifier.outcome(sealed)).toBe("encrypted");
    const bomb = encodePart({ alg: "PBES2-HS256+A128KW", enc: "A128GCM", p2c: 2_000_000_000, p2s: "AAAA" });
    expect(await verifier.outcome(`${bomb}.AAAA.AAAA.AAAA.AAAA`)).toBe("encrypted");
    expect(await verifier.outcome(`${bomb}.${encodePart(standardClaims)}.AAAA`)).toBe("header");
    const plain = encodePart({ alg: "PBES2-HS512+A256KW" });
    expect(await verifier.outcome(`${plain}.${encodePart(standardClaims)}.AAAA`)).toBe("algorithm");
  });
});

describe("a token's form", () => {
  it("is bounded: beyond 16 KB nothing is decoded", async () => {
    expect(await verifier.outcome(await tokenOf(rsa, { pad: "x".repeat(8_000) }))).toBe("ok");
    expect(await verifier.outcome(await tokenOf(rsa, { pad: "x".repeat(16_384) }))).toBe("too_large");
  });

  it("is refused where a member name stands twice, also under an escape", async () => {
    const twice = JSON.stringify(standardClaims).replace('"sub"', '"sub":"admin","s\\u0075b"');
    expect(JSON.parse(twice)).toMatchObject({ sub: "workload-1" });
    const { CompactSign } = await import("jose");
    const sign = (payload: string, header: object = {}) =>
      new CompactSign(new TextEncoder().encode(payload))
        .setProtectedHeader({ alg: "RS256", kid: "rsa", ...header })
        .sign(rsa.privateKey);
    expect(await verifier.outcome(await sign(JSON.stringify(standardClaims)))).toBe("ok");
    expect(await verifier.outcome(await sign(twice))).toBe("malformed");
    const nested = `${JSON.stringify(standardClaims).slice(0, -1)},"a":{"b":[{"c":1,"c":2}]}}`;
    expect(await verifier.outcome(await sign(nested))).toBe("malformed");
    const innocent = JSON.stringify({ ...standardClaims, a: { sub: ':"sub":' }, b: [{ a: 1 }, { a: 1 }] });
    expect(await verifier.outcome(await sign(innocent))).toBe("ok");
  });

  it.each([
    "",
    "a",
    "a.b",
    "a.b.c",
    "..",
    "....",
    "a.b.c.d",
    "e30.e30.AAAA",
    "bnVsbA.e30.AAAA",
    "W10.W10.AAAA",
    `${encodePart("{")}.e30.AAAA`,
    `${encodePart({ alg: "RS256", typ: 1 })}.e30.AAAA`,
    `${encodePart({ alg: "RS256" })}.${encodePart("[]")}.AAAA`,
    `${encodePart({ alg: "RS256" })}.${encodePart("[".repeat(2_000))}.AAAA`,
    `${encodePart({ alg: "RS256" })}.e30.AA==`,
    `${encodePart({ alg: "RS256" })}.e30.AAAA\n`,
    ` ${encodePart({ alg: "RS256" })}.e30.AAAA`,
    '{"payload":"e30","signatures":[]}',
  ])("that is no JWS is refused without a word: %j", async (junk) => {
    expect(await verifier.outcome(junk)).toMatch(/^(malformed|encrypted|algorithm)$/);
  });
});
