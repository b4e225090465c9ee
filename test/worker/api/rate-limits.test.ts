import { env } from "cloudflare:workers";
import { evictDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import { quotasOf } from "../../../src/api/quota-settings.ts";
import { quotaOf } from "../../../src/api/rate-limits.ts";
import { ENDPOINTS } from "../../../src/api/endpoints.ts";
import { takeOne } from "../../../src/base/quota.ts";
import { failingEnv } from "../support/failing.ts";
import { call } from "../support/tenant.ts";
import { bindings, newTenant, send } from "./door.ts";

const SMALL = "reads=3/m,writes=2/m,tokens=2/m,public=3/m,sign-ins=2/m,failures=3/m";

/** Another isolate of a deployment with small quotas. */
function isolate(setting = SMALL, base: Env = env as Env): Env {
  return new Proxy(base, {
    get: (target, name) => (name === "RATE_LIMITS" ? setting : Reflect.get(target, name)),
  });
}

interface Asked {
  readonly method?: string;
  readonly body?: unknown;
  readonly ip?: string;
}

async function ask(where: Env, path: string, credential: string, { method = "GET", body, ip }: Asked = {}) {
  const headers = { "cf-connecting-ip": ip ?? "192.0.2.1" };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const { response, settled } = await call(path, credential, { method, headers, ...sent }, where);
  const answer: { readonly error?: { readonly code: string } } = await response.json();
  await settled();
  const told = ["ratelimit-policy", "ratelimit", "retry-after"].map((name) => response.headers.get(name));
  return { status: response.status, code: answer.error?.code, told };
}

let tenant: Awaited<ReturnType<typeof newTenant>>;
let here: Env;
beforeEach(async () => {
  tenant = await newTenant();
  here = isolate();
});

describe("who calls the control plane too often", () => {
  test("is told how much is left with every answer, and then to wait", async () => {
    const answers = [];
    for (let count = 0; count < 5; count += 1) answers.push(await ask(here, "/v1/agents", tenant.viewer));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429]);
    expect(answers[0]?.told).toEqual(['"reads";q=3;w=60', '"reads";r=2;t=60', null]);
    const [policy, left, retryAfter] = answers[4]?.told ?? [];
    expect(answers[4]?.code).toBe("RATE_LIMITED");
    expect(policy).toBe('"reads";q=3;w=60');
    expect(left).toMatch(/^"reads";r=0;t=(?:60|[1-5]?[0-9])$/);
    expect(Number(retryAfter)).toBeGreaterThan(0);
  });

  test("is counted over all isolates, and over an object's rest", async () => {
    expect((await ask(here, "/v1/agents", tenant.viewer)).status).toBe(200);
    expect((await ask(isolate(), "/v1/agents", tenant.viewer)).status).toBe(200);
    const { id } = (await send("GET", "/v1/me", { credential: tenant.viewer })).body;
    const objects = bindings.CALLER_QUOTAS;
    await evictDurableObject(objects.get(objects.idFromName(`${tenant.tenantId} member:${id}`)));
    expect((await ask(isolate(), "/v1/agents", tenant.viewer)).status).toBe(200);
    expect((await ask(isolate(), "/v1/agents", tenant.viewer)).status).toBe(429);
  });

  test("stops nobody else, and not their own other quotas", async () => {
    for (let count = 0; count < 4; count += 1) await ask(here, "/v1/agents", tenant.admin);
    expect((await ask(here, "/v1/agents", tenant.admin)).status).toBe(429);
    expect((await ask(here, "/v1/agents", tenant.editor)).status).toBe(200);
    const freeze = { method: "POST", body: { frozen: false, reason: "a test" } };
    const writes = [1, 2, 3].map(() => ask(here, "/v1/freeze", tenant.admin, freeze));
    expect((await Promise.all(writes)).map(({ status }) => status).toSorted()).toEqual([200, 200, 429]);
  });

  test("asks for tokens at most so often, with all keys of an agent together", async () => {
    const body = { name: "busy", allowed_scopes: ["namespaces:read"] };
    const agent = (await send("POST", "/v1/agents", { credential: tenant.admin, body })).body;
    const other = await send("POST", `/v1/agents/${agent.id}/keys`, { credential: tenant.admin, body: {} });
    const asked = { method: "POST", body: { scopes: ["namespaces:read"], ttl: "1m" } };
    const statuses = [];
    for (const key of [agent.api_key, other.body.api_key, agent.api_key])
      statuses.push((await ask(here, "/v1/tokens", key, asked)).status);
    expect(statuses).toEqual([201, 201, 429]);
    expect((await ask(here, "/v1/me", agent.api_key)).status).toBe(200);
  });

  test("is stopped by this isolate's own count where the caller's object is away", async () => {
    const failing = failingEnv();
    const away = new Proxy(failing.bindings, {
      get: (target, name) =>
        name === "CALLER_QUOTAS"
          ? { idFromName: () => null, get: () => ({ take: () => Promise.reject(new Error("gone")) }) }
          : Reflect.get(target, name),
    });
    const where = isolate(SMALL, away);
    const statuses = [];
    for (let count = 0; count < 4; count += 1)
      statuses.push((await ask(where, "/v1/agents", tenant.admin)).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
  });
});

