import { eq } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import { ageDays, keyWarnings } from "../../../src/identity/key-age.ts";
import { agentKeys, agents } from "../../../src/identity/tables.ts";
import { db, leaseOf, newTenant, send } from "../api/door.ts";
import { signedIn } from "../support/signed-in.ts";

const DAY = 86_400_000;

let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeAll(async () => {
  tenant = await newTenant();
});

async function newAgent(over: object = {}) {
  const body = { name: "an agent", ...over };
  return (await send("POST", "/v1/agents", { credential: tenant.admin, body })).body;
}

const shown = async (id: string) =>
  (await send("GET", `/v1/agents/${id}`, { credential: tenant.viewer })).body;
const addKey = async (id: string, body: object = {}) =>
  (await send("POST", `/v1/agents/${id}/keys`, { credential: tenant.admin, body })).body;
const me = (credential: string, headers = {}) => send("GET", "/v1/me", { credential, headers });

describe("an agent's keys", () => {
  test("have names, ages and lives; an expired one is like one that never was", async () => {
    const { id } = await newAgent();
    const key = await addKey(id, { name: "in the cluster", ttl: "90d" });
    expect(Date.parse(key.expires_at) - Date.now()).toBeGreaterThan(89 * DAY);
    expect((await me(key.api_key)).status).toBe(200);
    const { keys } = await shown(id);
    expect(keys).toMatchObject([
      { name: null, expires_at: null, age_days: 0, warnings: [] },
      { id: key.id, name: "in the cluster", expires_at: key.expires_at, age_days: 0, warnings: [] },
    ]);
    await db.update(agentKeys).set({ expiresAt: Date.now() }).where(eq(agentKeys.id, key.id));
    expect((await me(key.api_key)).status).toBe(401);
    expect((await shown(id)).keys[1].warnings).toEqual(["expired"]);
  });

  test("warn when they are 90 days old, to whoever looks and to the agent itself", async () => {
    const { id, key_id, api_key } = await newAgent();
    expect((await me(api_key)).body.key_warnings).toEqual([]);
    await db
      .update(agentKeys)
      .set({ createdAt: Date.now() - 91 * DAY })
      .where(eq(agentKeys.id, key_id));
    const [key] = (await shown(id)).keys;
    expect(key).toMatchObject({ age_days: 91, warnings: ["older than 90 days: rotate it"] });
    expect((await me(api_key)).body.key_warnings).toEqual(key.warnings);
  });

  test.each([
    ["new", { createdAt: 100 * DAY, expiresAt: null }, 0, []],
    ["89 days old", { createdAt: 11 * DAY, expiresAt: null }, 89, []],
    ["90 days old", { createdAt: 10 * DAY, expiresAt: null }, 90, ["older than 90 days: rotate it"]],
    ["8 days from its end", { createdAt: 99 * DAY, expiresAt: 108 * DAY }, 1, []],
    ["7 days from its end", { createdAt: 99 * DAY, expiresAt: 107 * DAY }, 1, ["expires within 7 days"]],
    ["over", { createdAt: 99 * DAY, expiresAt: 100 * DAY }, 1, ["expired"]],
    ["made by a clock ahead", { createdAt: 101 * DAY, expiresAt: null }, 0, []],
  ])("one that is %s", (_what, key, age, warnings) => {
    expect(ageDays(key, 100 * DAY)).toBe(age);
    expect(keyWarnings(key, 100 * DAY)).toEqual(warnings);
  });

  test("tell when they were last used, from where they may be, and the agent when it was last seen", async () => {
    const { id, api_key } = await newAgent({ ip_allowlist: ["192.0.2.0/24"] });
    expect((await me(api_key, { "cf-connecting-ip": "198.51.100.1" })).status).toBe(403);
    const before = await shown(id);
    expect([before.last_seen_at, before.keys[0].last_used_at]).toEqual([null, null]);
    expect((await me(api_key)).status).toBe(200);
    await expect.poll(async () => (await shown(id)).last_seen_at).not.toBeNull();
    const after = await shown(id);
    expect(after.keys[0].last_used_at).toBe(after.last_seen_at);
    expect(after.updated_at).toBe(before.updated_at);
  });

  test("being seen again within five minutes writes nothing", async () => {
    const { id, key_id, api_key } = await newAgent();
    const recently = Date.now() - 60_000;
    await db.update(agentKeys).set({ lastUsedAt: recently }).where(eq(agentKeys.id, key_id));
    await me(api_key);
    await me(api_key);
    expect(Date.parse((await shown(id)).keys[0].last_used_at)).toBe(recently);
    await db
      .update(agentKeys)
      .set({ lastUsedAt: recently - 300_000 })
      .where(eq(agentKeys.id, key_id));
    await me(api_key);
    await expect
      .poll(async () => Date.parse((await shown(id)).keys[0].last_used_at))
      .toBeGreaterThan(recently);
  });
});

describe("an agent's trust tier", () => {
  test("is standard unless an admin says otherwise", async () => {
    expect((await newAgent()).trust_tier).toBe("standard");
    const { id, trust_tier } = await newAgent({ trust_tier: "untrusted" });
    expect(trust_tier).toBe("untrusted");
    const { headers } = await signedIn(tenant.tenantId, "admin");
    const raised = await send("PATCH", `/v1/agents/${id}`, { headers, body: { trust_tier: "trusted" } });
    expect(raised.body.trust_tier).toBe("trusted");
    expect((await shown(id)).trust_tier).toBe("trusted");
    const unknown = await send("POST", "/v1/agents", {
      credential: tenant.admin,
      body: { name: "a", trust_tier: "root" },
    });
    expect(unknown.status).toBe(400);
  });

  test.each([
    ["trusted", "standard", "refused"],
    ["standard", "untrusted", "refused"],
    ["untrusted", "trusted", "good"],
    ["standard", "standard", "good"],
  ])("from %s to %s, tokens issued before are %s", async (from, to, told) => {
    const { headers } = await signedIn(tenant.tenantId, "admin");
    const made = await send("POST", "/v1/agents", { headers, body: { name: "a", trust_tier: from } });
    const { id } = made.body;
    await send("PATCH", `/v1/agents/${id}`, { headers, body: { trust_tier: to } });
    const { watermarks } = await leaseOf(tenant.tenantId);
    expect(`agent:${id}` in watermarks ? "refused" : "good").toBe(told);
    const [row] = await db.select().from(agents).where(eq(agents.id, id));
    expect(row?.trustTier).toBe(to);
  });
});
