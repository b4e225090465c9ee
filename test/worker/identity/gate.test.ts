import { env } from "cloudflare:workers";
import { createExecutionContext, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { eq } from "drizzle-orm";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AuditLog } from "../../../src/audit/audit.ts";
import { openDatabase } from "../../../src/base/database.ts";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import type { Change } from "../../../src/identity/changes.ts";
import type { GateObject } from "../../../src/identity/leases.ts";
import { gateChanges } from "../../../src/identity/tables.ts";
import { GatedChanges } from "../../../src/identity/tenant-changes.ts";
import { createTenant, epochOf } from "../support/tenant.ts";

const bindings = env as Env;
const database = openDatabase(bindings);
const db = database.acrossTenants("what a test looks into");

function gateOf(tenantId: TenantId) {
  return bindings.TENANT_GATE.get(bindings.TENANT_GATE.idFromName(tenantId));
}

/** A change's maker over the real gate and the real D1; what `fault` replaces fails as it says. */
function maker(fault: Partial<GateObject> = {}): GatedChanges {
  const context = createExecutionContext();
  return new GatedChanges({
    db: database,
    audit: new AuditLog(bindings.AUDIT_LEDGER),
    waitUntil: (promise) => context.waitUntil(promise),
    gate: (tenantId) => ({
      prepare: (...args) => gateOf(tenantId).prepare(...args),
      commit: (...args) => gateOf(tenantId).commit(...args),
      abort: (...args) => gateOf(tenantId).abort(...args),
      lease: (...args) => gateOf(tenantId).lease(...args),
      ...fault,
    }),
  });
}

const dies = async (): Promise<never> => {
  throw new Error("its maker died");
};

function change(parts: Partial<Change> = {}): Change {
  return {
    statements: [],
    events: [
      {
        id: newId("event"),
        event_type: "tenant.updated",
        resource_type: "tenant",
        resource: "test",
        actor: "member:test",
        ip_address: null,
        user_agent: null,
        outcome: "success",
        timestamp: new Date().toISOString(),
        context: {},
      },
    ],
    ...parts,
  };
}

/** Lands in D1; its maker dies before it tells the gate. */
async function landAndDie(tenantId: TenantId, parts: Partial<Change>): Promise<number> {
  await expect(maker({ commit: dies, abort: dies }).apply(tenantId, change(parts))).rejects.toThrow();
  return epochOf(tenantId);
}

let tenantId: TenantId;
beforeEach(async () => {
  ({ tenantId } = await createTenant());
});
afterEach(() => {
  vi.useRealTimers();
});

describe("commits that arrive in another order than their changes landed", () => {
  it("do not lift a freeze that is newer", async () => {
    const gate = gateOf(tenantId);
    await gate.commit("change_freeze", { watermarks: [], frozen: true }, 22);
    await gate.commit("change_unfreeze", { watermarks: [], frozen: false }, 21);
    expect(await gate.lease(tenantId)).toMatchObject({ epoch: 22, frozen: true });
    await gate.commit("change_later", { watermarks: [], frozen: false }, 23);
    expect(await gate.lease(tenantId)).toMatchObject({ epoch: 23, frozen: false });
  });

  it("do not lower a watermark", async () => {
    const gate = gateOf(tenantId);
    const watermarks = [{ kind: "tenant", key: "*" }] as const;
    await gate.commit("change_2", { watermarks }, 32);
    await gate.commit("change_1", { watermarks }, 31);
    expect((await gate.lease(tenantId)).watermarks).toEqual({ "tenant:*": 32 });
  });

  it("each make a lease with a higher version", async () => {
    const versions: number[] = [(await gateOf(tenantId).lease(tenantId)).version];
    for (const epoch of [42, 41, 43]) {
      const gate = gateOf(tenantId);
      await gate.commit(`change_${epoch}`, { watermarks: [{ kind: "agent", key: String(epoch) }] }, epoch);
      await evictDurableObject(gate);
      versions.push((await gateOf(tenantId).lease(tenantId)).version);
    }
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(new Set(versions).size).toBe(4);
  });
});