describe("attack 57: whoever tries credentials", () => {
  const tries = async (where: Env, count: number, ip?: string) => {
    const statuses = [];
    for (let tried = 0; tried < count; tried += 1)
      statuses.push((await ask(where, "/v1/me", `vka_${tried}`, ip === undefined ? {} : { ip })).status);
    return statuses;
  };

  test("attack 57: is stopped by address after a few, without anything being looked up", async () => {
    const failing = failingEnv();
    const where = isolate(SMALL, failing.bindings);
    expect(await tries(where, 5)).toEqual([401, 401, 401, 429, 429]);
    failing.reads.length = 0;
    expect((await ask(where, "/v1/agents", tenant.admin)).status).toBe(429);
    expect(failing.reads).toEqual([]);
    expect((await ask(where, "/v1/agents", tenant.admin, { ip: "192.0.2.2" })).status).toBe(200);
  });

  test("attack 57: is one with all addresses of the same IPv6 network", async () => {
    expect(await tries(here, 3, "2001:db8:1:1::1")).toEqual([401, 401, 401]);
    expect(await tries(here, 1, "2001:db8:1:1:ffff::2")).toEqual([429]);
    expect(await tries(here, 1, "2001:db8:1:2::1")).toEqual([401]);
  });

  test("attack 57: locks nobody out whose credential was good from the same address", async () => {
    expect((await ask(here, "/v1/agents", tenant.admin)).status).toBe(200);
    expect(await tries(here, 4)).toEqual([401, 401, 401, 429]);
    expect((await ask(here, "/v1/agents", tenant.admin)).status).toBe(200);
  });

  test("attack 57: has few attempts to sign in from an address", async () => {
    const tried = [];
    for (let count = 0; count < 3; count += 1)
      tried.push(
        (await ask(here, "/v1/bootstrap", `vkb_${count}`, { method: "POST", body: { name: "x" } })).status,
      );
    expect(tried).toEqual([401, 401, 429]);
  });
});

test("attack 89: what anybody may ask is counted by address", async () => {
  const statuses = [];
  for (let count = 0; count < 4; count += 1) statuses.push((await ask(here, "/v1/health", "")).status);
  expect(statuses).toEqual([200, 200, 200, 429]);
  expect((await ask(here, "/v1/health", "", { ip: "192.0.2.3" })).status).toBe(200);
});

describe("quotas", () => {
  test("begin anew when their window is over, and when the clock was put back", () => {
    const quota = { limit: 1, windowSeconds: 10 };
    const first = takeOne(quota, undefined, 1_000);
    expect(first.verdict).toEqual({ allowed: true, remaining: 0, resetSeconds: 10 });
    expect(takeOne(quota, first.window, 10_999).verdict).toEqual({
      allowed: false,
      remaining: 0,
      resetSeconds: 1,
    });
    expect(takeOne(quota, first.window, 11_000).verdict.allowed).toBe(true);
    expect(takeOne(quota, first.window, 999).verdict.allowed).toBe(true);
  });

  test("are what the deployment says, and else what the documentation says", () => {
    const { reads, ...rest } = quotasOf(" reads=5/s ", "production");
    expect(reads).toEqual({ limit: 5, windowSeconds: 1 });
    const limits = Object.fromEntries(Object.entries(rest).map(([name, { limit }]) => [name, limit]));
    expect(limits).toEqual({ writes: 120, tokens: 60, public: 600, "sign-ins": 10, failures: 60 });
  });

  test.each(["reads", "reads=0/m", "reads=1/d", "others=1/m", "reads=1/m;writes=1/m"])(
    "of %o are no setting: nothing is answered",
    (setting) => expect(() => quotasOf(setting, "production")).toThrow("RATE_LIMITS"),
  );

  test("are small for every way to sign in", () => {
    const ways = ENDPOINTS.filter(({ access, method, path }) => {
      return (
        access === "bootstrap" || (access === "public" && (method !== "GET" || path.startsWith("/auth/")))
      );
    });
    const loose = ways.filter((endpoint) => quotaOf(endpoint) !== "sign-ins");
    expect(loose.map(({ path }) => path)).toEqual(["/oauth/token"]);
  });
});
