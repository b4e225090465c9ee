import { beforeAll, describe, expect, it } from "vitest";
import { IssuerKeys } from "../../../../src/identity/oidc/jwks.ts";
import { verifyToken } from "../../../../src/identity/oidc/verify.ts";
import {
  AUDIENCE,
  ISSUER,
  IssuerDocuments,
  type SigningKey,
  signingKey,
  tokenOf,
  Verifier,
} from "./issuer-documents.ts";

let one: SigningKey;
let two: SigningKey;
let three: SigningKey;

beforeAll(async () => {
  one = await signingKey("ES256", "one");
  two = await signingKey("ES256", "two");
  three = await signingKey("RS256", "three");
});

/** A token that is current whatever the verifier's time. */
const fresh = (key: SigningKey, verifier: Verifier, header = {}): Promise<string> =>
  tokenOf(key, { iat: verifier.seconds, nbf: undefined, exp: verifier.seconds + 300 }, header);

describe("an issuer's keys", () => {
  it("are loaded once and kept for ten minutes", async () => {
    const documents = new IssuerDocuments(one);
    const verifier = new Verifier(documents);
    for (let second = 0; second < 600; second += 50) {
      expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
      verifier.seconds += 50;
    }
    expect(documents.asked).toEqual([`${ISSUER}/.well-known/openid-configuration`, `${ISSUER}/keys`]);
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
    expect(documents.keyLoads).toBe(2);
  });

  it("are loaded once for a hundred tokens that come at the same time", async () => {
    const documents = new IssuerDocuments(one);
    const verifier = new Verifier(documents);
    const token = await tokenOf(one);
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => verifier.outcome(token)));
    expect(new Set(outcomes)).toEqual(new Set(["ok"]));
    expect(documents.keyLoads).toBe(1);
  });

  it("attack 56: a flood of unknown key ids loads them once in 30 s", async () => {
    const documents = new IssuerDocuments(one);
    const verifier = new Verifier(documents);
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
    verifier.seconds += 100;
    for (let wave = 0; wave < 3; wave++) {
      const loads = documents.keyLoads;
      for (let at = 0; at < 50; at++) {
        const token = await fresh(one, verifier, { kid: `unknown-${wave}-${at}` });
        expect(await verifier.outcome(token)).toBe("key_unknown");
      }
      const parallel = Array.from({ length: 50 }, async (_, at) =>
        verifier.outcome(await fresh(one, verifier, { kid: `parallel-${wave}-${at}` })),
      );
      expect(new Set(await Promise.all(parallel))).toEqual(new Set(["key_unknown"]));
      verifier.seconds += 29;
      expect(await verifier.outcome(await fresh(one, verifier, { kid: `later-${wave}` }))).toBe(
        "key_unknown",
      );
      expect(documents.keyLoads).toBe(loads + 1);
      expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
      verifier.seconds += 1;
    }
  });

  it("attack 56: a flood while the issuer is down does not reach it more often", async () => {
    const documents = new IssuerDocuments(one);
    const verifier = new Verifier(documents);
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
    documents.instead = async () => new Response("down", { status: 503 });
    verifier.seconds += 100;
    const before = documents.asked.length;
    for (let at = 0; at < 50; at++) {
      expect(await verifier.outcome(await fresh(one, verifier, { kid: `k${at}` }))).toBe("status");
    }
    expect(documents.asked).toHaveLength(before + 1);
  });

  it("attack 56: rotation overlaps: old and new key both verify, without waiting for ten minutes", async () => {
    const documents = new IssuerDocuments(one);
    const verifier = new Verifier(documents);
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
    verifier.seconds += 30;
    documents.keys = [one.jwk, two.jwk];
    expect(await verifier.outcome(await fresh(two, verifier))).toBe("ok");
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
    documents.keys = [two.jwk];
    verifier.seconds += 600;
    expect(await verifier.outcome(await fresh(two, verifier))).toBe("ok");
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("key_unknown");
  });

  it("serve an hour while the issuer is down, and no longer", async () => {
    const documents = new IssuerDocuments(one);
    const verifier = new Verifier(documents);
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
    documents.instead = () => Promise.reject(new TypeError("connection refused"));
    verifier.seconds += 3_599;
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
    verifier.seconds += 1;
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("unreachable");
    documents.instead = null;
    verifier.seconds += 30;
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
  });

  it("that could not be loaded at all are asked for again after 5 s", async () => {
    const documents = new IssuerDocuments(one);
    const verifier = new Verifier(documents);
    documents.instead = async () => new Response(null, { status: 500 });
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("status");
    documents.instead = null;
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("status");
    verifier.seconds += 5;
    expect(await verifier.outcome(await fresh(one, verifier))).toBe("ok");
  });

  it("are loaded although the request that had begun to load them went away", async () => {
    const documents = new IssuerDocuments(one);
    const verifier = new Verifier(documents, 50);
    documents.instead = () => new Promise(() => undefined);
    const token = await tokenOf(one);
    void verifier.outcome(token);
    expect(await verifier.outcome(token)).toBe("unreachable");
    documents.instead = null;
    verifier.seconds += 5;
    expect(await verifier.outcome(token)).toBe("ok");
  });
});

