import { beforeEach, describe, expect, it, vi } from "vitest";
import { D1_DOWN, failingEnv, never } from "../support/failing.ts";
import { call, createTenant, type Tenant } from "../support/tenant.ts";

const CALLS = 200;

describe("a cold isolate under 200 parallel calls", () => {
  let tenant: Tenant;
  let token: string;
  beforeEach(async () => {
    tenant = await createTenant();
    await tenant.services.connections.update(tenant.admin, "up", { limits: { concurrent_calls: 1_000 } });
    token = await tenant.token();
  });

  async function parallel(bindings: Env, count = CALLS): Promise<number[]> {
    return Promise.all(
      Array.from({ length: count }, async () => {
        const { response } = await call("/proxy/up/v1/x", token, {}, bindings);
        await response.text();
        return response.status;
      }),
    );
  }

  it("reads each thing once, unwraps the data key once and asks for one lease", async () => {
    const { bindings, reads, calls } = failingEnv();
    const unwraps = vi.spyOn(crypto.subtle, "unwrapKey");
    const statuses = await parallel(bindings);
    expect(new Set(statuses)).toEqual(new Set([200]));
    const of = (table: string) => reads.filter((sql) => sql.includes(`from "${table}"`)).length;
    expect({
      tokens: of("tokens"),
      connections: of("connections"),
      secrets: of("secrets"),
      budgets: of("budgets"),
      all: reads.length,
    }).toEqual({ tokens: 1, connections: 1, secrets: 1, budgets: 1, all: 4 });
    expect(unwraps).toHaveBeenCalledTimes(1);
    unwraps.mockRestore();
    expect(calls.filter((called) => called === "TENANT_GATE.lease")).toHaveLength(1);
    expect(calls.filter((called) => called === "SCOPED_TOKEN.charge")).toHaveLength(CALLS);
  }, 30_000);

  it.each(["tokens", "connections", "secrets", "budgets"])(
    "whose first reader of the %s is cancelled: the others are answered all the same, by one more read",
    async (table) => {
      const { bindings, faults, reads } = failingEnv();
      let isFirst = true;
      faults.database = (sql) => {
        if (!isFirst || !sql.includes(`from "${table}"`)) return Promise.resolve();
        isFirst = false;
        // What the work of a request that went away does: nothing, ever.
        return never();
      };
      expect(new Set(await parallel(bindings))).toEqual(new Set([200]));
      expect(reads.filter((sql) => sql.includes(`from "${table}"`))).toHaveLength(2);
    },
    30_000,
  );

  it("with the database down: all are refused, and it is asked twice, not 200 times", async () => {
    const { bindings, faults, reads } = failingEnv();
    faults.database = () => Promise.reject(D1_DOWN);
    expect(new Set(await parallel(bindings))).toEqual(new Set([503]));
    expect(reads.length).toBeLessThanOrEqual(2);
  }, 30_000);
});
