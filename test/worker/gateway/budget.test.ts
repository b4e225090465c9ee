import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { AuditLedger } from "../../../src/index.ts";
import { countingEnv } from "../support/counting.ts";
import { call, createTenant, type Tenant } from "../support/tenant.ts";

/**
 * The budget of a warm call (design: "Budget of a warm call"). Counted, not timed: these numbers are the product's
 * cost and latency.
 */
describe("a warm call's budget", () => {
  let tenant: Tenant;

  beforeAll(async () => {
    tenant = await createTenant();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("asks one object once before the upstream is called, D1 and the key provider never", async () => {
    const token = await tenant.token();
    const { bindings, counts } = countingEnv();
    const first = await call("/proxy/up/v1/x", token, {}, bindings);
    expect(first.response.status).toBe(200);
    await first.response.text();
    await first.settled();
    counts.objects.clear();
    counts.d1 = 0;
    const keyCalls = vi.spyOn(crypto.subtle, "deriveKey");
    const unwraps = vi.spyOn(crypto.subtle, "unwrapKey");
    for (let n = 0; n < 20; n++) {
      const { response } = await call("/proxy/up/v1/x", token, {}, bindings);
      expect(response.status).toBe(200);
      await response.text();
    }
    expect(counts.objects.get("SCOPED_TOKEN.charge")).toBe(20);
    expect(counts.d1).toBe(0);
    expect(keyCalls).not.toHaveBeenCalled();
    expect(unwraps).not.toHaveBeenCalled();
    // Beside the charges: outcomes told together, and at most one renewal of the lease.
    expect(counts.objects.get("TENANT_GATE.lease") ?? 0).toBeLessThanOrEqual(1);
    const others = [...counts.objects.keys()].filter(
      (name) => !["SCOPED_TOKEN.charge", "SCOPED_TOKEN.settle", "TENANT_GATE.lease"].includes(name),
    );
    expect(others).toEqual([]);
  });

  it("with a lapsed lease asks the gate beside the charge, not before it", async () => {
    const token = await tenant.token();
    const { bindings, counts } = countingEnv();
    const order: string[] = [];
    const watched = watchOrder(bindings, order);
    const first = await call("/proxy/up/v1/x", token, {}, watched);
    await first.response.text();
    await first.settled();
    vi.useFakeTimers({ now: Date.now() + 60_000, toFake: ["Date"] });
    order.length = 0;
    counts.objects.clear();
    const { response } = await call("/proxy/up/v1/x", token, {}, watched);
    expect(response.status).toBe(200);
    expect(counts.objects.get("SCOPED_TOKEN.charge")).toBe(1);
    expect(order.indexOf("charge asked")).toBeLessThan(order.indexOf("lease answered"));
  });

  it.each([
    { calls: 100, spacingMs: 550, rowsPerCall: 1.3, what: "100 calls of one token within a minute" },
    { calls: 100, spacingMs: 6_000, rowsPerCall: 2.1, what: "100 calls of one token in ten minutes" },
  ])(
    "writes at most $rowsPerCall rows a call over $what",
    async ({ calls, spacingMs, rowsPerCall }) => {
      const token = await tenant.token({ ttl: 3600 });
      const rows = await countRows(tenant, token, calls, spacingMs);
      expect(rows / calls).toBeLessThanOrEqual(rowsPerCall);
      expect(rows).toBeGreaterThan(calls);
    },
    60_000,
  );

  it("writes at most 4 rows in a single-use token's whole life", async () => {
    const token = await tenant.token({ ttl: 300, max_uses: 1 });
    const rows = await countRows(tenant, token, 1, 0, 310_000);
    // The use, its alarm and its line in the ledger; forgetting the one slot is the fourth.
    expect(rows).toBeGreaterThanOrEqual(3);
    expect(rows).toBeLessThanOrEqual(4);
  });
});

function watchOrder(bindings: Env, order: string[]): Env {
  const wrap = <T extends object>(binding: T, method: string, name: string): T =>
    new Proxy(binding, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== "function") return value;
        if (key !== "get") return value.bind(target);
        return (id: unknown) =>
          new Proxy(value.call(target, id) as object, {
            get(stub, called) {
              const run: unknown = Reflect.get(stub, called);
              if (called !== method || typeof run !== "function") return run;
              return async (...args: unknown[]) => {
                order.push(`${name} asked`);
                const answer: unknown = await Reflect.apply(run, stub, args);
                // A gate that takes its time: whoever waits for it first shows.
                if (name === "lease") await scheduler.wait(150);
                order.push(`${name} answered`);
                return answer;
              };
            },
          });
      },
    });
  return new Proxy(bindings, {
    get(target, key: keyof Env) {
      if (key === "SCOPED_TOKEN") return wrap(target.SCOPED_TOKEN, "charge", "charge");
      if (key === "TENANT_GATE") return wrap(target.TENANT_GATE, "lease", "lease");
      return target[key];
    },
  });
}