describe("the key of a token", () => {
  it("without a key id is the one that fits its algorithm, or none if several do", async () => {
    const bare = { kid: undefined };
    const single = new Verifier(new IssuerDocuments(one, three));
    expect(await single.outcome(await tokenOf(one, {}, bare))).toBe("ok");
    expect(await single.outcome(await tokenOf(three, {}, bare))).toBe("ok");
    const both = new Verifier(new IssuerDocuments(one, two));
    expect(await both.outcome(await tokenOf(one, {}, bare))).toBe("key_ambiguous");
  });

  it("whose id two keys have is ambiguous, unless their algorithms differ", async () => {
    const twin = { ...two, kid: "one", jwk: { ...two.jwk, kid: "one" } };
    const namesake = { ...three, kid: "one", jwk: { ...three.jwk, kid: "one" } };
    expect(await new Verifier(new IssuerDocuments(one, twin)).outcome(await tokenOf(one))).toBe(
      "key_ambiguous",
    );
    expect(await new Verifier(new IssuerDocuments(one, namesake)).outcome(await tokenOf(one))).toBe("ok");
  });

  it("that is listed twice is one key", async () => {
    const documents = new IssuerDocuments(one, one);
    documents.keys.push({ ...one.jwk, x5c: ["MIIB"] });
    expect(await new Verifier(documents).outcome(await tokenOf(one, {}, { kid: undefined }))).toBe("ok");
  });

  it("is not another issuer's, and not that of another key set configured for the same issuer", async () => {
    const documents = new IssuerDocuments(one);
    const elsewhere = new IssuerDocuments(two);
    const keys = new IssuerKeys({
      fetch: (url, init) => (url.startsWith(ISSUER) ? documents : elsewhere).fetch(url, init),
      clock: () => new Verifier(documents).seconds * 1_000,
    });
    const dependencies = { ...new Verifier(documents).dependencies, keys };
    const expected = { kind: "workload", issuer: ISSUER, audience: AUDIENCE } as const;
    const own = { ...expected, jwksUri: "https://elsewhere.example/keys" };
    expect(await verifyToken(await tokenOf(two), own, dependencies)).toMatchObject({ kind: "ok" });
    expect(await verifyToken(await tokenOf(two), expected, dependencies)).toMatchObject({
      reason: "key_unknown",
    });
    expect(await verifyToken(await tokenOf(one), expected, dependencies)).toMatchObject({ kind: "ok" });
    expect(await verifyToken(await tokenOf(one), own, dependencies)).toMatchObject({ reason: "key_unknown" });
  });
});