describe("a change whose maker died is settled by its own id", () => {
  it("landed: a freeze and a watermark hold although a later change has landed and been committed", async () => {
    const epoch = await landAndDie(tenantId, { frozen: true, watermarks: [{ kind: "agent", key: "agt_x" }] });
    await maker().apply(tenantId, change());
    const lease = await gateOf(tenantId).lease(tenantId);
    expect(lease).toMatchObject({ epoch: epoch + 1, frozen: true });
    expect(lease.watermarks["agent:agt_x"]).toBe(epoch);
    vi.useFakeTimers({ now: Date.now() + 120_000, toFake: ["Date"] });
    expect(await gateOf(tenantId).lease(tenantId)).toMatchObject({ epoch: epoch + 1, frozen: true });
  });

  it("not landed: an unfreeze does not happen because another change has moved the epoch", async () => {
    await maker().apply(tenantId, change({ frozen: true }));
    await gateOf(tenantId).prepare(tenantId, "change_unfreeze", { watermarks: [], frozen: false });
    const epoch = await landAndDie(tenantId, {});
    expect(await gateOf(tenantId).lease(tenantId)).toMatchObject({ epoch, frozen: true });
  });

  it("not landed within a minute: it is forgotten, and leases are given at once again", async () => {
    const gate = gateOf(tenantId);
    await gate.prepare(tenantId, "change_never", { watermarks: [], frozen: true });
    vi.useFakeTimers({ now: Date.now() + 61_000, toFake: ["Date"] });
    expect(await gate.lease(tenantId)).toMatchObject({ frozen: false });
    const open = await runInDurableObject(gate, (_gate, { storage }) => [
      ...storage.kv.list({ prefix: "change:" }),
    ]);
    expect(open).toEqual([]);
  });

  it("a freeze overtaken by a committed unfreeze stays lifted", async () => {
    await landAndDie(tenantId, { frozen: true });
    await maker().apply(tenantId, change({ frozen: false }));
    expect(await gateOf(tenantId).lease(tenantId)).toMatchObject({ frozen: false });
  });

  it("hands out no epoch below D1's while changes are open", async () => {
    const gate = gateOf(tenantId);
    for (let n = 0; n < 3; n++) {
      const epoch = await landAndDie(tenantId, {});
      expect((await gate.lease(tenantId)).epoch).toBe(epoch);
    }
  });

  it("is not cleared away before the gate has settled it, however late that is", async () => {
    const epoch = await landAndDie(tenantId, { frozen: true });
    const rows = () => db.select().from(gateChanges).where(eq(gateChanges.tenantId, tenantId));
    expect((await rows()).length).toBeGreaterThan(0);
    const unreachable = maker({ lease: dies });
    await unreachable.forgetSettled(Date.now() + 1);
    expect((await rows()).length).toBeGreaterThan(0);
    for (let round = 0; round < 20 && (await rows()).length > 0; round++) {
      await maker().forgetSettled(Date.now() + 1);
    }
    expect(await rows()).toEqual([]);
    expect(await gateOf(tenantId).lease(tenantId)).toMatchObject({ epoch, frozen: true });
  });

  it("is not written where the gate's promise to wait for it may have run out", async () => {
    const before = await epochOf(tenantId);
    const slow = maker({
      prepare: async (...args) => {
        await gateOf(tenantId).prepare(...args);
        vi.useFakeTimers({ now: Date.now() + 20_000, toFake: ["Date"] });
      },
    });
    await expect(slow.apply(tenantId, change({ frozen: true }))).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    expect(await epochOf(tenantId)).toBe(before);
  });
});

describe("the gate's state", () => {
  it("stays small: more than 1,000 watermarks of a kind become one for the whole tenant", async () => {
    const gate = gateOf(tenantId);
    await gate.commit("change_agent", { watermarks: [{ kind: "agent", key: "agt_x" }] }, 50);
    for (let n = 0; n < 10; n++) {
      const watermarks = Array.from({ length: 100 }, (_, i) => ({
        kind: "secret" as const,
        key: `a/${n}/${i}`,
      }));
      await gate.commit(`change_${n}`, { watermarks }, 51 + n);
    }
    const full = (await gate.lease(tenantId)).watermarks;
    expect(Object.keys(full)).toHaveLength(1_001);
    expect(full["secret:a/3/7"]).toBe(54);
    await gate.commit("change_last", { watermarks: [{ kind: "secret", key: "a/b/c" }] }, 70);
    expect((await gate.lease(tenantId)).watermarks).toEqual({ "agent:agt_x": 50, "tenant:*": 70 });
  });

  it("in memory is never ahead of what is stored", async () => {
    const gate = gateOf(tenantId);
    const { version } = await gate.lease(tenantId);
    await runInDurableObject(gate, (_gate, { storage }) => {
      const { kv } = storage;
      const put = kv.put.bind(kv);
      kv.put = () => {
        kv.put = put;
        throw new Error("the value is too large");
      };
    });
    const freeze = { watermarks: [], frozen: true };
    const refused = await runInDurableObject(gate, (instance) =>
      instance.commit("change_x", freeze, 60).catch(() => null),
    );
    expect(refused).toBeNull();
    expect(await gate.lease(tenantId)).toMatchObject({ version, frozen: false });
    await gate.commit("change_x", freeze, 60);
    expect(await gate.lease(tenantId)).toMatchObject({ version: version + 1, frozen: true });
  });
});
