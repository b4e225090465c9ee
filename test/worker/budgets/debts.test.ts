import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newId, type TokenId } from "../../../src/base/ids.ts";
import type { Budget } from "../../../src/budgets/budget.ts";
import type { ChargeRequest, ChargeVerdict } from "../../../src/tokens/charge.ts";
import { createTenant, type Tenant } from "../support/tenant.ts";
import { bookOf, holderOf, kill, makeBudget } from "./fixtures.ts";

/** In the middle of a window, which a test ends where it says so. */
const NOON = Date.UTC(2030, 0, 1, 12, 0, 30);

let tenant: Tenant;
beforeEach(async () => {
  vi.useFakeTimers({ now: NOON, toFake: ["Date"] });
  tenant = await createTenant();
});
afterEach(() => {
  vi.useRealTimers();
});

const bytes = (over: object): Promise<Budget> =>
  makeBudget(tenant, { measure: "bytes", limit: 100, max_bytes_per_call: 10, period: "minute", ...over });

/** A call that reserves so much, straight at its token's object. */
function charge(tokenId: TokenId, budget: Budget, amount: number): Promise<ChargeVerdict> {
  const { id: budgetId, name, period, limit, updatedAt: version, scope } = budget;
  const terms = { budgetId, name, period, limit, version, shared: scope.token !== true };
  const request: ChargeRequest = {
    ...{ callId: newId("call"), tokenId, tenantId: tenant.tenantId, epoch: 1, ip: null, ipAllowlist: [] },
    ...{ maxUses: null, rate: null, expiresAt: NOON + 3_600_000 },
    budgets: [{ ...terms, amount, settles: true, returns: true }],
    event: {
      ...{ event_type: "connection.called", resource_type: "connection", resource: "up" },
      ...{ actor: "agent:test", ip_address: null, user_agent: null, outcome: "success", context: {} },
    },
  };
  return holderOf(tokenId).charge(request);
}

const end = (tokenId: TokenId, seq: number, budget: Budget, cost: number): Promise<void> =>
  holderOf(tokenId).settle([{ seq, status: 200, durationMs: 1, bytes: cost, costs: [[budget.id, cost]] }]);

const state = (budget: Budget) => bookOf(tenant, budget.id).state(budget.id, budget.period);

describe("a call that came to more than it reserved", () => {
  it("attack 64: is a debt of its token, also where its object was killed before the call ended", async () => {
    const budget = await bytes({ scope: { token: true } });
    const token = newId("token");
    expect((await charge(token, budget, 10)).kind).toBe("allowed");
    await kill(holderOf(token));
    await end(token, 1, budget, 95);
    expect(await charge(token, budget, 6)).toMatchObject({ kind: "denied", reason: "budget" });
    await kill(holderOf(token));
    // Told again: the same debt, not another one.
    await end(token, 1, budget, 95);
    expect((await charge(token, budget, 5)).kind).toBe("allowed");
    expect(await charge(token, budget, 1)).toMatchObject({ kind: "denied", reason: "budget" });
  });

  it("attack 64: is a debt to all who share the budget, also where its object was killed before the call ended", async () => {
    const budget = await bytes({ scope: { tenant: true } });
    const [first, second] = [newId("token"), newId("token")];
    expect((await charge(first, budget, 10)).kind).toBe("allowed");
    expect((await charge(second, budget, 10)).kind).toBe("allowed");
    await kill(holderOf(first));
    await end(first, 1, budget, 70);
    // What the book itself knows, without asking anybody.
    const granted = () =>
      runInDurableObject(
        bookOf(tenant, budget.id),
        (_book, { storage }) => storage.kv.get<readonly number[]>(`holder:${first}`)?.[1],
      );
    await expect.poll(granted).toBe(70);
    expect((await charge(second, budget, 20)).kind).toBe("allowed");
    expect(await charge(second, budget, 1)).toMatchObject({ kind: "denied", reason: "budget" });
    expect(await charge(first, budget, 1)).toMatchObject({ kind: "denied", reason: "budget" });
  });

  it("attack 64: counts once where its token's object has closed before the call ended", async () => {
    const budget = await bytes({ scope: { tenant: true }, period: "total" });
    const [first, second] = [newId("token"), newId("token")];
    expect((await charge(first, budget, 10)).kind).toBe("allowed");
    expect(await holderOf(first).close()).toBe(true);
    await end(first, 1, budget, 40);
    await expect.poll(async () => (await state(budget)).used).toBe(40);
    expect((await charge(second, budget, 60)).kind).toBe("allowed");
    expect(await charge(second, budget, 1)).toMatchObject({ kind: "denied", reason: "budget" });
  });

  it("is no debt in the next window, where its own has ended before the call did", async () => {
    const budget = await bytes({ scope: { token: true } });
    const token = newId("token");
    expect((await charge(token, budget, 10)).kind).toBe("allowed");
    vi.setSystemTime(NOON + 60_000);
    expect((await charge(token, budget, 10)).kind).toBe("allowed");
    await end(token, 1, budget, 95);
    expect((await charge(token, budget, 90)).kind).toBe("allowed");
    expect(await charge(token, budget, 1)).toMatchObject({ kind: "denied", reason: "budget" });
  });
});