describe("an issuer's documents", () => {
  const answered = async (
    metadata: Record<string, unknown> | null,
    keysAnswer?: () => Response,
    timeoutMs?: number,
  ): Promise<string> => {
    const documents = new IssuerDocuments(one);
    if (metadata !== null) documents.metadata = metadata;
    documents.instead = async (url) => {
      if (url.endsWith("/keys")) return keysAnswer?.() ?? Response.json({ keys: documents.keys });
      return Response.json(documents.metadata);
    };
    return new Verifier(documents, timeoutMs).outcome(await tokenOf(one));
  };

  it.each([
    [{ issuer: `${ISSUER}/`, jwks_uri: `${ISSUER}/keys` }, "issuer_mismatch"],
    [{ issuer: "https://attacker.example", jwks_uri: `${ISSUER}/keys` }, "issuer_mismatch"],
    [{ issuer: [ISSUER], jwks_uri: `${ISSUER}/keys` }, "issuer_mismatch"],
    [{ jwks_uri: `${ISSUER}/keys` }, "issuer_mismatch"],
    [{ issuer: ISSUER }, "no_keys_uri"],
    [{ issuer: ISSUER, jwks_uri: "file:///keys" }, "no_keys_uri"],
    [{ issuer: ISSUER, jwks_uri: "//attacker.example/keys" }, "no_keys_uri"],
    [{ issuer: ISSUER, jwks_uri: "https://user@issuer.example.com/keys" }, "no_keys_uri"],
    [{ issuer: ISSUER, jwks_uri: "data:application/json,{}/keys" }, "no_keys_uri"],
    [{ issuer: ISSUER, jwks_uri: "https://issuer.example.com/#/keys" }, "no_keys_uri"],
  ])("attack 55: a description that says %j is refused", async (metadata, failure) => {
    expect(await answered(metadata)).toBe(failure);
  });

  it("are not fetched from where the destination rules forbid it, discovered or not", async () => {
    const documents = new IssuerDocuments(one);
    documents.metadata = { issuer: ISSUER, jwks_uri: "https://169.254.169.254/keys?x=1" };
    const verifier = new Verifier(documents);
    verifier.refusedUrls = ["https://169.254.169.254/keys"];
    expect(await verifier.outcome(await tokenOf(one))).toBe("destination_refused");
    expect(documents.asked).toEqual([`${ISSUER}/.well-known/openid-configuration`]);
    verifier.refusedUrls = [`${ISSUER}/.well-known/openid-configuration`];
    verifier.seconds += 10;
    expect(await verifier.outcome(await tokenOf(one))).toBe("destination_refused");
    expect(documents.asked).toHaveLength(1);
  });

  it("attack 55: of an issuer over http are not had from elsewhere over https", async () => {
    const documents = new IssuerDocuments(one);
    const verifier = new Verifier(documents);
    const plain = "http://issuer.example.com";
    const token = await tokenOf(one, { iss: plain });
    const expected = { issuer: plain, jwksUri: `${ISSUER}/keys` };
    verifier.refusedUrls = [plain];
    expect(await verifier.outcome(token, expected)).toBe("destination_refused");
    expect(documents.asked).toEqual([]);
    verifier.refusedUrls = [];
    verifier.seconds += 10;
    expect(await verifier.outcome(token, expected)).toBe("ok");
  });

  it("that redirect lead nowhere", async () => {
    const redirect = (): Response =>
      new Response(null, { status: 302, headers: { location: "https://attacker.example/keys" } });
    expect(await answered(null, redirect)).toBe("status");
  });

  it.each<[string, () => Response]>([
    ["too_large", () => new Response(`{"keys":[],"pad":"${"x".repeat(100_001)}"}`)],
    ["too_large", () => Response.json({ keys: Array.from({ length: 51 }, () => one.jwk) })],
    ["not_json", () => new Response("<html>")],
    ["not_json", () => new Response("")],
    ["not_json", () => Response.json([one.jwk])],
    ["not_json", () => new Response('{"keys":[],"keys":[]}')],
    ["no_usable_keys", () => Response.json({ keys: "none" })],
    ["no_usable_keys", () => Response.json({ keys: [] })],
    ["no_usable_keys", () => Response.json({ keys: [null, 7, "x", {}, { kty: "EC", crv: "P-256" }] })],
    ["no_usable_keys", () => Response.json({ keys: [{ ...one.jwk, crv: "secp256k1" }] })],
    ["status", () => new Response("no", { status: 404 })],
    ["status", () => Response.json({ keys: [one.jwk] }, { status: 203 })],
  ])("that are %s are refused", async (failure, keysAnswer) => {
    expect(await answered(null, keysAnswer)).toBe(failure);
  });

  it("a key among them that nobody can use spoils no other", async () => {
    const documents = new IssuerDocuments(one);
    documents.keys.unshift(
      { kty: "AKP", alg: "ML-DSA-44", pub: "AAAA" },
      { kty: "EC", crv: "P-256", x: "A".repeat(43), y: "A".repeat(43), kid: "off-curve", alg: "ES256" },
    );
    const verifier = new Verifier(documents);
    expect(await verifier.outcome(await tokenOf(one))).toBe("ok");
    expect(await verifier.outcome(await tokenOf(one, {}, { kid: "off-curve" }))).toBe("key_unusable");
  });

  it("that do not come in time are not waited for", async () => {
    const documents = new IssuerDocuments(one);
    documents.instead = (_url, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("aborted")));
      });
    expect(await new Verifier(documents, 20).outcome(await tokenOf(one))).toBe("unreachable");
  });
});
