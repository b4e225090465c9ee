import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { ChargeRequest, LineMember } from "../../../src/tokens/charge.ts";
import type { Grant } from "../../../src/tokens/grant.ts";
import { callStatus, mint, statuses } from "../support/children.ts";
import { countingEnv } from "../support/counting.ts";
import { call, createTenant, type Tenant } from "../support/tenant.ts";

const CALLS = 500;

let tenant: Tenant;
beforeAll(async () => {
  tenant = await createTenant();
});
afterEach(() => {
  vi.useRealTimers();
});

const granted = (token: string): Promise<Grant> => tenant.services.tokenUses.identify(token);
const objectOf = (tokenId: string) => {
  const { SCOPED_TOKEN } = env as Env;
  return SCOPED_TOKEN.get(SCOPED_TOKEN.idFromName(tokenId));
};
const kill = (tokenId: string): Promise<unknown> =>
  runInDurableObject(objectOf(tokenId), (_instance, state) => state.abort("killed by a test")).catch(
    () => undefined,
  );

/** A parent of 60 uses, children of 20 and 30 and one of 25 an hour, and of the second child one of 10. */
async function family() {
  const root = await tenant.token({ max_uses: 60 });
  const first = await mint(root, { max_uses: 20 });
  const second = await mint(root, { max_uses: 30 });
  const third = await mint(root, { rate: "25/h" });
  const grandchild = await mint(second, { max_uses: 10 });
  return [root, first, second, third, grandchild];
}

const succeeded = (counted: readonly Record<number, number>[]): number[] =>
  counted.map((each) => each[200] ?? 0);

function expectExact(counts: readonly number[]): void {
  const [root = 0, first = 0, second = 0, third = 0, grandchild = 0] = counts;
  expect(root + first + second + third + grandchild).toBe(60);
  expect(first).toBeLessThanOrEqual(20);
  expect(second + grandchild).toBeLessThanOrEqual(30);
  expect(third).toBeLessThanOrEqual(25);
  expect(grandchild).toBeLessThanOrEqual(10);
}

describe("a call of a child is a call of all that it descends from", () => {
  it("attack 63: of 500 parallel calls, exactly so many succeed as each of the line has uses", async () => {
    const tokens = await family();
    expectExact(succeeded(await statuses(tokens, CALLS / tokens.length)));
    const [root, ...children] = await Promise.all(tokens.map(granted));
    if (root === undefined) throw new Error("not granted");
    expect((await tenant.services.tokens.uses(root)).uses).toBe(60);
    for (const child of children) {
      const { uses } = await tenant.services.tokens.uses(child);
      expect(uses).toBeLessThanOrEqual(child.maxUses ?? 25);
    }
  }, 60_000);

  it("attack 63: a child's own uses are exact where its parent has more", async () => {
    const root = await tenant.token({ max_uses: 100 });
    const child = await mint(root, { max_uses: 7 });
    const grandchild = await mint(child);
    const counted = await statuses([child, grandchild], 50);
    expect(succeeded(counted).reduce((sum, each) => sum + each)).toBe(7);
    expect((await tenant.services.tokens.uses(await granted(root))).uses).toBe(7);
  }, 60_000);

  it("attack 63: the same with the object killed in between", async () => {
    const tokens = await family();
    const { tokenId } = await granted(tokens[0] ?? "");
    const totals = tokens.map(() => 0);
    for (let round = 0; round < 10; round++) {
      const counts = succeeded(await statuses(tokens, 10));
      counts.forEach((count, at) => (totals[at] = (totals[at] ?? 0) + count));
      await kill(tokenId);
    }
    expectExact(totals);
    expect((await tenant.services.tokens.uses(await granted(tokens[0] ?? ""))).uses).toBe(60);
  }, 60_000);

  it("attack 63: a rate is exact for a child and for what it descends from", async () => {
    const root = await tenant.token({ rate: { count: 12, windowSeconds: 3600 } });
    const child = await mint(root, { rate: "5/h" });
    expect(await statuses([child], 20)).toEqual([{ 200: 5, 429: 15 }]);
    expect(await statuses([root], 20)).toEqual([{ 200: 7, 429: 13 }]);
  });

  it("a child that expires ends alone: its parent's uses and revocations stay known", async () => {
    const root = await tenant.token({ max_uses: 3 });
    const child = await mint(root, { ttl: "2s", max_uses: 1 });
    expect(await callStatus(child)).toBe(200);
    await expect.poll(() => callStatus(child), { timeout: 5_000, interval: 300 }).toBe(401);
    const { tokenId } = await granted(root);
    await runInDurableObject(objectOf(tokenId), (instance) => instance.alarm());
    await kill(tokenId);
    expect((await objectOf(tokenId).state()).uses).toBe(1);
  }, 20_000);

  it("one object is asked once a call, as for any token", async () => {
    const child = await mint(await mint(await tenant.token()));
    const { bindings, counts } = countingEnv();
    await (await call("/proxy/up/v1/x", child, {}, bindings)).response.text();
    counts.objects.clear();
    counts.d1 = 0;
    for (let n = 0; n < 20; n++) expect(await callStatus(child, bindings)).toBe(200);
    expect([counts.objects.get("SCOPED_TOKEN.charge"), counts.d1]).toEqual([20, 0]);
  });
});

