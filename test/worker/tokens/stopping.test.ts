import { env } from "cloudflare:workers";
import { createExecutionContext, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { eq } from "drizzle-orm";
import { beforeEach, describe, expect, it } from "vitest";
import { openDatabase } from "../../../src/base/database.ts";
import type { TokenId } from "../../../src/base/ids.ts";
import { Problem } from "../../../src/base/problem.ts";
import type { Watermark } from "../../../src/identity/changes.ts";
import { createServices, type Services } from "../../../src/services.ts";
import { sweep } from "../../../src/sweep.ts";
import { tokens } from "../../../src/tokens/tables.ts";
import { call, createTenant, isolate, type Tenant } from "../support/tenant.ts";

const bindings = env as Env;
const db = openDatabase(bindings).acrossTenants("what a test looks into");

/** Calls on the isolate that knows the token already, or on one that does not. */
async function status(token: string, where = bindings): Promise<number> {
  const { response } = await call("/proxy/up/v1/x", token, {}, where);
  await response.text();
  return response.status;
}

const tokenObject = (tokenId: TokenId) =>
  bindings.SCOPED_TOKEN.get(bindings.SCOPED_TOKEN.idFromName(tokenId));

const markedInIndex = async (tokenId: TokenId): Promise<boolean> =>
  (await db.select().from(tokens).where(eq(tokens.id, tokenId)))[0]?.revokedAt !== null;

async function codeOf(answer: Promise<unknown>): Promise<string> {
  const error: unknown = await answer.then(
    () => "no refusal",
    (thrown: unknown) => thrown,
  );
  return error instanceof Problem ? error.code : String(error);
}

/** The services of another isolate. */
function elsewhere(where: Env = isolate()): Services {
  const context = createExecutionContext();
  return createServices(where, "127.0.0.1:8787", (promise) => context.waitUntil(promise));
}

/** Bindings under which telling a token's object that it is revoked fails `times` times. */
function withDeafObjects(times: number): Env {
  let left = times;
  const objects = new Proxy(bindings.SCOPED_TOKEN, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      if (key !== "get") return value.bind(target);
      return (id: DurableObjectId) => {
        const stub = target.get(id);
        return {
          revoke: (...args: Parameters<typeof stub.revoke>) =>
            left-- > 0 ? Promise.reject(new Error("gone")) : stub.revoke(...args),
        };
      };
    },
  });
  return new Proxy(bindings, {
    get: (target, key: keyof Env) => (key === "SCOPED_TOKEN" ? objects : target[key]),
  });
}

