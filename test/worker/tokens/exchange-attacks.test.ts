import { CompactEncrypt, exportSPKI, SignJWT } from "jose";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { encodePart, signingKey } from "../identity/oidc/issuer-documents.ts";
import { AUDIENCE, Issuer, openTrusting, type Trusting } from "./workload.ts";

afterEach(() => {
  vi.useRealTimers();
});

let ci: Trusting;
beforeAll(async () => {
  ci = await openTrusting({}, await Issuer.open("RS256"));
  expect((await ci.trust()).status).toBe(201);
});

/** `"ok"`, or the refusal that says nothing. */
async function outcome(token: string, trusting = ci): Promise<string> {
  const { status, body } = await trusting.exchange(token);
  return status === 200 ? "ok" : `${status} ${body.error} ${body.code}`;
}
const REFUSED = "400 invalid_request EXCHANGE_REFUSED";

async function signed(header: object, key: CryptoKey | Uint8Array, claims: object = {}): Promise<string> {
  const protectedHeader = { alg: "RS256", kid: "k", ...header };
  return new SignJWT({ ...ci.issuer.claims(), ...claims }).setProtectedHeader(protectedHeader).sign(key);
}

describe("a subject token that is forged", () => {
  test("attack 52: unsigned, or signed with a public key as if it were a secret, gets nothing", async () => {
    const { key } = ci.issuer;
    expect(await outcome(await ci.issuer.token())).toBe("ok");
    const payload = encodePart(ci.issuer.claims());
    for (const alg of ["none", "None", "NONE", ""]) {
      for (const signature of ["", "AA"]) {
        const header = encodePart({ alg, kid: "k", typ: "JWT" });
        expect(await outcome(`${header}.${payload}.${signature}`), alg).toBe(REFUSED);
      }
    }
    const secrets = [await exportSPKI(key.publicKey), JSON.stringify(key.jwk), key.jwk.n ?? ""];
    for (const secret of secrets) {
      const forged = await signed({ alg: "HS256" }, new TextEncoder().encode(secret));
      expect(await outcome(forged)).toBe(REFUSED);
    }
    const [header = "", body = ""] = (await ci.issuer.token()).split(".");
    for (const signature of ["", "AA", "A".repeat(342)])
      expect(await outcome(`${header}.${body}.${signature}`)).toBe(REFUSED);
  });

  test("attack 52: an issuer's key that names no algorithm verifies none that is not its own", async () => {
    const bare = await openTrusting({}, await Issuer.open("RS256"));
    await bare.trust();
    const { alg: _, ...jwk } = bare.issuer.key.jwk;
    bare.issuer.documents.keys = [jwk];
    expect(await outcome(await bare.issuer.token(), bare)).toBe("ok");
    const secret = new TextEncoder().encode(await exportSPKI(bare.issuer.key.publicKey));
    const claims = new SignJWT(bare.issuer.claims());
    const forged = await claims.setProtectedHeader({ alg: "HS256", kid: "k" }).sign(secret);
    expect(await outcome(forged, bare)).toBe(REFUSED);
  });

  test("attack 53: a key that comes with the token is not looked at, nor where it is said to be", async () => {
    const own = await signingKey("RS256", "k");
    const { documents } = ci.issuer;
    documents.asked.length = 0;
    for (const header of [
      { jwk: own.jwk },
      { jku: "https://attacker.example.com/keys" },
      { x5u: "https://attacker.example.com/cert" },
      { x5c: ["MIIB"] },
      { jku: `${ci.issuer.url}/keys`, jwk: own.jwk },
      { kid: "../../dev/null" },
      { kid: "k' or 1=1 --" },
      { kid: "https://attacker.example.com/keys" },
      {},
    ]) {
      expect(await outcome(await signed(header, own.privateKey)), JSON.stringify(header)).toBe(REFUSED);
    }
    for (const url of documents.asked) expect(url.startsWith(ci.issuer.url)).toBe(true);
    // Even signed by the issuer, a token that brings a key is none.
    expect(await outcome(await signed({ jwk: own.jwk }, ci.issuer.key.privateKey))).toBe(REFUSED);
  });

  test("attack 53: an encrypted token is refused unread, however long its password would take", async () => {
    const { kty = "RSA", n = "", e = "" } = ci.issuer.key.jwk;
    const jwe = await new CompactEncrypt(new TextEncoder().encode("x"))
      .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", cty: "JWT" })
      .encrypt({ kty, n, e });
    expect(await outcome(jwe)).toBe(REFUSED);
    const header = encodePart({ alg: "PBES2-HS512+A256KW", enc: "A256GCM", p2s: "AAAAAAAA", p2c: 2 ** 31 });
    expect(await outcome(`${header}.AA.AA.AA.AA`)).toBe(REFUSED);
    expect(await outcome(`${"a.".repeat(8_000)}a`)).toBe(REFUSED);
  });
});