describe("what a token's object keeps of children", () => {
  const member = (tokenId: string, over: Partial<LineMember> = {}): LineMember => ({
    ...{ tokenId, maxUses: null, rate: null, expiresAt: Date.now() + 3_600_000 },
    ...over,
  });
  let calls = 0;
  const request = (rootId: string, line: readonly LineMember[]): ChargeRequest => ({
    ...{
      callId: `call_${++calls}`,
      tokenId: line.at(-1)?.tokenId ?? rootId,
      tenantId: tenant.tenantId,
      epoch: 1,
    },
    ...{ ip: "203.0.113.7", ipAllowlist: [], maxUses: null, rate: null, expiresAt: Date.now() + 3_600_000 },
    ...(line.length === 0 ? {} : { line }),
    event: {
      ...{
        event_type: "connection.called",
        resource_type: "connection",
        resource: "up",
        actor: "agent:test",
      },
      ...{ ip_address: null, user_agent: null, outcome: "success", context: {} },
    },
  });

  /** Writes of the object's, by key. */
  async function watch(rootId: string): Promise<string[]> {
    const puts: string[] = [];
    await runInDurableObject(objectOf(rootId), (_instance, { storage: { kv } }) => {
      const put = kv.put.bind(kv);
      kv.put = ((key: string, value: unknown) => {
        puts.push(key);
        put(key, value);
      }) as typeof kv.put;
    });
    return puts;
  }

  it("attack 63: slots are used again, and no child's use is forgotten, whenever the object is killed", async () => {
    const rootId = "tok_reused";
    vi.useFakeTimers({ now: Date.now(), toFake: ["Date", "setTimeout", "clearTimeout"] });
    const children = ["a", "b", "c"].map((name) => member(`tok_reused_${name}`, { maxUses: 4 }));
    for (let round = 0; round < 4; round++) {
      for (const child of children) {
        expect((await objectOf(rootId).charge(request(rootId, [child]))).kind).toBe("allowed");
        await vi.advanceTimersByTimeAsync(20_000);
      }
      await kill(rootId);
    }
    for (const child of children) {
      const refused = { kind: "denied", reason: "uses" };
      expect(await objectOf(rootId).charge(request(rootId, [child]))).toEqual(refused);
      expect((await objectOf(rootId).state([child.tokenId])).uses).toBe(4);
    }
    expect((await objectOf(rootId).state()).uses).toBe(12);
  });

  it("a child's call writes at most one row more than its parent's, a parent's none", async () => {
    const rootId = "tok_rows";
    vi.useFakeTimers({ now: Date.now(), toFake: ["Date", "setTimeout", "clearTimeout"] });
    const puts = await watch(rootId);
    const line = [member("tok_rows_a"), member("tok_rows_b"), member("tok_rows_c")];
    for (let n = 0; n < 30; n++) {
      const before = puts.length;
      await objectOf(rootId).charge(request(rootId, line));
      expect(puts.length - before).toBeLessThanOrEqual(2);
      await vi.advanceTimersByTimeAsync(40_000);
    }
    expect(puts).toContain("children");
    puts.length = 0;
    // As many calls of the parent: once what the children's slots hold is saved, nothing is written beside its own.
    for (let n = 0; n < 10; n++) {
      await objectOf(rootId).charge(request(rootId, []));
      await vi.advanceTimersByTimeAsync(40_000);
    }
    expect(puts.filter((key) => key === "children").length).toBeLessThanOrEqual(1);
  });

  it("attack 57: a revocation outlives the object, and reaches what is below", async () => {
    const rootId = "tok_revoking";
    const [upper, lower] = [member("tok_revoking_a"), member("tok_revoking_b")];
    await objectOf(rootId).charge(request(rootId, [upper, lower]));
    await objectOf(rootId).revoke(tenant.tenantId, upper.expiresAt, upper);
    await kill(rootId);
    const refused = { kind: "denied", reason: "revoked" };
    expect(await objectOf(rootId).charge(request(rootId, [upper]))).toEqual(refused);
    expect(await objectOf(rootId).charge(request(rootId, [upper, lower]))).toEqual(refused);
    expect((await objectOf(rootId).charge(request(rootId, []))).kind).toBe("allowed");
    expect(await objectOf(rootId).state([upper.tokenId, lower.tokenId])).toEqual({ uses: 1, revoked: true });
  });
});
