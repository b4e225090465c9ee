import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Problem } from "../../../src/base/problem.ts";
import { objectIdFor } from "../../../src/base/object-ids.ts";
import type { TokenId } from "../../../src/base/ids.ts";
import { createGateway } from "../../../src/call-path.ts";
import { send } from "../api/door.ts";
import { ProofKey } from "../support/dpop.ts";
import { type Arrived, call, createTenant, ORIGIN, type Tenant } from "../support/tenant.ts";
import { openTrusting } from "../tokens/workload.ts";

const URL_OF_CALL = `${ORIGIN}/proxy/up/v1/x`;

let tenant: Tenant;
let key: ProofKey;
let thief: ProofKey;
beforeAll(async () => {
  [tenant, key, thief] = await Promise.all([createTenant(), ProofKey.make(), ProofKey.make()]);
});
afterEach(() => {
  vi.useRealTimers();
});

const bound = (wanted: object = {}) => tenant.token({ dpop_jkt: key.thumbprint, ...wanted });

interface Outcome {
  readonly status: number;
  readonly challenge: string | null;
  readonly body: Arrived & { readonly error?: { readonly code: string } };
}

async function outcomeOf(path: string, init: RequestInit): Promise<Outcome> {
  const { response } = await call(path, "-", init);
  const body = (await response.json()) as Outcome["body"];
  return { status: response.status, challenge: response.headers.get("www-authenticate"), body };
}

/** A call with these headers; by `DPoP` if not said otherwise. */
const use = (
  token: string,
  proof: string | null,
  headers: Record<string, string> = {},
  path = "/proxy/up/v1/x",
) =>
  outcomeOf(path, {
    headers: { authorization: `DPoP ${token}`, ...(proof === null ? {} : { dpop: proof }), ...headers },
  });

const REFUSED = { status: 401, challenge: 'DPoP error="invalid_dpop_proof"' };
const PLAIN = 'Bearer realm="valetkey"';