describe("a subject token that is not for here or now", () => {
  test("attack 54: another audience, several, another issuer, times that are none or not now", async () => {
    const now = Math.floor(Date.now() / 1000);
    for (const claims of [
      { aud: "https://other.example.com" },
      { aud: [AUDIENCE, "https://other.example.com"] },
      { aud: undefined },
      { aud: [] },
      { aud: { 0: AUDIENCE } },
      { iss: "https://other.example.com" },
      { iss: undefined },
      { iss: [ci.issuer.url] },
      { sub: "workload-2" },
      { sub: ["workload-1"] },
      { sub: undefined },
      { exp: String(now + 300) },
      { exp: now - 61 },
      { exp: undefined },
      { exp: null },
      { nbf: now + 120 },
      { nbf: "0" },
      { iat: undefined },
      { iat: now + 120 },
      { iat: now - 100_000 },
    ]) {
      expect(await outcome(await ci.issuer.token(claims)), JSON.stringify(claims)).toBe(REFUSED);
    }
    // Within the clocks' leeway it is verified, and yet there is no life left for a token.
    expect(await outcome(await ci.issuer.token({ exp: now - 1 }))).toBe(REFUSED);
    expect(await outcome(await ci.issuer.token({}, { typ: "at+jwt" }))).toBe(REFUSED);
    expect(await outcome(await ci.issuer.token({ aud: [AUDIENCE] }))).toBe("ok");
  });
});

