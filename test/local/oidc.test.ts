import { createHash, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { parseDestination } from "../../src/connections/destination.ts";
import { verifyProof } from "../../src/identity/dpop/verify.ts";
import { ALGORITHMS, type Algorithm } from "../../src/identity/oidc/algorithms.ts";
import { IssuerKeys } from "../../src/identity/oidc/jwks.ts";
import { type ExpectedToken, type VerifyDependencies, verifyToken } from "../../src/identity/oidc/verify.ts";
import { recognise } from "../../src/identity/trust/recognise.ts";
import { trustRuleSchema } from "../../src/identity/trust/rule.ts";

/** The parts of oidc-provider (which ships no types) that are used here. */
interface Provider {
  callback(): (request: IncomingMessage, response: ServerResponse) => void;
}
type NewProvider = new (issuer: string, configuration: object) => Provider;

const RESOURCE = "https://valetkey.example.com";
const REDIRECT_URI = "https://client.example.com/callback";
const ID_TOKEN_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"] as const;

let OidcProvider: NewProvider;
let server: Server;
let issuer: string;
let handler: (request: IncomingMessage, response: ServerResponse) => void;
const asked: string[] = [];

async function privateJwk(algorithm: Algorithm, kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, use: "sig", alg: algorithm };
}

/** Serves a real authorization server with these keys on the issuer's port from now on. */
function serve(keys: readonly JWK[]): void {
  const clients = ID_TOKEN_ALGORITHMS.map((algorithm) => ({
    client_id: `web-${algorithm}`,
    client_secret: "web-secret-web-secret-web-secret",
    redirect_uris: [REDIRECT_URI],
    grant_types: ["authorization_code"],
    id_token_signed_response_alg: algorithm,
  }));
  const workload = {
    client_id: "workload",
    client_secret: "workload-secret-workload-secret-0",
    redirect_uris: [],
    response_types: [],
    grant_types: ["client_credentials"],
    id_token_signed_response_alg: keys[0]?.alg,
  };
  const provider = new OidcProvider(issuer, {
    clients: [...clients, workload],
    jwks: { keys },
    cookies: { keys: ["cookie-key-of-a-test"] },
    enabledJWA: { idTokenSigningAlgValues: [...ID_TOKEN_ALGORITHMS] },
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    features: {
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        getResourceServerInfo: () => ({
          scope: "call",
          audience: RESOURCE,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: keys[0]?.alg } },
        }),
      },
    },
  });
  handler = provider.callback();
}

beforeAll(async () => {
  // It says at every start that it is set up for development.
  for (const method of ["info", "warn"] as const) vi.spyOn(console, method).mockReturnValue();
  const name: string = "oidc-provider";
  OidcProvider = ((await import(name)) as { default: NewProvider }).default;
  server = createServer((request, response) => {
    asked.push(request.url ?? "");
    handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  vi.restoreAllMocks();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  asked.length = 0;
});

function dependencies(
  overrides: { seconds?: () => number; privateAllowed?: boolean } = {},
): VerifyDependencies {
  const { seconds = () => 0, privateAllowed = true } = overrides;
  const clock = (): number => Date.now() + seconds() * 1_000;
  return {
    keys: new IssuerKeys({ fetch: (url, init) => fetch(url, init), clock }),
    clock,
    waitUntil: () => undefined,
    checkDestination: (url) => parseDestination(url, { privateAllowed, ownHosts: [] }),
  };
}

async function clientCredentials(headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: "POST",
    headers: {
      authorization: `Basic ${btoa("workload:workload-secret-workload-secret-0")}`,
      "content-type": "application/x-www-form-urlencoded",
      ...headers,
    },
    body: new URLSearchParams({ grant_type: "client_credentials", scope: "call", resource: RESOURCE }),
  });
  const body = (await response.json()) as { access_token?: string };
  expect(response.status, JSON.stringify(body)).toBe(200);
  return body.access_token ?? "";
}

/** A browser as far as it takes: keeps cookies, goes where it is sent, stops at the client's own address. */
class Browser {
  readonly #cookies = new Map<string, string>();

