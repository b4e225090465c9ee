import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { mint } from "../support/children.ts";
import { countingEnv } from "../support/counting.ts";
import { call, createTenant, type Tenant } from "../support/tenant.ts";
import { bookOf, callAll, freshCaller, holderOf, kill, makeBudget, tokensOf } from "./fixtures.ts";

let tenant: Tenant;
beforeEach(async () => {
  tenant = await createTenant();
});
afterEach(() => {
  vi.useRealTimers();
});

const idOf = async (token: string) => (await tenant.services.tokenUses.identify(token)).tokenId;

describe("a budget of calls that tokens share", () => {
  it.each([1, 20])(
    "attack 63: of 1,000: of 2,000 parallel calls over %i tokens, exactly 1,000 go through",
    async (count) => {
      await tenant.services.connections.update(tenant.admin, "up", { limits: { concurrent_calls: 1_000 } });
      const { id } = await makeBudget(tenant, { scope: { tenant: true }, limit: 1_000 });
      const tokens = await tokensOf(tenant, count);
      const ask = freshCaller();
      const counted: Record<number, number> = {};
      // As many at a time as one process answers within the 3 s that a charge has.
      for (let wave = 0; wave < 4; wave++) {
        const answers = await callAll(ask, tokens, 500 / count);
        for (const [status, n] of Object.entries(answers)) {
          counted[Number(status)] = (counted[Number(status)] ?? 0) + n;
        }
      }
      expect(counted).toEqual({ 200: 1_000, 429: 1_000 });
      expect(await tenant.services.budgets.state(tenant.tenantId, id, null)).toMatchObject({
        used: 1_000,
        reserved: 0,
      });
    },
    120_000,
  );

  it("attack 64: is reached exactly although tokens' objects and its book are killed in between", async () => {
    const { id } = await makeBudget(tenant, { scope: { connection: "up" }, limit: 150 });
    const tokens = await tokensOf(tenant, 5);
    const ask = freshCaller();
    let passed = 0;
    for (let round = 0; round < 10; round++) {
      passed += (await callAll(ask, tokens, 6))[200] ?? 0;
      await kill(holderOf(await idOf(tokens[round % 5]!)));
      if (round % 3 === 0) await kill(bookOf(tenant, id));
    }
    expect(passed).toBe(150);
  }, 60_000);

  it("attack 63: what one token holds and does not use is another's, once nothing else is left", async () => {
    await makeBudget(tenant, { scope: { tenant: true }, limit: 64 });
    const [first = "", second = ""] = await tokensOf(tenant, 2);
    const ask = freshCaller();
    // A slice of four, of which it uses one.
    expect(await ask(first)).toBe(200);
    expect(await callAll(ask, [second], 70)).toEqual({ 200: 63, 429: 7 });
    expect(await ask(first)).toBe(429);
  });

  it("a token that is revoked gives back what it holds", async () => {
    const { id } = await makeBudget(tenant, { scope: { tenant: true }, limit: 64 });
    const token = await tenant.token();
    expect(await freshCaller()(token)).toBe(200);
    await holderOf(await idOf(token)).revoke(tenant.tenantId, Date.now() + 600_000);
    const granted = () =>
      bookOf(tenant, id).lease({
        terms: {
          ...{ budgetId: id, tenantId: tenant.tenantId, name: "b", period: "day", limit: 64 },
          ...{ epoch: 99, returns: false },
        },
        ...{ holder: "tok_other", window: new Date().setUTCHours(0, 0, 0, 0), spent: 0, version: 0 },
        ...{ need: 63, want: 63 },
      });
    await expect.poll(async () => (await granted()).kind).toBe("granted");
  });

  it("a token that has ended leaves what it used, and nothing else", async () => {
    const { id } = await makeBudget(tenant, { scope: { tenant: true }, limit: 10, period: "total" });
    const ask = freshCaller();
    const token = await tenant.token();
    expect(await callAll(ask, [token], 3)).toEqual({ 200: 3 });
    expect(await holderOf(await idOf(token)).close()).toBe(true);
    const state = await tenant.services.budgets.state(tenant.tenantId, id, null);
    expect(state).toMatchObject({ used: 3, reserved: 0 });
    expect(await callAll(ask, [await tenant.token()], 10)).toEqual({ 200: 7, 429: 3 });
  });

  it("attack 63: a limit that was lowered holds for what was handed out before, one that was raised at once", async () => {
    const { id } = await makeBudget(tenant, { scope: { tenant: true }, limit: 1_000 });
    const token = await tenant.token();
    expect(await freshCaller()(token)).toBe(200);
    await tenant.services.budgets.update(tenant.admin, id, { limit: 5 });
    expect(await callAll(freshCaller(), [token], 10)).toEqual({ 200: 4, 429: 6 });
    await tenant.services.budgets.update(tenant.admin, id, { limit: 7 });
    expect(await callAll(freshCaller(), [token], 10)).toEqual({ 200: 2, 429: 8 });
  });

  it("under a lapsed lease, a limit that was raised lets through", async () => {
    const { id } = await makeBudget(tenant, { scope: { tenant: true }, limit: 1, period: "total" });
    const token = await tenant.token();
    const ask = freshCaller();
    expect(await callAll(ask, [token], 2)).toEqual({ 200: 1, 429: 1 });
    await tenant.services.budgets.update(tenant.admin, id, { limit: 2 });
    vi.useFakeTimers({ now: Date.now() + 60_000, toFake: ["Date"] });
    expect(await ask(token)).toBe(200);
  });

  it("under a lapsed lease, a budget that is new lets nothing out that it does not have room for", async () => {
    const token = await tenant.token();
    const ask = freshCaller();
    expect(await ask(token)).toBe(200);
    vi.useFakeTimers({ now: Date.now(), toFake: ["Date"] });
    await makeBudget(tenant, { name: "none", scope: { agent: tenant.agentId }, limit: 0 });
    vi.setSystemTime(Date.now() + 60_000);
    expect(await ask(token)).toBe(503);
    expect(await ask(token)).toBe(429);
  });

  it("where its book is away, a call that needs a slice is not made, and one that fits into what is held is", async () => {
    await makeBudget(tenant, { scope: { tenant: true }, limit: 64 });
    const [first = "", second = ""] = await tokensOf(tenant, 2);
    const ask = freshCaller();
    expect(await ask(first)).toBe(200);
    for (const token of [first, second]) {
      await runInDurableObject(holderOf(await idOf(token)), (instance) => {
        const real: unknown = Reflect.get(instance, "env");
        const books = {
          idFromName: String,
          get: () => ({ lease: () => Promise.reject(new Error("away")) }),
        };
        const value = { ...(real as Env), BUDGET_BOOK: books };
        Object.defineProperty(instance, "env", { value });
      });
    }
    expect(await callAll(ask, [first], 3)).toEqual({ 200: 3 });
    expect(await callAll(ask, [first, second], 2)).toEqual({ 503: 4 });
  });

  it("refills with its window, which begins in UTC", async () => {
    const noon = Date.UTC(2026, 2, 31, 23, 59, 58);
    vi.useFakeTimers({ now: noon, toFake: ["Date"] });
    await makeBudget(tenant, { scope: { tenant: true }, limit: 3, period: "month" });
    const tokens = await tokensOf(tenant, 2);
    const ask = freshCaller();
    expect(await callAll(ask, tokens, 3)).toEqual({ 200: 3, 429: 3 });
    const { response } = await call("/proxy/up/v1/x", tokens[0] ?? "");
    expect(response.headers.get("retry-after")).toBe("2");
    expect(await response.json()).toMatchObject({ refills_at: "2026-04-01T00:00:00.000Z" });
    vi.setSystemTime(noon + 2_000);
    expect(await callAll(ask, tokens, 3)).toEqual({ 200: 3, 429: 3 });
  });

  it("a warm call asks its token's object alone; a slice costs one more call, at most 1 in 16 of what is left", async () => {
    await makeBudget(tenant, { scope: { tenant: true }, limit: 10_000 });
    const token = await tenant.token();
    const { bindings, counts } = countingEnv();
    const ask = async (): Promise<void> => {
      const { response } = await call("/proxy/up/v1/x", token, {}, bindings);
      expect(response.status).toBe(200);
      await response.text();
    };
    await ask();
    counts.objects.clear();
    counts.d1 = 0;
    for (let n = 0; n < 30; n++) await ask();
    expect(counts.objects.get("SCOPED_TOKEN.charge")).toBe(30);
    expect([...counts.objects.keys()].filter((name) => name.startsWith("BUDGET_BOOK"))).toEqual([]);
    expect(counts.d1).toBe(0);
    // What the object asked for itself is not seen from here: its book knows.
    const { tokenId } = await tenant.services.tokenUses.identify(token);
    const [budget] = (await tenant.services.budgets.list(tenant.tenantId, { limit: 1 })).budgets;
    const rows = await rowsOf(budget!.id);
    expect(rows).toEqual([[`holder:${tokenId}`, [expect.any(Number), 625, 0, expect.any(Number)]]]);
  });

  async function rowsOf(id: Parameters<typeof bookOf>[1]) {
    return runInDurableObject(bookOf(tenant, id), (_instance, state) => [...state.storage.kv.list()]);
  }
});

describe("a budget that each token has for itself", () => {
  it("attack 63: is the token's and all its children's together, exactly, killed in between or not", async () => {
    const { id } = await makeBudget(tenant, { scope: { token: true }, limit: 20 });
    const [first = "", second = ""] = await tokensOf(tenant, 2);
    const child = await mint(first, {});
    const ask = freshCaller();
    let passed = 0;
    for (let round = 0; round < 4; round++) {
      passed += (await callAll(ask, [first, child], 5))[200] ?? 0;
      await kill(holderOf(await idOf(first)));
    }
    expect(passed).toBe(20);
    expect(await callAll(ask, [second], 25)).toEqual({ 200: 20, 429: 5 });
    const token = await tenant.services.tokens.get(tenant.tenantId, null, await idOf(child));
    expect(await tenant.services.budgets.state(tenant.tenantId, id, token)).toMatchObject({ used: 20 });
  });
});
