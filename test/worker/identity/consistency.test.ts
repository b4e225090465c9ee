import { env } from "cloudflare:workers";
import { createExecutionContext, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { eq } from "drizzle-orm";
import { describe, expect, it } from "vitest";
import { AuditLog } from "../../../src/audit/audit.ts";
import type { AuditEvent } from "../../../src/audit/event.ts";
import { openDatabase } from "../../../src/base/database.ts";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import type { GateObject } from "../../../src/identity/leases.ts";
import { agents } from "../../../src/identity/tables.ts";
import { GatedChanges } from "../../../src/identity/tenant-changes.ts";
import { type Arrived, call, createTenant, isolate, type Tenant } from "../support/tenant.ts";

const bindings = env as Env;
const CALLERS = 200;

function gateOf(tenantId: TenantId) {
  return bindings.TENANT_GATE.get(bindings.TENANT_GATE.idFromName(tenantId));
}

interface Seen {
  readonly startedAt: number;
  readonly status: number;
  readonly path: string;
}

/** Callers on eight isolates, each calling again and again until `until`, and what every call saw. */
async function keepCalling(
  token: string,
  callers: number,
  seen: Seen[],
  until: () => boolean,
): Promise<void> {
  const isolates = Array.from({ length: 8 }, isolate);
  await Promise.all(
    Array.from({ length: callers }, async (_, index) => {
      while (!until()) {
        const startedAt = Date.now();
        const { response } = await call("/proxy/up/v1/x", token, {}, isolates[index % isolates.length]);
        const body = await response.text();
        const path = response.status === 200 ? new URL((JSON.parse(body) as Arrived).url).pathname : "";
        seen.push({ startedAt, status: response.status, path });
        await scheduler.wait(150);
      }
    }),
  );
}

const ENOUGH = 60;

/** Calls all the while, makes the change after enough calls, and goes on until enough began after it was effective. */
async function changeUnderLoad(
  tenant: Tenant,
  change: () => Promise<{ readonly effectiveAt: number }>,
): Promise<{ seen: Seen[]; changedAt: number; effectiveAt: number }> {
  const token = await tenant.token();
  let effectiveAt = Number.POSITIVE_INFINITY;
  const seen: Seen[] = [];
  const isEnough = () => seen.filter(({ startedAt }) => startedAt >= effectiveAt).length >= ENOUGH;
  const calling = keepCalling(token, Math.ceil(CALLERS / 3), seen, isEnough);
  while (seen.length < ENOUGH) await scheduler.wait(100);
  const changedAt = Date.now();
  ({ effectiveAt } = await change());
  await calling;
  return { seen, changedAt, effectiveAt };
}

describe("a change holds from the moment it is acknowledged as effective", () => {
  it("under 200 parallel callers on eight isolates: a connection moved, an agent disabled, a tenant frozen", async () => {
    const [moved, disabled, frozen] = await Promise.all([createTenant(), createTenant(), createTenant()]);
    const results = await Promise.all([
      changeUnderLoad(moved, async () => {
        const { change } = await moved.services.connections.update(moved.admin, "up", {
          base_url: "http://127.0.0.1:9/moved",
        } as never);
        return change;
      }),
      changeUnderLoad(disabled, async () => {
        const { change } = await disabled.services.agents.update(disabled.admin, disabled.agentId, {
          disabled: true,
        });
        return change;
      }),
      changeUnderLoad(frozen, async () => frozen.services.tenants.freeze(frozen.admin, true, "a test")),
    ]);
    const [move, disable, freeze] = results;
    for (const { seen, changedAt } of results) {
      const before = seen.filter(({ startedAt }) => startedAt < changedAt - 200);
      expect(before.length).toBeGreaterThan(0);
      for (const { status } of before) expect(status).toBe(200);
    }
    const since = ({ seen, effectiveAt }: { seen: Seen[]; effectiveAt: number }) =>
      seen.filter(({ startedAt }) => startedAt >= effectiveAt);
    expect(new Set(since(move).map(({ path }) => path))).toEqual(new Set(["/moved/v1/x"]));
    expect(new Set(since(disable).map(({ status }) => status))).toEqual(new Set([401]));
    expect(new Set(since(freeze).map(({ status }) => status))).toEqual(new Set([403]));
  }, 60_000);

  it("with the gate killed between prepare and commit: the commit is repeated and nothing is lost", async () => {
    const tenant = await createTenant();
    const token = await tenant.token();
    const first = await call("/proxy/up/v1/x", token);
    expect(first.response.status).toBe(200);
    await first.response.text();
    let killed = 0;
    const context = createExecutionContext();
    const changes = new GatedChanges({
      db: openDatabase(bindings),
      audit: new AuditLog(bindings.AUDIT_LEDGER),
      waitUntil: (promise) => context.waitUntil(promise),
      gate: (tenantId) =>
        ({
          prepare: (...args) => gateOf(tenantId).prepare(...args),
          abort: (...args) => gateOf(tenantId).abort(...args),
          lease: (...args) => gateOf(tenantId).lease(...args),
          commit: async (...args) => {
            if (killed++ === 0) {
              await runInDurableObject(gateOf(tenantId), (_gate, state) =>
                state.abort("killed by a test"),
              ).catch(() => 0);
              throw new Error("the gate went away");
            }
            return gateOf(tenantId).commit(...args);
          },
        }) satisfies GateObject,
    });
    const { effectiveAt } = await changes.apply(tenant.tenantId, {
      statements: [],
      events: [event()],
      watermarks: [{ kind: "agent", key: tenant.agentId }],
    });
    expect(killed).toBe(2);
    await scheduler.wait(Math.max(0, effectiveAt - Date.now()));
    const after = await call("/proxy/up/v1/x", token, {}, isolate());
    expect(after.response.status).toBe(401);
    await after.response.text();
    const again = await call("/proxy/up/v1/x", token);
    expect(again.response.status).toBe(401);
    await again.response.text();
    await waitOnExecutionContext(context);
  }, 30_000);

  it("with its maker dead after the batch: the gate finds the change in D1, with its watermarks", async () => {
    const tenant = await createTenant();
    const token = await tenant.token();
    const before = await gateOf(tenant.tenantId).lease(tenant.tenantId);
    await gateOf(tenant.tenantId).prepare(tenant.tenantId, "change_orphan", {
      watermarks: [{ kind: "agent", key: tenant.agentId }],
    });
    const db = openDatabase(bindings).of(tenant.tenantId);
    await bindings.DB.batch([
      bindings.DB.prepare("UPDATE tenants SET epoch = epoch + 1 WHERE id = ?").bind(tenant.tenantId),
      bindings.DB.prepare(
        "INSERT INTO gate_changes (id, tenant_id, epoch, at) SELECT 'change_orphan', id, epoch, 0 FROM tenants WHERE id = ?",
      ).bind(tenant.tenantId),
      bindings.DB.prepare("UPDATE agents SET disabled_at = 1 WHERE id = ?").bind(tenant.agentId),
    ]);
    expect((await db.select().from(agents).where(eq(agents.id, tenant.agentId)))[0]?.disabledAt).toBe(1);
    await runInDurableObject(gateOf(tenant.tenantId), (_gate, state) =>
      state.abort("killed by a test"),
    ).catch(() => 0);
    const lease = await gateOf(tenant.tenantId).lease(tenant.tenantId);
    expect(lease.epoch).toBe(before.epoch + 1);
    expect(lease.watermarks[`agent:${tenant.agentId}`]).toBe(before.epoch + 1);
    const { response } = await call("/proxy/up/v1/x", token, {}, isolate());
    expect(response.status).toBe(401);
    await response.text();
  }, 20_000);

  it("gives no lease while a change is under way", async () => {
    const tenant = await createTenant();
    const gate = gateOf(tenant.tenantId);
    await gate.prepare(tenant.tenantId, "change_slow", { watermarks: [] });
    const order: string[] = [];
    const leasing = gate.lease(tenant.tenantId).then(() => order.push("lease"));
    await scheduler.wait(300);
    order.push("commit");
    await gate.commit("change_slow", { watermarks: [] }, 9);
    await leasing;
    expect(order).toEqual(["commit", "lease"]);
  });
});

function event(): AuditEvent {
  return {
    id: newId("event"),
    event_type: "agent.updated",
    resource_type: "agent",
    resource: "test",
    actor: "member:test",
    ip_address: null,
    user_agent: null,
    outcome: "success",
    timestamp: new Date().toISOString(),
    context: {},
  };
}