  async open(url: string, form?: Record<string, string>): Promise<{ url: string; text: string }> {
    let next = url;
    let body = form;
    for (let hops = 0; hops < 10; hops++) {
      if (next.startsWith(REDIRECT_URI)) return { url: next, text: "" };
      const response = await fetch(next, {
        redirect: "manual",
        headers: { cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
        ...(body === undefined ? {} : { method: "POST", body: new URLSearchParams(body) }),
      });
      for (const cookie of response.headers.getSetCookie()) {
        const [pair = ""] = cookie.split(";");
        const at = pair.indexOf("=");
        this.#cookies.set(pair.slice(0, at), pair.slice(at + 1));
      }
      const text = await response.text();
      const location = response.headers.get("location");
      if (location === null) return { url: next, text };
      next = new URL(location, next).href;
      body = undefined;
    }
    throw new Error("too many redirects");
  }
}

/** Signs `login` in by the authorization code flow with PKCE; the ID token. */
async function signIn(clientId: string, login: string, nonce: string): Promise<string> {
  const browser = new Browser();
  const verifier = randomUUID() + randomUUID();
  const authorization = new URL(`${issuer}/auth`);
  authorization.search = new URLSearchParams({
    client_id: clientId,
    response_type: "code",
    scope: "openid",
    redirect_uri: REDIRECT_URI,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    nonce,
    state: "s",
  }).toString();
  let page = await browser.open(authorization.href);
  page = await browser.open(page.url, { prompt: "login", login, password: "any" });
  if (!page.url.startsWith(REDIRECT_URI)) page = await browser.open(page.url, { prompt: "consent" });
  const response = await fetch(`${issuer}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${btoa(`${clientId}:web-secret-web-secret-web-secret`)}` },
    body: new URLSearchParams({
      grant_type: "authorization_code",
      code: new URL(page.url).searchParams.get("code") ?? "",
      redirect_uri: REDIRECT_URI,
      code_verifier: verifier,
    }),
  });
  const body = (await response.json()) as { id_token?: string };
  expect(response.status, JSON.stringify(body)).toBe(200);
  return body.id_token ?? "";
}

const accessToken = (): ExpectedToken => ({
  kind: "access_token",
  issuer,
  audience: RESOURCE,
  algorithms: ALGORITHMS,
});