/**
 * Rows written by the token's object (puts, deletes, alarms) and by the ledger (blocks), counted where they are
 * written: in the objects' own storage.
 */
async function countRows(
  tenant: Tenant,
  token: string,
  calls: number,
  spacingMs: number,
  aliveMs = 10_000,
): Promise<number> {
  const bindings = env as Env;
  const { grant } = await grantOf(tenant, token);
  const object = bindings.SCOPED_TOKEN.get(bindings.SCOPED_TOKEN.idFromName(grant));
  const ledger = bindings.AUDIT_LEDGER.get(bindings.AUDIT_LEDGER.idFromName(tenant.tenantId));
  let rows = 0;
  let alarmAt: number | null = null;
  await runInDurableObject(object, (_instance, state) => {
    const { kv } = state.storage;
    const put = kv.put.bind(kv);
    const remove = kv.delete.bind(kv);
    const setAlarm = state.storage.setAlarm.bind(state.storage);
    const deleteAll = state.storage.deleteAll.bind(state.storage);
    kv.put = ((key: string, value: unknown) => {
      rows++;
      put(key, value);
    }) as typeof kv.put;
    kv.delete = ((key: string) => {
      rows++;
      return remove(key);
    }) as typeof kv.delete;
    state.storage.setAlarm = (async (time: number) => {
      rows++;
      alarmAt = time;
      await setAlarm(Date.now() + 86_400_000);
    }) as typeof setAlarm;
    state.storage.deleteAll = (async () => {
      rows += [...kv.list()].length;
      await deleteAll();
    }) as typeof deleteAll;
  });
  await tenant.settled();
  const blocksBefore = await blockCount(ledger);
  const start = Date.now();
  vi.useFakeTimers({ now: start, toFake: ["Date", "setTimeout", "clearTimeout"] });
  const advance = async (ms: number): Promise<void> => {
    const until = Date.now() + ms;
    while (Date.now() < until) {
      await vi.advanceTimersByTimeAsync(Math.min(250, until - Date.now())).catch(ofAnotherObject);
      if (alarmAt !== null && Date.now() >= alarmAt) {
        alarmAt = null;
        await runInDurableObject(object, (instance) => instance.alarm());
      }
    }
  };
  for (let n = 0; n < calls; n++) {
    const { response, settled } = await call("/proxy/up/v1/x", token);
    expect(response.status).toBe(200);
    await response.text();
    await settled();
    await advance(spacingMs);
  }
  await advance(aliveMs);
  vi.useRealTimers();
  return rows + (await blockCount(ledger)) - blocksBefore;
}

/** An object that an earlier file left in this isolate may have armed its timer on our clock: it is none of ours. */
function ofAnotherObject(error: unknown): void {
  if (!String(error).includes("on behalf of a different Durable Object")) throw error;
}

async function grantOf(tenant: Tenant, token: string): Promise<{ grant: string }> {
  const { tokenId } = await tenant.services.tokenUses.identify(token);
  return { grant: tokenId };
}

async function blockCount(ledger: DurableObjectStub<AuditLedger>) {
  return runInDurableObject(ledger, (_instance, state) => {
    const tables = state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'blocks'").toArray();
    if (tables.length === 0) return 0;
    return Number(state.storage.sql.exec("SELECT count(*) AS n FROM blocks").one()["n"]);
  });
}
