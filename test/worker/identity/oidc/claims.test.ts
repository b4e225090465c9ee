import { beforeAll, describe, expect, it } from "vitest";
import { issuerSchema } from "../../../../src/identity/oidc/issuer.ts";
import {
  AUDIENCE,
  ISSUER,
  IssuerDocuments,
  NOW,
  type SigningKey,
  signingKey,
  tokenOf,
  Verifier,
} from "./issuer-documents.ts";

let key: SigningKey;
let documents: IssuerDocuments;
let verifier: Verifier;

beforeAll(async () => {
  key = await signingKey("ES256", "one");
  documents = new IssuerDocuments(key);
  verifier = new Verifier(documents);
});

const outcome = async (claims: object, expected = {}, header = {}): Promise<string> =>
  verifier.outcome(await tokenOf(key, { ...claims }, header), expected);

describe("the issuer", () => {
  it.each([
    `${ISSUER}/`,
    "https://ISSUER.example.com",
    "https://issuer.example.com:443",
    "http://issuer.example.com",
    "https://issuer.example.com.",
    "https://issuer.example.com.attacker.example",
    "https://issuer.example.com@attacker.example",
    "https://іssuer.example.com",
    "https://issuer。example.com",
    "https://xn--ssuer-3ve.example.com",
    " https://issuer.example.com",
    "https://issuer.example.com\u200b",
    "https://issuer.example.com/../",
    "issuer.example.com",
    "",
    null,
    undefined,
    [ISSUER],
    { toString: ISSUER },
  ])("attack 55: %j is not ours, and nothing is fetched for it", async (iss) => {
    const before = documents.asked.length;
    expect(await outcome({ iss })).toBe("issuer");
    expect(documents.asked).toHaveLength(before);
  });

  it("attack 55: with a slash at its end is not the one without, also the other way round", async () => {
    const slashed = `${ISSUER}/`;
    const other = new IssuerDocuments(key);
    other.metadata = { issuer: slashed, jwks_uri: `${ISSUER}/keys` };
    const fresh = new Verifier(other);
    expect(await fresh.outcome(await tokenOf(key, { iss: slashed }), { issuer: slashed })).toBe("ok");
    expect(other.asked[0]).toBe(`${ISSUER}/.well-known/openid-configuration`);
    expect(await fresh.outcome(await tokenOf(key), { issuer: slashed })).toBe("issuer");
  });

  it("attack 55: can only be configured as a plain URL, and is kept as it is written", () => {
    for (const good of [
      ISSUER,
      `${ISSUER}/`,
      "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
      "https://issuer.example.com/realms/one",
      "http://127.0.0.1:8787",
    ]) {
      expect(issuerSchema.parse(good)).toBe(good);
    }
    for (const bad of [
      "https://issuer.example.com?x=1",
      "https://issuer.example.com?",
      "https://issuer.example.com/#",
      "https://user@issuer.example.com",
      "https://Issuer.example.com",
      "https://issuer.example.com:443",
      "https://issuer.example.com/a/../b",
      "https://іssuer.example.com",
      "ftp://issuer.example.com",
      "file:///etc/passwd",
      "https://",
      "issuer.example.com",
    ]) {
      expect(issuerSchema.safeParse(bad).success, bad).toBe(false);
    }
  });
});

describe("the audience", () => {
  it.each([
    "https://other.example.com",
    `${AUDIENCE}/`,
    AUDIENCE.toUpperCase(),
    [],
    ["https://other.example.com"],
    "",
    null,
    undefined,
    7,
    { [AUDIENCE]: true },
  ])("attack 54: %j is not ours", async (aud) => {
    expect(await outcome({ aud })).toBe("audience");
  });

  it("attack 54: a list of ours alone is ours; a list of several is refused", async () => {
    expect(await outcome({ aud: [AUDIENCE] })).toBe("ok");
    expect(await outcome({ aud: [AUDIENCE, "https://other.example.com"] })).toBe("audience");
    expect(await outcome({ aud: [AUDIENCE, AUDIENCE] })).toBe("audience");
    expect(await outcome({ aud: [AUDIENCE, 7] })).toBe("audience");
  });

  it("attack 54: several are taken only where azp is the party we expect", async () => {
    const several = { aud: [AUDIENCE, "https://other.example.com"] };
    const expected = { authorizedParty: "our-client" };
    expect(await outcome({ ...several, azp: "our-client" }, expected)).toBe("ok");
    expect(await outcome({ ...several, azp: "their-client" }, expected)).toBe("authorized_party");
    expect(await outcome(several, expected)).toBe("authorized_party");
    expect(await outcome({ aud: ["x", "y"], azp: "our-client" }, expected)).toBe("audience");
  });

  it("attack 54: an ID token that was issued to another client is refused", async () => {
    const expected = { kind: "id_token" } as const;
    expect(await outcome({ azp: AUDIENCE }, expected)).toBe("ok");
    expect(await outcome({ azp: "their-client" }, expected)).toBe("authorized_party");
    expect(await outcome({ azp: "their-client" })).toBe("ok");
  });
});