describe("against a real authorization server", () => {
  test.each(ID_TOKEN_ALGORITHMS)("a person signs in with an ID token by %s", async (algorithm) => {
    serve([await privateJwk("RS256", "r"), await privateJwk(algorithm, "k")]);
    const client = `web-${algorithm}`;
    const token = await signIn(client, "alice", "nonce-1");
    const verification = dependencies();
    const expected = { kind: "id_token", issuer, audience: client, nonce: "nonce-1" } as const;
    const verdict = await verifyToken(token, expected, verification);
    expect(verdict).toMatchObject({ kind: "ok", claims: { iss: issuer, sub: "alice", aud: client } });
    const against = async (change: Partial<ExpectedToken>) =>
      verifyToken(token, { ...expected, ...change }, verification);
    expect(await against({ nonce: "nonce-2" })).toMatchObject({ reason: "nonce" });
    expect(await against({ audience: "web" })).toMatchObject({ reason: "audience" });
    expect(await against({ issuer: `${issuer}/` })).toMatchObject({ reason: "issuer" });
    expect(await against({ kind: "access_token" })).toMatchObject({ reason: "type" });
  });

  test("a workload's access token is verified, and is no ID token", async () => {
    serve([await privateJwk("ES256", "k")]);
    const token = await clientCredentials();
    const verification = dependencies();
    expect(await verifyToken(token, accessToken(), verification)).toMatchObject({
      kind: "ok",
      claims: { sub: "workload", client_id: "workload", scope: "call" },
    });
    expect(await verifyToken(token, { ...accessToken(), kind: "id_token" }, verification)).toMatchObject({
      reason: "type",
    });
  });

  test("a workload is recognised by a trust rule, another client is not", async () => {
    serve([await privateJwk("ES256", "k")]);
    const rule = (subject: string) => ({
      ...trustRuleSchema.parse({ name: "n", issuer, audience: RESOURCE, subject, claims: { scope: "call" } }),
      id: subject,
    });
    const token = await clientCredentials();
    const verification = dependencies();
    const recognition = (subject: string) => recognise([rule(subject)], token, "access_token", verification);
    expect(await recognition("workload")).toMatchObject({ kind: "recognised", rule: { id: "workload" } });
    expect(await recognition("workload-2")).toEqual({ kind: "refused", reason: "no_match" });
  });

  test("attack 56: keys rotate with an overlap, and unknown ones load the set once in 30 s", async () => {
    const first = await privateJwk("ES256", "first");
    const second = await privateJwk("ES256", "second");
    let seconds = 0;
    const verification = dependencies({ seconds: () => seconds });
    const kindOf = async (token: string) => (await verifyToken(token, accessToken(), verification)).kind;
    const keyLoads = () => asked.filter((url) => url === "/jwks").length;

    serve([first]);
    const old = await clientCredentials();
    expect(await kindOf(old)).toBe("ok");
    serve([second, first]);
    const young = await clientCredentials();
    expect(decodeJwt(young).iss).toBe(issuer);
    expect(await kindOf(young)).toBe("refused");
    expect(keyLoads()).toBe(1);
    seconds += 31;
    expect(await kindOf(young)).toBe("ok");
    expect(await kindOf(old)).toBe("ok");
    expect(keyLoads()).toBe(2);

    serve([await privateJwk("ES256", "third")]);
    const foreign = await Promise.all(Array.from({ length: 10 }, () => clientCredentials()));
    for (const token of foreign) expect(await kindOf(token)).toBe("refused");
    expect(keyLoads()).toBe(2);
    seconds += 601;
    expect(await kindOf(old)).toBe("refused");
  });

  test("keys are not fetched over http or from an address outside development", async () => {
    serve([await privateJwk("ES256", "k")]);
    const token = await clientCredentials();
    asked.length = 0;
    expect(await verifyToken(token, accessToken(), dependencies({ privateAllowed: false }))).toEqual({
      kind: "unavailable",
      failure: "destination_refused",
    });
    expect(asked).toEqual([]);
  });

  test.each<[string, (response: ServerResponse) => void]>([
    ["status", (response) => response.writeHead(302, { location: "/jwks" }).end()],
    ["too_large", (response) => response.end(`{"pad":"${"x".repeat(200_000)}"}`)],
    ["unreachable", (response) => response.destroy()],
    ["unreachable", (response) => response.writeHead(200).write('{"issuer":')],
    ["not_json", (response) => response.end("<html>")],
  ])("an issuer that answers badly (%s) is as good as none", async (failure, answer) => {
    serve([await privateJwk("ES256", "k")]);
    const token = await clientCredentials();
    handler = (_request, response) => answer(response);
    const { clock, ...verification } = dependencies();
    const keys = new IssuerKeys({ fetch: (url, init) => fetch(url, init), clock, timeoutMs: 300 });
    expect(await verifyToken(token, accessToken(), { ...verification, clock, keys })).toEqual({
      kind: "unavailable",
      failure,
    });
  });

  test("a DPoP proof that the server takes is one here, and names the key its token is bound to", async () => {
    serve([await privateJwk("ES256", "k")]);
    const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
    const jwk = await exportJWK(publicKey);
    const proof = await new SignJWT({ htm: "POST", htu: `${issuer}/token`, jti: randomUUID() })
      .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk })
      .setIssuedAt()
      .sign(privateKey);
    const token = await clientCredentials({ dpop: proof });
    const verdict = await verifyToken(token, accessToken(), dependencies());
    const thumbprint = await calculateJwkThumbprint(jwk);
    expect(verdict).toMatchObject({ kind: "ok", claims: { cnf: { jkt: thumbprint } } });
    const request = { proof, method: "POST", url: `${issuer}/token`, now: Date.now() };
    expect(await verifyProof(request)).toMatchObject({ kind: "ok", thumbprint });
    expect(await verifyProof({ ...request, url: `${issuer}/introspect` })).toMatchObject({ reason: "uri" });
  });
});