describe("a token that is bound to a key", () => {
  test("goes through with a proof of that key, by `DPoP` or in the gateway's own header", async () => {
    const token = await bound();
    const first = await use(token, await key.proof("GET", URL_OF_CALL, token));
    expect(first.status).toBe(200);
    const own = await use(token, await key.proof("GET", URL_OF_CALL, token), {
      authorization: "",
      "x-valetkey-token": token,
    });
    expect(own.status).toBe(200);
    const query = await use(token, await key.proof("GET", URL_OF_CALL, token), {}, "/proxy/up/v1/x?page=2");
    expect(query.status).toBe(200);
  });

  test("attack 34: neither the token nor the proof goes upstream", async () => {
    const token = await bound();
    for (const name of ["dpop", "DPoP", "dPoP"]) {
      const proof = await key.proof("GET", URL_OF_CALL, token);
      const { status, body } = await outcomeOf("/proxy/up/v1/x", {
        headers: { authorization: `DPoP ${token}`, [name]: proof },
      });
      expect(status).toBe(200);
      expect(Object.keys(body.headers)).not.toContain("dpop");
      expect(JSON.stringify(body)).not.toContain(proof.slice(0, 40));
      expect(JSON.stringify(body)).not.toContain(token);
    }
    const plain = await tenant.token();
    const { body } = await outcomeOf("/proxy/up/v1/x", {
      headers: { authorization: `Bearer ${plain}`, dpop: "x.y.z" },
    });
    expect(Object.keys(body.headers)).not.toContain("dpop");
  });

  test("attack 58: without its proof it is no use, wherever it stands", async () => {
    const token = await bound();
    expect(await use(token, null)).toMatchObject(REFUSED);
    expect(await use(token, "")).toMatchObject(REFUSED);
    expect(await use(token, "a.b.c")).toMatchObject(REFUSED);
    const good = () => key.proof("GET", URL_OF_CALL, token);
    const twice = `${await good()}, ${await good()}`;
    expect(await use(token, twice)).toMatchObject(REFUSED);
    for (const headers of [
      { authorization: `Bearer ${token}` },
      { authorization: `bearer ${token}` },
      { authorization: `Basic ${btoa(`${token}:`)}` },
      { authorization: `token ${token}` },
      { authorization: token },
      { authorization: "", "x-api-key": token },
      { authorization: `Bearer ${token}`, "x-valetkey-token": token },
    ]) {
      const answer = await use(token, await good(), headers as Record<string, string>);
      expect(answer, JSON.stringify(Object.keys(headers))).toMatchObject(REFUSED);
    }
  });

  test("attack 58: a proof of another key, method, URL, token or time is none", async () => {
    const token = await bound();
    const other = await bound();
    const now = Math.floor(Date.now() / 1000);
    for (const proof of [
      await thief.proof("GET", URL_OF_CALL, token),
      await key.proof("POST", URL_OF_CALL, token),
      await key.proof("GET", `${ORIGIN}/proxy/up/v1/y`, token),
      await key.proof("GET", `${ORIGIN}/v1/x`, token),
      await key.proof("GET", "http://127.0.0.1:9/base/v1/x", token),
      await key.proof("GET", URL_OF_CALL.replace("http:", "https:"), token),
      await key.proof("GET", URL_OF_CALL, other),
      await key.proof("GET", URL_OF_CALL),
      await key.proof("GET", URL_OF_CALL, token, { iat: now - 70 }),
      await key.proof("GET", URL_OF_CALL, token, { iat: now + 70 }),
      await key.proof("GET", URL_OF_CALL, token, { iat: String(now) }),
      await key.proof("GET", URL_OF_CALL, token, { jti: undefined }),
    ]) {
      expect(await use(token, proof)).toMatchObject(REFUSED);
    }
    expect((await use(token, await key.proof("GET", URL_OF_CALL, token))).status).toBe(200);
  });

  test("attack 58: a proof is good once: of many at the same time exactly one goes through", async () => {
    const token = await bound();
    const proof = await key.proof("GET", URL_OF_CALL, token);
    const answers = await Promise.all(Array.from({ length: 12 }, () => use(token, proof)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const answer of answers.filter(({ status }) => status !== 200))
      expect(answer).toMatchObject(REFUSED);
    const { tokenId } = await tenant.services.tokenUses.identify(token);
    expect((await tenant.services.tokens.uses({ tokenId, expiresAt: 0, ancestors: [] })).uses).toBe(1);
  });

  test("attack 58: nor is it good again after the token's object died, as long as it would verify", async () => {
    const start = Date.now();
    vi.useFakeTimers({ now: start, toFake: ["Date"] });
    const token = await bound({ ttl: 3600 });
    const { tokenId } = await tenant.services.tokenUses.identify(token);
    const proof = await key.proof("GET", URL_OF_CALL, token, { iat: Math.floor(start / 1000) + 59 });
    expect((await use(token, proof)).status).toBe(200);
    // So late that slots are used again, and with calls that would.
    for (const seconds of [29, 31, 62, 93, 118]) {
      await runInDurableObject(objectOf(tokenId), (instance) => instance.alarm());
      vi.setSystemTime(start + seconds * 1_000);
      const other = await key.proof("GET", URL_OF_CALL, token);
      expect((await use(token, other)).status).toBe(200);
      await kill(tokenId);
      expect(await use(token, proof), String(seconds)).toMatchObject(REFUSED);
      expect(await use(token, other), String(seconds)).toMatchObject(REFUSED);
    }
  });

  test("attack 58: a child of it is bound to the same key", async () => {
    const token = await bound();
    const url = `${ORIGIN}/v1/tokens/child`;
    const body = JSON.stringify({ scopes: ["connections:call:up"] });
    const ask = async (proof: string) => {
      const { response } = await call("/v1/tokens/child", "-", {
        method: "POST",
        body,
        headers: { authorization: `DPoP ${token}`, dpop: proof },
      });
      return { status: response.status, body: (await response.json()) as { token: string } };
    };
    const proof = await key.proof("POST", url, token);
    const child = await ask(proof);
    expect(child.status, JSON.stringify(child.body)).toBe(201);
    expect((await ask(proof)).status).toBe(401);
    const childToken = child.body.token;
    expect(await use(childToken, null, { authorization: `Bearer ${childToken}` })).toMatchObject(REFUSED);
    expect((await use(childToken, await key.proof("GET", URL_OF_CALL, childToken))).status).toBe(200);
  });

  test("attack 57: once it is revoked, it hears what one hears that never was, proof or not", async () => {
    const token = await bound();
    const { tokenId } = await tenant.services.tokenUses.identify(token);
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    expect((await use(token, null)).challenge).toBe(PLAIN);
    expect((await use(token, await key.proof("GET", URL_OF_CALL, token))).challenge).toBe(PLAIN);
  });

  test("what is refused stands in the trail", async () => {
    const token = await bound();
    await use(token, null);
    const proof = await key.proof("GET", URL_OF_CALL, token);
    await use(token, proof);
    await use(token, proof);
    const reasons = async () => {
      const filter = { event_type: "connection.denied" } as const;
      const { events } = await tenant.services.audit.query(tenant.tenantId, filter, { limit: 100 });
      return events.map(({ context }) => context["reason"]);
    };
    await expect
      .poll(reasons, { timeout: 8_000 })
      .toEqual(expect.arrayContaining(["proof_proof_missing", "proof"]));
  });
});

describe("a token that is bound to none", () => {
  test("needs no proof, and does not come by `DPoP`", async () => {
    const token = await tenant.token();
    expect((await use(token, null, { authorization: `Bearer ${token}` })).status).toBe(200);
    expect(await use(token, await key.proof("GET", URL_OF_CALL, token))).toMatchObject(REFUSED);
  });
});

describe("on the control plane", () => {
  const DOOR = "http://localhost";
  const ask = (token: string, proof: string | null, scheme = "DPoP", path = "/v1/me") =>
    send("GET", path, {
      headers: { authorization: `${scheme} ${token}`, ...(proof === null ? {} : { dpop: proof }) },
    });

  test("attack 58: a bound token proves its key, once, for what is charged and for what is not", async () => {
    const token = await bound({ scopes: ["namespaces:read", "secrets:read:test/*"] });
    for (const path of ["/v1/me", "/v1/namespaces", "/v1/secrets/test/up"]) {
      const proof = () => key.proof("GET", DOOR + path, token);
      const refused = async (answer: Promise<{ status: number; headers: Headers }>) => {
        const { status, headers } = await answer;
        return [status, headers.get("www-authenticate")];
      };
      const once = await proof();
      const first = await ask(token, once, "DPoP", path);
      expect([200, 404], `${path} ${JSON.stringify(first.body)}`).toContain(first.status);
      const expected = [401, 'DPoP error="invalid_dpop_proof"'];
      expect(await refused(ask(token, once, "DPoP", path)), path).toEqual(expected);
      expect(await refused(ask(token, null, "DPoP", path)), path).toEqual(expected);
      expect(await refused(ask(token, await proof(), "Bearer", path)), path).toEqual(expected);
      const stolen = await thief.proof("GET", DOOR + path, token);
      expect(await refused(ask(token, stolen, "DPoP", path)), path).toEqual(expected);
    }
  });

  test("attack 58: a proof that was used for what is not charged is remembered when the object dies", async () => {
    const token = await bound({ scopes: ["namespaces:read"] });
    const { tokenId } = await tenant.services.tokenUses.identify(token);
    const proof = await key.proof("GET", `${DOOR}/v1/me`, token);
    expect((await ask(token, proof)).status).toBe(200);
    await kill(tokenId);
    expect((await ask(token, proof)).status).toBe(401);
  });

  test("attack 58: a proof that was used is no proof for a write that comes again, and a fresh one is", async () => {
    const token = await bound({ scopes: ["secrets:write:test/*"] });
    const path = "/v1/secrets/test/AGAIN";
    const store = (proof: string) =>
      send("PUT", path, {
        headers: { authorization: `DPoP ${token}`, dpop: proof, "idempotency-key": "stored-once" },
        body: { value: "a value of the agent's own" },
      });
    const proof = await key.proof("PUT", DOOR + path, token);
    expect((await store(proof)).status).toBe(201);
    expect((await store(proof)).headers.get("www-authenticate")).toBe(REFUSED.challenge);
    const other = await key.proof("PUT", DOOR + path, token);
    expect((await store(other)).headers.get("idempotency-replayed")).toBe("true");
    expect((await store(other)).headers.get("www-authenticate")).toBe(REFUSED.challenge);
  });

  test("other credentials do not come by `DPoP`", async () => {
    const { apiKey, tenant: team } = await openTrusting();
    for (const credential of [apiKey, team.admin]) {
      expect((await ask(credential, null, "Bearer")).status).toBe(200);
      const answer = await ask(credential, null);
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, PLAIN]);
    }
  });
});