describe("who only looks like a trusted workload", () => {
  test("attack 55: an issuer that differs by a slash, a letter or a suffix is another one", async () => {
    const { key, url } = ci.issuer;
    for (const iss of [
      `${url}/`,
      url.toUpperCase(),
      url.replace("https:", "http:"),
      `${url}.attacker.example.com`,
      `${url}:443`,
      `${url}?`,
      `${url}#`,
      ` ${url}`,
      url.replace("issuer-", "issuer\u2010"),
      url.replace("https://", "https://user@"),
    ]) {
      expect(await outcome(await signed({}, key.privateKey, { iss })), iss).toBe(REFUSED);
    }
    expect(await outcome(await signed({}, key.privateKey))).toBe("ok");
  });

  test("attack 55: one agent's issuer is not another's, nor one rule's keys another rule's", async () => {
    const attacker = await Issuer.open("RS256");
    const agent = await openTrusting({}, ci.issuer);
    await agent.trust();
    await agent.trust({ issuer: attacker.url, subject: "guest", allowed_scopes: [] });
    const asVictim = await attacker.token({ iss: ci.issuer.url });
    expect(await outcome(asVictim, agent)).toBe(REFUSED);
    expect(await outcome(await attacker.token(), agent)).toBe(REFUSED);
    // The attacker's own metadata says it is the other one.
    attacker.documents.metadata = { issuer: ci.issuer.url, jwks_uri: `${attacker.url}/keys` };
    expect(await outcome(await attacker.token({ sub: "guest" }), agent)).not.toBe("ok");
  });

  test("attack 55: a rule that anybody's repository or account could meet is not taken", async () => {
    const github = {
      provider: "github-actions",
      issuer: "https://token.actions.githubusercontent.com",
      subject: undefined,
    };
    for (const rule of [
      { subject: "*" },
      { subject: { like: ["*"] } },
      { subject: { like: ["work*"] } },
      { subject: undefined },
      { ...github, subject: { like: ["repo:octo-org/*"] } },
      { ...github, subject: "repo:octo-org/octo-repo:ref:refs/heads/main" },
      { ...github, claims: { repository: "octo-org/octo-repo" } },
      { ...github, claims: { repository_id: "456789" } },
      { ...github, provider: "generic", subject: "repo:octo-org/octo-repo:ref:refs/heads/main" },
      {
        ...github,
        issuer: "https://token.actions.githubusercontent.com.attacker.example.com",
        claims: { repository_id: "456789", repository_owner_id: "123456" },
      },
    ]) {
      const answer = await ci.trust(rule);
      expect([answer.status, answer.body.error?.code], JSON.stringify(rule)).toEqual([
        400,
        "VALIDATION_ERROR",
      ]);
    }
  });

  test("attack 55: a repository that has the name of a renamed one does not have its token", async () => {
    const github = await Issuer.open("RS256", "https://token.actions.githubusercontent.com");
    const agent = await openTrusting({}, github);
    const pinned = { repository_id: "456789", repository_owner_id: "123456" };
    const rule = {
      provider: "github-actions",
      subject: undefined,
      claims: { ...pinned, ref: "refs/heads/main" },
    };
    expect((await agent.trust(rule)).status).toBe(201);
    const claims = {
      sub: "repo:octo-org/octo-repo:ref:refs/heads/main",
      repository: "octo-org/octo-repo",
      repository_owner: "octo-org",
      ref: "refs/heads/main",
      ...pinned,
    };
    expect(await outcome(await github.token(claims), agent)).toBe("ok");
    expect(await outcome(await github.token({ ...claims, repository: "new/name" }), agent)).toBe("ok");
    for (const taken of [
      { repository_id: "999999" },
      { repository_owner_id: "999999" },
      { ref: "refs/heads/x" },
    ])
      expect(await outcome(await github.token({ ...claims, ...taken }), agent)).toBe(REFUSED);
  });
});

describe("an issuer's keys", () => {
  test("attack 56: a flood of unknown key ids loads them once, and locks nobody out", async () => {
    const flooded = await openTrusting();
    await flooded.trust();
    const { issuer } = flooded;
    expect(await outcome(await issuer.token(), flooded)).toBe("ok");
    const before = issuer.documents.keyLoads;
    const tokens = await Promise.all(
      Array.from({ length: 40 }, (_, n) => issuer.token({}, { kid: `unknown-${n}` })),
    );
    for (const token of tokens) expect(await outcome(token, flooded)).toBe(REFUSED);
    expect(issuer.documents.keyLoads - before).toBeLessThanOrEqual(1);
    expect(await outcome(await issuer.token(), flooded)).toBe("ok");
  });

  test("attack 56: old and new are good while both are published, then the new one alone", async () => {
    const rotating = await openTrusting();
    await rotating.trust();
    const { issuer } = rotating;
    const start = Date.now();
    const at = (seconds: number) => vi.useFakeTimers({ now: start + seconds * 1_000, toFake: ["Date"] });
    at(0);
    const old = await issuer.token({ exp: Math.floor(start / 1000) + 3_600 });
    expect(await outcome(old, rotating)).toBe("ok");
    const next = await signingKey("ES256", "next");
    issuer.documents.keys = [next.jwk, issuer.key.jwk];
    const young = await new SignJWT({ ...issuer.claims(), exp: Math.floor(start / 1000) + 3_600 })
      .setProtectedHeader({ alg: "ES256", kid: "next" })
      .sign(next.privateKey);
    at(31);
    expect(await outcome(young, rotating)).toBe("ok");
    expect(await outcome(old, rotating)).toBe("ok");
    issuer.documents.keys = [next.jwk];
    at(31 + 601);
    expect(await outcome(old, rotating)).toBe(REFUSED);
    expect(await outcome(young, rotating)).toBe("ok");
  });
});