describe("the times", () => {
  it.each([
    [{ exp: NOW - 61 }, "expired"],
    [{ exp: NOW - 60 }, "expired"],
    [{ exp: String(NOW + 300) }, "expired"],
    [{ exp: undefined }, "expired"],
    [{ exp: null }, "expired"],
    [{ exp: [NOW + 300] }, "expired"],
    [{ exp: true }, "expired"],
    [{ exp: (NOW + 300) * 1_000 }, "expired"],
    [{ exp: 1e300 }, "expired"],
    [{ exp: -1 }, "expired"],
    [{ nbf: NOW + 61 }, "not_yet_valid"],
    [{ nbf: String(NOW - 10) }, "not_yet_valid"],
    [{ nbf: null }, "not_yet_valid"],
    [{ iat: NOW + 61 }, "issued_at"],
    [{ iat: NOW - 86_461 }, "issued_at"],
    [{ iat: String(NOW) }, "issued_at"],
    [{ iat: undefined }, "issued_at"],
    [{ iat: 0 }, "issued_at"],
    [{ iat: NOW + 50, exp: NOW + 10 }, "issued_at"],
  ])("attack 54: %j is refused", async (claims, reason) => {
    expect(await outcome(claims)).toBe(reason);
  });

  it("attack 54: may be off by 60 s and no more", async () => {
    expect(await outcome({ exp: NOW - 59, iat: NOW - 100 })).toBe("ok");
    expect(await outcome({ nbf: NOW + 60 })).toBe("ok");
    expect(await outcome({ iat: NOW + 60 })).toBe("ok");
    expect(await outcome({ iat: NOW - 86_460 })).toBe("ok");
    expect(await outcome({ nbf: undefined })).toBe("ok");
    expect(await outcome({ exp: NOW + 300.5 })).toBe("ok");
  });

  it("attack 54: an ID token older than ten minutes signs nobody in, unless more is allowed", async () => {
    const expected = { kind: "id_token" } as const;
    expect(await outcome({ iat: NOW - 660 }, expected)).toBe("ok");
    expect(await outcome({ iat: NOW - 661 }, expected)).toBe("issued_at");
    expect(await outcome({ iat: NOW - 3_000 }, { ...expected, maxAgeSeconds: 3_600 })).toBe("ok");
  });

  it("attack 54: are looked at again when the keys took long to come", async () => {
    const slow = new IssuerDocuments(key);
    const patient = new Verifier(slow);
    slow.instead = async (url) => {
      patient.seconds += 400;
      return Response.json(url.endsWith("/keys") ? { keys: slow.keys } : slow.metadata);
    };
    expect(await patient.outcome(await tokenOf(key))).toBe("expired");
  });
});

describe("subject, nonce and type", () => {
  it.each([undefined, null, "", 7, ["a"], "x".repeat(2_049)])("attack 54: sub %j is none", async (sub) => {
    expect(await outcome({ sub })).toBe("subject");
  });

  it("an empty sub is taken only where the issuer is known for it", async () => {
    expect(await outcome({ sub: "" }, { emptySubject: "allowed" })).toBe("ok");
    expect(await outcome({ sub: undefined }, { emptySubject: "allowed" })).toBe("subject");
  });

  it("attack 54: a nonce that is expected must be there and be it", async () => {
    const expected = { kind: "id_token", nonce: "n-0S6_WzA2Mj" } as const;
    expect(await outcome({ nonce: "n-0S6_WzA2Mj" }, expected)).toBe("ok");
    for (const nonce of [undefined, null, "", "n-0S6_WzA2MJ", ["n-0S6_WzA2Mj"], "n-0S6_WzA2Mj "]) {
      expect(await outcome({ nonce }, expected)).toBe("nonce");
    }
  });

  it("attack 54: an access token is no ID token, and a JWT is no access token", async () => {
    const id = { kind: "id_token" } as const;
    const access = { kind: "access_token" } as const;
    for (const typ of ["at+jwt", "application/at+jwt", "AT+JWT"]) {
      expect(await outcome({}, id, { typ })).toBe("type");
      expect(await outcome({}, {}, { typ })).toBe("type");
      expect(await outcome({}, access, { typ })).toBe("ok");
    }
    for (const typ of ["JWT", "jwt", undefined]) {
      expect(await outcome({}, id, { typ })).toBe("ok");
      expect(await outcome({}, access, { typ })).toBe("type");
    }
    for (const typ of ["logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE+JSON", "x"]) {
      expect(await outcome({}, id, { typ })).toBe("type");
      expect(await outcome({}, {}, { typ })).toBe("type");
    }
    expect(await outcome({}, {}, { typ: "JOSE" })).toBe("ok");
  });
});
