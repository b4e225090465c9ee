import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type HostileUpstream, startHostileUpstream } from "../support/hostile-upstream.ts";
import { createTenant, type TestAgent, type TestTenant } from "../support/tenant.ts";
import { checkContract } from "../support/contract.ts";
import {
  AUDIENCE,
  signingJwk,
  startWorkloadIssuer,
  type WorkloadIssuer,
} from "../support/workload-issuer.ts";
import { ProofKey } from "../worker/support/dpop.ts";

const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

let gateway: Gateway;
let tenant: TestTenant;
let upstream: HostileUpstream;
let issuer: WorkloadIssuer;
let lookAlike: WorkloadIssuer;
let agent: TestAgent;
let key: JWK;

beforeAll(async () => {
  // It says at every start that it is set up for development.
  for (const method of ["info", "warn"] as const) vi.spyOn(console, method).mockReturnValue();
  key = await signingJwk("k");
  [gateway, upstream, issuer, lookAlike] = await Promise.all([
    startGateway({ hosts: ["up"] }),
    startHostileUpstream(),
    startWorkloadIssuer([key]),
    startWorkloadIssuer([await signingJwk("k")]),
  ]);
  tenant = await createTenant(gateway);
  await tenant.connect("up", {
    base_url: upstream.url,
    credential: { kind: "bearer" },
    value: "the-real-credential-0123456789",
  });
  agent = await tenant.agent({ allowed_scopes: ["connections:call:up"] });
  await tenant.admin.must("POST", `/v1/agents/${agent.id}/trust`, {
    name: "deployments",
    issuer: issuer.url,
    audience: AUDIENCE,
    subject: "workload",
    claims: { scope: "call" },
    max_ttl: "10m",
  });
  await tenant.settled();
});
afterAll(async () => {
  vi.restoreAllMocks();
  await Promise.all([gateway.stop(), upstream.close(), issuer.close(), lookAlike.close()]);
});
beforeEach(() => {
  issuer.serve([key]);
});

async function exchange(subjectToken: string, headers: Record<string, string> = {}, clientId = agent.id) {
  const response = await fetch(`${gateway.url}/oauth/token`, {
    method: "POST",
    headers,
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      client_id: clientId,
      subject_token: subjectToken,
      subject_token_type: ACCESS_TOKEN,
      scope: "connections:call:up",
    }),
  });
  const text = await response.text();
  await checkContract(gateway.url, "POST", "/oauth/token", {
    status: response.status,
    headers: response.headers,
    text,
  });
  return { status: response.status, body: JSON.parse(text) as Record<string, string> };
}

/** `"ok"`, or the refusal that says nothing. */
async function outcome(subjectToken: string, clientId = agent.id): Promise<string> {
  const { status, body } = await exchange(subjectToken, {}, clientId);
  return status === 200 ? "ok" : `${status} ${body["error"]} ${body["code"]}`;
}
const REFUSED = "400 invalid_request EXCHANGE_REFUSED";

async function callStatus(url: string, headers: Record<string, string>): Promise<number> {
  const response = await fetch(url, { headers });
  await response.text();
  return response.status;
}

/** The genuine token's claims under another header and key. */
async function resigned(header: object, claims: object = {}): Promise<string> {
  const genuine = await issuer.token();
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const own = { ...decodeProtectedHeader(genuine), alg: "ES256", ...header };
  return new SignJWT({ ...decodeJwt(genuine), ...claims }).setProtectedHeader(own).sign(privateKey);
}

