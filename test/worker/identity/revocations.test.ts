import { env } from "cloudflare:workers";
import { createExecutionContext, evictDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  NO_REVOCATIONS,
  type RecentRevocations,
  toldAt,
  withRevoked,
} from "../../../durable-objects/recent-revocations.ts";
import { type AgentId, newId, type TokenId } from "../../../src/base/ids.ts";
import { createServices } from "../../../src/services.ts";
import { call, createTenant, type Tenant } from "../support/tenant.ts";

const bindings = env as Env;

afterEach(() => {
  vi.useRealTimers();
});

describe("a token revoked by itself, at the tenant's gate", () => {
  let tenant: Tenant;
  let token: string;
  let tokenId: TokenId;
  beforeEach(async () => {
    tenant = await createTenant();
    token = await tenant.token();
    ({ tokenId } = await tenant.services.tokenUses.identify(token));
  });
  const gate = () => bindings.TENANT_GATE.get(bindings.TENANT_GATE.idFromName(tenant.tenantId));
  const lease = () => gate().lease(tenant.tenantId);

  it("is named by the leases of the next minute, without a new epoch, across an eviction", async () => {
    const before = await lease();
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    await evictDurableObject(gate());
    const after = await lease();
    expect(after.revoked).toEqual([tokenId]);
    expect(after.epoch).toBe(before.epoch);
    expect(after.version).toBeGreaterThan(before.version);
    vi.useFakeTimers({ now: Date.now() + 61_000, toFake: ["Date"] });
    expect((await lease()).revoked).toEqual([]);
  });

  it("stays when a change is made", async () => {
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    await tenant.services.tenants.freeze(tenant.admin, true, "a test");
    expect(await lease()).toMatchObject({ revoked: [tokenId], frozen: true });
  });

  it("is never said to be revoked where the gate does not know, and can be told again", async () => {
    const deaf = new Proxy(bindings.TENANT_GATE, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== "function") return value;
        if (key !== "get") return value.bind(target);
        return (id: DurableObjectId) => {
          const stub = target.get(id);
          return new Proxy(stub, {
            get: (real, name) =>
              name === "noteRevoked" ? () => Promise.reject(new Error("gone")) : Reflect.get(real, name),
          });
        };
      },
    });
    const where = new Proxy(bindings, {
      get: (target, key: keyof Env) => (key === "TENANT_GATE" ? deaf : target[key]),
    });
    const context = createExecutionContext();
    const elsewhere = createServices(where, "127.0.0.1:8787", (promise) => context.waitUntil(promise));
    await expect(elsewhere.tokens.revoke(tenant.admin, tokenId)).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    const { response } = await call("/proxy/up/v1/x", token);
    expect(response.status).toBe(401);
    await response.text();
    expect((await lease()).revoked).toEqual([]);
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    expect((await lease()).revoked).toEqual([tokenId]);
  });
});

describe("attack 66: more revoked tokens than a lease can name", () => {
  const NOW = 1_800_000_000_000;
  const agent = () => newId("agent");

  function revoke(recent: RecentRevocations, agentId: AgentId, count: number, issuedAt: number, at = NOW) {
    let next = recent;
    for (let n = 0; n < count; n++) {
      next = withRevoked(next, { tokenId: newId("token"), agentId, issuedAt: issuedAt + n }, at);
    }
    return next;
  }

  it("attack 66: become all that their agent was issued until then, and no other agent's", () => {
    const [busy, quiet] = [agent(), agent()];
    const few = revoke(NO_REVOCATIONS, quiet, 3, 1_000);
    const full = revoke(few, busy, 997, 1_000);
    expect(toldAt(full, NOW).revoked).toHaveLength(1_000);
    expect(toldAt(full, NOW).revokedUntil).toEqual({});
    const over = revoke(full, busy, 1, 500);
    const told = toldAt(over, NOW);
    expect(told.revokedUntil).toEqual({ [busy]: 1_996 });
    expect(told.revoked).toEqual(toldAt(few, NOW).revoked);
    const later = toldAt(revoke(over, busy, 1, 3_000), NOW);
    expect([later.revoked.length, later.revokedUntil[busy]]).toEqual([4, 1_996]);
    const gone = toldAt(over, NOW + 60_000);
    expect([gone.revoked, gone.revokedUntil]).toEqual([[], {}]);
  });

  it("attack 66: a mark is never lowered, nor does it end before the last that it stands for", () => {
    const busy = agent();
    const once = revoke(NO_REVOCATIONS, busy, 1_001, 5_000);
    const twice = revoke(once, busy, 1_001, 1_000, NOW + 50_000);
    expect(toldAt(twice, NOW + 100_000).revokedUntil).toEqual({ [busy]: 6_000 });
  });

  it("attack 66: of more agents than that, become all of the tenant's; what is kept stays small", () => {
    let recent = NO_REVOCATIONS;
    for (let n = 0; n < 2_001; n++) recent = revoke(recent, agent(), 1, n);
    const told = toldAt(recent, NOW);
    expect(told.revoked.length).toBeLessThanOrEqual(1_000);
    expect(Object.keys(told.revokedUntil)).toEqual(["*"]);
    expect(JSON.stringify(recent).length).toBeLessThan(250_000);
  });

  it("the same token again takes no more room", () => {
    const tokenId = newId("token");
    const agentId = agent();
    const once = withRevoked(NO_REVOCATIONS, { tokenId, agentId, issuedAt: 1 }, NOW);
    const again = withRevoked(once, { tokenId, agentId, issuedAt: 1 }, NOW + 59_000);
    expect(toldAt(again, NOW + 100_000).revoked).toEqual([tokenId]);
  });
});
