import { eq } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import { agentKeys, agents } from "../../../src/identity/tables.ts";
import { db, leaseOf, newTenant, send } from "../api/door.ts";

let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeAll(async () => {
  tenant = await newTenant();
});

async function newAgent(over: Record<string, unknown> = {}, credential = tenant.admin) {
  const answer = await send("POST", "/v1/agents", { credential, body: { name: "an agent", ...over } });
  expect(answer.status).toBe(201);
  return answer.body;
}

const meAs = (credential: string, headers = {}) => send("GET", "/v1/me", { credential, headers });

async function expectRefused(credential: string) {
  const answer = await meAs(credential);
  expect(answer.status).toBe(401);
  expect(answer.body.error.code).toBe("UNAUTHORIZED");
}

describe("an agent", () => {
  test("is made with a key that is shown once and stored as a digest only", async () => {
    const input = {
      name: "billing",
      description: "refunds",
      allowed_namespaces: ["production/*"],
      allowed_scopes: ["secrets:use:production/*"],
      ip_allowlist: ["192.0.2.1", "2001:DB8::/32"],
    };
    const { api_key, key_id, id, effective_at, ...agent } = await newAgent(input);
    expect(api_key).toMatch(/^vka_[0-9A-Za-z]{54}$/);
    expect(agent).toMatchObject({
      ...input,
      ip_allowlist: ["192.0.2.1/32", "2001:db8::/32"],
      disabled: false,
    });
    expect(Date.parse(effective_at)).toBeGreaterThan(0);

    const stored = await db.select().from(agentKeys).where(eq(agentKeys.id, key_id));
    expect(JSON.stringify(stored)).not.toContain(api_key);
    const shown = await send("GET", `/v1/agents/${id}`, { credential: tenant.viewer });
    expect(shown.body).toMatchObject({ ...agent, id, keys: [{ id: key_id }] });
    expect(JSON.stringify(shown.body)).not.toMatch(/vka_/);
    expect((await meAs(api_key)).body).toMatchObject({
      kind: "agent",
      id,
      key_id,
      tenant_id: tenant.tenantId,
    });
  });

  test("keeps what a patch does not name", async () => {
    const { id } = await newAgent({ description: "old", allowed_namespaces: ["staging"] });
    const patched = await send("PATCH", `/v1/agents/${id}`, {
      credential: tenant.admin,
      body: { name: "renamed" },
    });
    expect(patched.body).toMatchObject({
      id,
      name: "renamed",
      description: "old",
      allowed_namespaces: ["staging"],
    });
    const shown = await send("GET", `/v1/agents/${id}`, { credential: tenant.admin });
    expect(shown.body).toMatchObject({
      name: "renamed",
      description: "old",
      allowed_namespaces: ["staging"],
    });
  });

  test("carries a strictly later time after each change, whatever the clock says", async () => {
    const { id } = await newAgent();
    const ahead = Date.now() + 60_000;
    await db.update(agents).set({ updatedAt: ahead }).where(eq(agents.id, id));
    await send("PATCH", `/v1/agents/${id}`, { credential: tenant.admin, body: { description: "again" } });
    const { body } = await send("GET", `/v1/agents/${id}`, { credential: tenant.admin });
    expect(Date.parse(body.updated_at)).toBe(ahead + 1);
  });

  test("disabled is refused until it is enabled again, and its tokens of before stay refused", async () => {
    const { id, api_key } = await newAgent();
    await send("PATCH", `/v1/agents/${id}`, { credential: tenant.admin, body: { disabled: true } });
    await expectRefused(api_key);
    const lease = await leaseOf(tenant.tenantId);
    expect(lease.watermarks[`agent:${id}`]).toBe(lease.epoch);
    await send("PATCH", `/v1/agents/${id}`, { credential: tenant.admin, body: { disabled: false } });
    expect((await meAs(api_key)).status).toBe(200);
    expect((await leaseOf(tenant.tenantId)).watermarks[`agent:${id}`]).toBe(lease.epoch);
  });

  test("narrowed has its tokens of before refused; widened or renamed does not", async () => {
    const { id } = await newAgent({ allowed_scopes: ["connections:call:stripe"] });
    const patch = (body: object) => send("PATCH", `/v1/agents/${id}`, { credential: tenant.admin, body });
    await patch({ name: "renamed", disabled: false });
    await patch({ allowed_scopes: ["connections:call:*"] });
    expect((await leaseOf(tenant.tenantId)).watermarks).not.toHaveProperty(`agent:${id}`);
    await patch({ allowed_scopes: ["connections:call:stripe"] });
    const narrowed = await leaseOf(tenant.tenantId);
    expect(narrowed.watermarks[`agent:${id}`]).toBe(narrowed.epoch);
    await patch({ ip_allowlist: ["192.0.2.0/24"] });
    const listed = await leaseOf(tenant.tenantId);
    expect(listed.watermarks[`agent:${id}`]).toBe(listed.epoch);
    expect(listed.epoch).toBeGreaterThan(narrowed.epoch);
  });

  test("deleted is gone with its keys and tokens", async () => {
    const { id, api_key } = await newAgent();
    const deleted = await send("DELETE", `/v1/agents/${id}`, { credential: tenant.admin });
    expect(deleted.status).toBe(204);
    expect(Date.parse(deleted.headers.get("x-valetkey-effective-at") ?? "")).toBeGreaterThan(0);
    await expectRefused(api_key);
    const lease = await leaseOf(tenant.tenantId);
    expect(lease.watermarks[`agent:${id}`]).toBe(lease.epoch);
    for (const [method, path] of [
      ["GET", `/v1/agents/${id}`],
      ["DELETE", `/v1/agents/${id}`],
      ["POST", `/v1/agents/${id}/keys`],
    ] as const) {
      expect((await send(method, path, { credential: tenant.admin })).status, `${method} ${path}`).toBe(404);
    }
    const list = await send("GET", "/v1/agents?limit=200", { credential: tenant.admin });
    expect(list.body.agents.map((agent: { id: string }) => agent.id)).not.toContain(id);
  });

  test("has several live keys, so that they rotate; a removed one is refused at once", async () => {
    const { id, api_key: first, key_id } = await newAgent();
    const added = await send("POST", `/v1/agents/${id}/keys`, { credential: tenant.admin });
    expect(added.status).toBe(201);
    expect((await meAs(first)).status).toBe(200);
    expect((await meAs(added.body.api_key)).status).toBe(200);
    const removed = await send("DELETE", `/v1/agents/${id}/keys/${key_id}`, { credential: tenant.admin });
    expect(removed.status).toBe(204);
    await expectRefused(first);
    expect((await meAs(added.body.api_key)).body.key_id).toBe(added.body.id);
    const again = await send("DELETE", `/v1/agents/${id}/keys/${key_id}`, { credential: tenant.admin });
    expect(again.body.error.code).toBe("NOT_FOUND");
    expect((await leaseOf(tenant.tenantId)).watermarks).not.toHaveProperty(`agent:${id}`);
  });

  test("has at most ten live keys", async () => {
    const { id } = await newAgent();
    for (let count = 1; count < 10; count += 1) {
      expect((await send("POST", `/v1/agents/${id}/keys`, { credential: tenant.admin })).status).toBe(201);
    }
    const eleventh = await send("POST", `/v1/agents/${id}/keys`, { credential: tenant.admin });
    expect([eleventh.status, eleventh.body.error.code]).toEqual([409, "CONFLICT"]);
  });

  test("the trail tells who made, changed and deleted it, and never its key", async () => {
    const { id, api_key } = await newAgent();
    await send("PATCH", `/v1/agents/${id}`, { credential: tenant.admin, body: { disabled: true } });
    await send("DELETE", `/v1/agents/${id}`, { credential: tenant.admin });
    const eventsOf = async () => {
      const trail = await send("GET", "/v1/audit?resource_type=agent&limit=1000", {
        credential: tenant.auditor,
      });
      return trail.body.events.filter((event: { resource: string }) => event.resource === id);
    };
    await expect
      .poll(async () => (await eventsOf()).map((event: { event_type: string }) => event.event_type), {
        timeout: 5_000,
      })
      .toEqual(["agent.deleted", "agent.disabled", "agent.created"]);
    const text = JSON.stringify(await eventsOf());
    expect(text).not.toContain(api_key);
    expect(text).toContain('"ip_address":"192.0.2.1"');
    expect(text).toMatch(/"actor":"member:mem_/);
  });
});

describe("the list of agents", () => {
  test("shows each agent once, page by page, and only the tenant's own", async () => {
    const own = await newTenant();
    const made = [];
    for (let count = 0; count < 5; count += 1) made.push((await newAgent({}, own.admin)).id);
    const seen: string[] = [];
    let cursor: string | null = "";
    do {
      const path = `/v1/agents?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`;
      const page = await send("GET", path, { credential: own.viewer });
      expect(page.body.agents.length).toBeLessThanOrEqual(2);
      expect(page.body.agents.length).toBeGreaterThan(0);
      for (const agent of page.body.agents) seen.push(agent.id);
      cursor = page.body.next_cursor;
    } while (cursor !== null);
    expect(seen.toSorted()).toEqual(made.toSorted());
    expect((await meAs(own.admin)).body.counts.agents).toBe(5);
  });
});

describe("attack 73: an agent of another tenant", () => {
  test("attack 73: does not exist, whatever is asked of it", async () => {
    const { id, key_id, api_key } = await newAgent();
    const other = await newTenant();
    for (const [method, path, body] of [
      ["GET", `/v1/agents/${id}`],
      ["PATCH", `/v1/agents/${id}`, { name: "mine" }],
      ["DELETE", `/v1/agents/${id}`],
      ["POST", `/v1/agents/${id}/keys`, {}],
      ["DELETE", `/v1/agents/${id}/keys/${key_id}`],
    ] as const) {
      const answer = await send(method, path, { credential: other.admin, body });
      expect([answer.status, answer.body.error.code], `${method} ${path}`).toEqual([404, "NOT_FOUND"]);
    }
    const { id: otherAgent } = await newAgent({}, other.admin);
    const crossed = await send("DELETE", `/v1/agents/${otherAgent}/keys/${key_id}`, {
      credential: other.admin,
    });
    expect(crossed.status).toBe(404);
    expect((await meAs(api_key)).body.name).toBe("an agent");
  });
});

describe("an agent's address allowlist", () => {
  const from = (address: string, more = {}) => ({ "cf-connecting-ip": address, ...more });

  test("attack 60: admits its networks in any spelling and nothing beside them", async () => {
    const { api_key } = await newAgent({ ip_allowlist: ["192.0.2.0/28"] });
    expect((await meAs(api_key, from("192.0.2.15"))).status).toBe(200);
    expect((await meAs(api_key, from("::ffff:192.0.2.15"))).status).toBe(200);
    for (const address of ["192.0.2.16", "2001:db8::1"]) {
      const answer = await meAs(api_key, from(address));
      expect([answer.status, answer.body.error.code]).toEqual([403, "ADDRESS_DENIED"]);
    }
  });

  test("attack 59: does not believe what a client says of itself", async () => {
    const { api_key } = await newAgent({ ip_allowlist: ["203.0.113.0/24"] });
    const spoofed = {
      "x-forwarded-for": "203.0.113.1",
      "true-client-ip": "203.0.113.1",
      "x-real-ip": "203.0.113.1",
    };
    expect((await meAs(api_key, spoofed)).body.error.code).toBe("ADDRESS_DENIED");
  });

  test("attack 61: refuses where there is no address", async () => {
    const { api_key } = await newAgent({ ip_allowlist: ["192.0.2.0/24"] });
    expect((await meAs(api_key, from("unknown"))).body.error.code).toBe("ADDRESS_DENIED");
    const { api_key: unbound } = await newAgent();
    expect((await meAs(unbound, from("unknown"))).status).toBe(200);
  });

  test("attack 62: refuses the address that all Workers share, and requests that Workers send", async () => {
    const { api_key } = await newAgent({ ip_allowlist: ["2a06:98c0:3600::/48", "192.0.2.0/24"] });
    expect((await meAs(api_key, from("2a06:98c0:3600::103"))).body.error.code).toBe("ADDRESS_DENIED");
    expect((await meAs(api_key, from("192.0.2.1", { "cf-worker": "x.example" }))).body.error.code).toBe(
      "ADDRESS_DENIED",
    );
    expect((await meAs(api_key, from("192.0.2.1"))).status).toBe(200);
  });
});