describe("a workload of a real authorization server", () => {
  test("calls a provider without ever having stored a secret", async () => {
    const { status, body } = await exchange(await issuer.token());
    expect(status, JSON.stringify(body)).toBe(200);
    const authorization = `Bearer ${body["access_token"]}`;
    expect(await callStatus(`${gateway.url}/proxy/up/v1/x`, { authorization })).toBe(200);
    const seen = upstream.requests.at(-1);
    expect(JSON.stringify(seen?.headers)).toContain("the-real-credential-0123456789");
    expect(JSON.stringify(seen?.headers)).not.toContain(body["access_token"]);
  });

  test("attack 52: without its signature, or with one of another kind, its token is none", async () => {
    const [, payload = ""] = (await issuer.token()).split(".");
    const unsigned = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url");
    for (const signature of ["", "AA"])
      expect(await outcome(`${unsigned}.${payload}.${signature}`)).toBe(REFUSED);
    const secret = new TextEncoder().encode(JSON.stringify({ ...key, d: undefined }));
    const forged = await new SignJWT(decodeJwt(await issuer.token()))
      .setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid: "k" })
      .sign(secret);
    expect(await outcome(forged)).toBe(REFUSED);
  });

  test("attack 53: a key that comes along is not looked at, nor fetched from where it is said to be", async () => {
    const { publicKey } = await generateKeyPair("ES256", { extractable: true });
    lookAlike.asked.length = 0;
    const jku = `${lookAlike.url}/jwks`;
    for (const header of [{ jwk: await exportJWK(publicKey) }, { jku }, { x5u: jku }, { kid: jku }, {}])
      expect(await outcome(await resigned(header)), JSON.stringify(header)).toBe(REFUSED);
    expect(lookAlike.asked).toEqual([]);
  });

  test("attack 54: its token for somebody else is not one for here, and other clients' are not its own", async () => {
    expect(await outcome(await issuer.token("workload", "https://other.example.com"))).toBe(REFUSED);
    expect(await outcome(await issuer.token("workload-2"))).toBe(REFUSED);
    expect(await outcome(await issuer.token())).toBe("ok");
  });

  test("attack 55: the same client of an issuer that looks alike is another workload", async () => {
    expect(decodeJwt(await lookAlike.token()).sub).toBe("workload");
    expect(await outcome(await lookAlike.token())).toBe(REFUSED);
    expect(await outcome(await resigned({}, { iss: `${issuer.url}/` }))).toBe(REFUSED);
    const stranger = await tenant.agent();
    expect(await outcome(await issuer.token(), stranger.id)).toBe(REFUSED);
    expect(await outcome(await issuer.token(), "agt_000000000000000000000000")).toBe(REFUSED);
  });

  test("attack 56: tokens with unknown keys make the gateway ask for the keys once, and lock nobody out", async () => {
    expect(await outcome(await issuer.token())).toBe("ok");
    issuer.asked.length = 0;
    const foreign = await Promise.all(
      Array.from({ length: 20 }, (_, n) => resigned({ kid: `unknown-${n}` })),
    );
    for (const token of foreign) expect(await outcome(token)).toMatch(/^(?:400|503) /);
    expect(issuer.asked.filter((path) => path === "/jwks").length).toBeLessThanOrEqual(1);
    expect(await outcome(await issuer.token())).toBe("ok");
  });

  test("what was refused stands in the agent's audit trail", async () => {
    await exchange(await issuer.token("workload-2"));
    const auditor = tenant.admin;
    await expect
      .poll(async () => {
        const { events } = await auditor.must("GET", "/v1/audit?event_type=token.denied&limit=100");
        return events.map(({ context }: { context: { reason: string } }) => context.reason);
      })
      .toContain("no_match");
  });
});

describe("a token that is bound to the workload's key", () => {
  test("attack 58: is good with a fresh proof for each call, on every host, also after the gateway died", async () => {
    const own = await ProofKey.make();
    const dpop = await own.proof("POST", `${gateway.url}/oauth/token`);
    const { body } = await exchange(await issuer.token(), { dpop });
    expect(body["token_type"]).toBe("DPoP");
    const token = body["access_token"] ?? "";
    const authorization = `DPoP ${token}`;
    const spent: [string, string][] = [];
    for (const url of [`${gateway.url}/proxy/up/v1/x`, `${gateway.hosts["up"]}/v1/x?page=1`]) {
      const proof = await own.proof("GET", url.split("?")[0] ?? "", token);
      expect(await callStatus(url, { authorization: `Bearer ${token}` })).toBe(401);
      expect(await callStatus(url, { authorization, dpop: proof }), url).toBe(200);
      expect(JSON.stringify(upstream.requests.at(-1)?.headers)).not.toContain(proof);
      spent.push([url, proof]);
    }
    const [[, first = ""] = []] = spent;
    expect(await callStatus(`${gateway.hosts["up"]}/v1/x`, { authorization, dpop: first })).toBe(401);
    for (const [url, proof] of spent) expect(await callStatus(url, { authorization, dpop: proof })).toBe(401);
    await gateway.kill();
    await gateway.restart();
    for (const [url, proof] of spent) expect(await callStatus(url, { authorization, dpop: proof })).toBe(401);
    const [[url = ""] = []] = spent;
    const fresh = await own.proof("GET", url, token);
    expect(await callStatus(url, { authorization, dpop: fresh })).toBe(200);
  });
});