describe("binding a token", () => {
  const tokensUrl = "http://localhost/v1/tokens";

  test("by a thumbprint or a proof, which must mean the same key", async () => {
    const { apiKey, tenant: team } = await openTrusting();
    const body = { scopes: ["connections:call:up"], ttl: "5m" };
    const issue = (over: object, headers: Record<string, string> = {}) =>
      send("POST", "/v1/tokens", { credential: apiKey, body: { ...body, ...over }, headers });
    const dpop = () => key.proof("POST", tokensUrl);
    for (const answer of [
      await issue({ dpop_jkt: key.thumbprint }),
      await issue({}, { dpop: await dpop() }),
      await issue({ dpop_jkt: key.thumbprint }, { dpop: await dpop() }),
    ]) {
      expect(answer.status).toBe(201);
      expect(answer.body.token_type).toBe("DPoP");
      const shown = await send("GET", `/v1/tokens/${answer.body.token_id}`, { credential: team.admin });
      expect(shown.body.dpop_jkt).toBe(key.thumbprint);
      const introspected = await send("POST", "/oauth/introspect", {
        credential: apiKey,
        body: { token: answer.body.token },
      });
      expect(introspected.body).toMatchObject({
        active: true,
        token_type: "DPoP",
        cnf: { jkt: key.thumbprint },
      });
    }
    const plain = await issue({});
    expect(plain.body).not.toHaveProperty("token_type");
    expect((await issue({ dpop_jkt: thief.thumbprint }, { dpop: await dpop() })).status).toBe(400);
    expect((await issue({ dpop_jkt: "short" })).status).toBe(400);
    for (const proof of [
      "x",
      await key.proof("GET", tokensUrl),
      await key.proof("POST", `${tokensUrl}/child`),
    ])
      expect((await issue({}, { dpop: proof })).status).toBe(400);
  });

  test("attack 58: an exchange with a proof gives a token that nobody else can use", async () => {
    const ci = await openTrusting();
    await ci.trust();
    const url = "http://localhost/oauth/token";
    const subject = await ci.issuer.token();
    const answer = await ci.exchange(subject, {}, { dpop: await key.proof("POST", url) });
    expect(answer.body).toMatchObject({ token_type: "DPoP" });
    const me = (scheme: string, proof: string) =>
      send("GET", "/v1/me", {
        headers: { authorization: `${scheme} ${answer.body.access_token}`, dpop: proof },
      });
    const proof = (of: ProofKey) => of.proof("GET", "http://localhost/v1/me", answer.body.access_token);
    expect((await me("Bearer", await proof(key))).status).toBe(401);
    expect((await me("DPoP", await proof(thief))).status).toBe(401);
    expect((await me("DPoP", await proof(key))).status).toBe(200);
    const refused = await ci.exchange(subject, {}, { dpop: await key.proof("GET", url) });
    expect([refused.status, refused.body.error]).toEqual([400, "invalid_dpop_proof"]);
  });

  test("a bound token is not charged where nobody looked at a proof", async () => {
    const token = await bound();
    const grant = await tenant.services.tokenUses.identify(token);
    const { admission } = createGateway(env as Env, "127.0.0.1:8787", () => undefined);
    const charge = { callId: "call_x", epoch: 1, ip: "192.0.2.1", event: {} as never };
    await expect(admission.charge(grant, charge)).rejects.toThrow("without a proof");
    const problem = tenant.services.tokenUses
      .present({ token, scheme: "bearer", proof: null, method: "GET", url: ORIGIN })
      .catch((error: Problem) => error.code);
    expect(await problem).toBe("UNAUTHORIZED");
  });
});

function objectOf(tokenId: TokenId) {
  const { SCOPED_TOKEN, ENVIRONMENT } = env as Env;
  return SCOPED_TOKEN.get(objectIdFor(SCOPED_TOKEN, ENVIRONMENT, tokenId));
}

/** Takes the memory of a token's object away. */
async function kill(tokenId: TokenId): Promise<void> {
  await runInDurableObject(objectOf(tokenId), (_instance, state) => state.abort("killed by a test")).catch(
    () => undefined,
  );
}