/** Bindings under which D1 takes no batch. */
function withoutBatches(): Env {
  const database = new Proxy(bindings.DB, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (key === "batch") return () => Promise.reject(new Error("D1 is down"));
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return new Proxy(bindings, { get: (target, key: keyof Env) => (key === "DB" ? database : target[key]) });
}

describe("revoking one token", () => {
  let tenant: Tenant;
  let token: string;
  let tokenId: TokenId;
  beforeEach(async () => {
    tenant = await createTenant();
    token = await tenant.token();
    ({ tokenId } = await tenant.services.tokenUses.identify(token));
    expect(await status(token)).toBe(200);
  });

  it("is told to its object again where that did not answer", async () => {
    await elsewhere(withDeafObjects(2)).tokens.revoke(tenant.admin, tokenId);
    expect(await status(token)).toBe(401);
    expect(await markedInIndex(tokenId)).toBe(true);
  });

  it("never says that it is revoked where its object does not know", async () => {
    expect(await codeOf(elsewhere(withDeafObjects(99)).tokens.revoke(tenant.admin, tokenId))).toBe(
      "UNAVAILABLE",
    );
    expect(await markedInIndex(tokenId)).toBe(false);
    expect(await status(token)).toBe(200);
  });

  it("attack 68: holds with D1 down, and can be done again to be written down", async () => {
    await expect(elsewhere(withoutBatches()).tokens.revoke(tenant.admin, tokenId)).rejects.toThrow();
    expect(await status(token)).toBe(401);
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    expect(await markedInIndex(tokenId)).toBe(true);
  });

  it("twice is told once in the ledger", async () => {
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    await tenant.settled();
    const { events } = await tenant.services.audit.query(
      tenant.tenantId,
      { event_type: "token.revoked" },
      { limit: 10 },
    );
    expect(events.map(({ resource }) => resource)).toEqual([tokenId]);
  });

  it("that the index knows of alone holds where the token is new, and everywhere after the next sweep", async () => {
    await db.update(tokens).set({ revokedAt: Date.now() }).where(eq(tokens.id, tokenId));
    expect(await status(token, isolate())).toBe(401);
    expect(await status(token)).toBe(200);
    const context = createExecutionContext();
    await sweep(bindings, (promise) => context.waitUntil(promise));
    await waitOnExecutionContext(context);
    expect(await status(token)).toBe(401);
  });

  it("holds at GET /v1/me and at introspection at once", async () => {
    const me = await call("/v1/me", token);
    expect(me.response.status).toBe(200);
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    expect((await call("/v1/me", token)).response.status).toBe(401);
    expect(await codeOf(tenant.services.tokenUses.identify(token))).toBe("UNAUTHORIZED");
  });
});

describe("who a token is says that it is dead where a bulk revocation left it nothing", () => {
  const SCOPES = ["connections:call:up", "secrets:read:test/up/KEY"];

  it.each([
    ["its agent", SCOPES, ({ agentId }: Tenant) => ({ kind: "agent", key: agentId }), false],
    ["the tenant", SCOPES, () => ({ kind: "tenant", key: "*" }), false],
    ["its only connection", ["connections:call:up"], () => ({ kind: "connection", key: "up" }), false],
    [
      "one of its connections",
      ["connections:call:up", "connections:call:b"],
      () => ({ kind: "connection", key: "up" }),
      true,
    ],
    ["one of what its glob covers", ["connections:call:*"], () => ({ kind: "connection", key: "up" }), true],
    ["another connection", ["connections:call:up"], () => ({ kind: "connection", key: "b" }), true],
    ["its only secret", ["secrets:use:test/up/KEY"], () => ({ kind: "secret", key: "test/up/KEY" }), false],
    ["another secret", ["secrets:use:test/up/KEY"], () => ({ kind: "secret", key: "test/up/KEY2" }), true],
    [
      "a class, where it reads a secret",
      ["secrets:read:test/up/KEY"],
      () => ({ kind: "class", key: "standard" }),
      false,
    ],
  ] satisfies [string, string[], (tenant: Tenant) => Watermark, boolean][])(
    "%s",
    async (_what, scopes, watermark, alive) => {
      const tenant = await createTenant();
      const token = await tenant.token({ scopes });
      expect(await codeOf(elsewhere().tokenUses.identify(token))).toBe("no refusal");
      await tenant.services.tokens.revokeAll(tenant.admin, watermark(tenant));
      expect(await codeOf(elsewhere().tokenUses.identify(token))).toBe(alive ? "no refusal" : "UNAUTHORIZED");
    },
  );
});

describe("a frozen tenant", () => {
  it("issues no tokens until it is unfrozen", async () => {
    const tenant = await createTenant();
    const agentCaller = {
      kind: "agent",
      tenantId: tenant.tenantId,
      agentId: tenant.agentId,
      keyId: "akey_000000000000000000000000",
      actor: `agent:${tenant.agentId}`,
      request: tenant.admin.request,
    } as never;
    const request = { scopes: ["connections:call:up"], ttl: 60, ip_allowlist: [], context: {} };
    const issue = () => codeOf(elsewhere().tokens.issue(agentCaller, request));
    expect(await issue()).toBe("no refusal");
    await tenant.services.tenants.freeze(tenant.admin, true, "a test");
    expect(await issue()).toBe("TENANT_FROZEN");
    await tenant.services.tenants.freeze(tenant.admin, false, "a test");
    expect(await issue()).toBe("no refusal");
  });
});

describe("attack 89: what a caller says of itself", () => {
  it("is kept short in a token's object", async () => {
    const tenant = await createTenant();
    const token = await tenant.token({ scopes: ["namespaces:read"] });
    const { tokenId } = await tenant.services.tokenUses.identify(token);
    const answer = await call("/v1/namespaces", token, { headers: { "user-agent": "u".repeat(60_000) } });
    expect(answer.response.status).toBe(200);
    await answer.response.text();
    const kept = await runInDurableObject(tokenObject(tokenId), (_object, state) =>
      [...state.storage.kv.list({ prefix: "slot:" })].map(([, slot]) => JSON.stringify(slot).length),
    );
    expect(kept).toHaveLength(1);
    expect(kept[0]).toBeLessThan(2_500);
  });
});
