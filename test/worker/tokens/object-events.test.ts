import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StoredEvent } from "../../../src/audit/event.ts";
import type { DeniedBy } from "../../../src/base/denied-by.ts";
import { newId, type PolicyId } from "../../../src/base/ids.ts";
import type { ChargeRequest } from "../../../src/tokens/charge.ts";

const bindings = env as Env;

/** A token's object of its own, in a tenant of its own, and what the tenant's real ledger has of it. */
function token() {
  const tokenId = newId("token");
  const tenantId = newId("tenant");
  const object = () => bindings.SCOPED_TOKEN.get(bindings.SCOPED_TOKEN.idFromName(tokenId));
  const draft = (resource = "up") => ({
    event_type: "connection.called" as const,
    resource_type: "connection" as const,
    resource,
    actor: "agent:test",
    ip_address: null,
    user_agent: null,
    outcome: "success" as const,
    context: { path: "/x" },
  });
  const expiresAt = Date.now() + 3_600_000;
  const request = (): ChargeRequest => ({
    callId: newId("call"),
    tokenId,
    tenantId,
    epoch: 1,
    ip: "203.0.113.7",
    ipAllowlist: [],
    maxUses: null,
    rate: null,
    expiresAt,
    event: draft(),
  });
  return {
    object,
    charge: () => object().charge(request()),
    deny: (reason: string, resource?: string, by?: DeniedBy) =>
      object().deny(tokenId, tenantId, expiresAt, reason, draft(resource), by),
    async ledger(): Promise<StoredEvent[]> {
      const ledger = bindings.AUDIT_LEDGER.get(bindings.AUDIT_LEDGER.idFromName(tenantId));
      const { blocks } = await ledger.blocks({ from: 1, maxBlocks: 256 });
      return blocks.flatMap((block) => JSON.parse(block.events) as StoredEvent[]);
    },
    /** Lets time pass inside the object, where its timers may write. */
    advance: (ms: number) => runInDurableObject(object(), () => advance(ms)),
    flush: () => runInDurableObject(object(), (instance) => instance.alarm()),
  };
}

async function advance(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    await vi.advanceTimersByTimeAsync(Math.min(500, left));
    await scheduler.wait(1);
  }
}

async function eventually(check: () => Promise<boolean>): Promise<void> {
  for (let n = 0; n < 100 && !(await check()); n++) await scheduler.wait(20);
  expect(await check()).toBe(true);
}

beforeEach(() => {
  // The beginning of a minute.
  const now = Math.ceil(Date.now() / 60_000) * 60_000 + 1_000;
  vi.useFakeTimers({ now, toFake: ["Date", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the outcome of a long call", () => {
  it("reaches the ledger although the object was evicted in the meantime", async () => {
    const { object, charge, ledger } = token();
    await charge();
    await advance(4_000);
    await eventually(async () => (await ledger()).length === 1);
    await evictDurableObject(object());
    await advance(20_000);
    await object().settle([{ seq: 1, status: 200, durationMs: 24_000, bytes: 9 }]);
    await eventually(async () => (await ledger()).length === 2);
    const [called, completed] = await ledger();
    expect(called?.event_type).toBe("connection.called");
    expect(completed).toMatchObject({
      id: `${called?.id}.completed`,
      event_type: "connection.completed",
      resource: "up",
      context: { outcome_of: called?.id, status: 200, duration_ms: 24_000, bytes: 9 },
    });
  });

  it("reaches it also where later calls' acknowledgement is what the object wakes up with", async () => {
    const { object, charge, ledger } = token();
    await charge();
    await advance(4_000);
    await charge();
    await object().settle([{ seq: 2, status: 200, durationMs: 1, bytes: 1 }]);
    await advance(4_000);
    await eventually(async () => (await ledger()).length === 2);
    await evictDurableObject(object());
    await object().settle([{ seq: 1, status: 500, durationMs: 9_000, bytes: 0, error: "UPSTREAM_FAILED" }]);
    await eventually(async () => (await ledger()).length === 3);
    expect((await ledger()).at(-1)).toMatchObject({ event_type: "connection.completed", outcome: "error" });
  });

  it("is dropped, and told of no other call, where the slot has been used again", async () => {
    const { object, charge, ledger, flush } = token();
    await charge();
    await advance(4_000);
    await eventually(async () => (await ledger()).length === 1);
    await advance(31_000);
    await charge();
    await object().settle([{ seq: 2, status: 200, durationMs: 1, bytes: 1 }]);
    await advance(4_000);
    await eventually(async () => (await ledger()).length === 2);
    await evictDurableObject(object());
    await object().settle([{ seq: 1, status: 200, durationMs: 40_000, bytes: 1 }]);
    await flush();
    expect((await ledger()).map(({ event_type }) => event_type)).toEqual([
      "connection.called",
      "connection.called",
    ]);
  });
});

describe("repeated denials", () => {
  it("a burst and then silence are one event and one with the count", async () => {
    const { deny, ledger, advance } = token();
    for (let n = 0; n < 40; n++) await deny("SCOPE_DENIED");
    await advance(75_000);
    await eventually(async () => (await ledger()).length === 2);
    const [first, count] = await ledger();
    expect(first).toMatchObject({ event_type: "connection.denied", context: { reason: "SCOPE_DENIED" } });
    expect(first?.context["repeated_before"]).toBeUndefined();
    expect(count).toMatchObject({
      event_type: "connection.denied",
      resource: "up",
      context: { reason: "SCOPE_DENIED", repeated: 39, repeats_of: first?.id },
    });
    await advance(130_000);
    expect(await ledger()).toHaveLength(2);
  });

  it("going on for minutes cost one event a minute, and none is uncounted", async () => {
    const { deny, ledger, advance } = token();
    for (let second = 0; second < 180; second += 2) {
      await deny("SCOPE_DENIED");
      await advance(2_000);
    }
    await advance(75_000);
    const events = await ledger();
    expect(events.length).toBeLessThanOrEqual(5);
    const counted = events.map(({ context }) =>
      Number(context["repeated_before"] ?? context["repeated"] ?? 0),
    );
    const firsts = events.filter(({ context }) => context["repeats_of"] === undefined).length;
    expect(firsts + counted.reduce((a, b) => a + b, 0)).toBe(90);
  });

  it("are told apart by what was asked for, up to 50 things at a time", async () => {
    const { deny, ledger, flush } = token();
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 80; n++) await deny("SCOPE_DENIED", `c${n}`);
    }
    await flush();
    const firsts = (await ledger()).filter(({ context }) => context["repeats_of"] === undefined);
    expect(new Set(firsts.map(({ resource }) => resource)).size).toBe(51);
    expect(firsts).toHaveLength(51);
    const counts = (await ledger()).filter(({ context }) => context["repeats_of"] !== undefined);
    expect(counts.find(({ resource }) => resource === "c7")?.context["repeated"]).toBe(2);
    const total = counts.reduce((sum, { context }) => sum + Number(context["repeated"]), 0);
    expect(total + firsts.length).toBe(240);
  });

  it("by two policies, or two versions of one, are never counted as one's", async () => {
    const { deny, ledger, flush } = token();
    const by = (policyId: string, version: number): DeniedBy => ({
      ...{ policy_id: policyId as PolicyId, policy_name: "a name", policy_version: version },
      policy_cause: "matched",
    });
    for (const each of [by("pol_1", 1), by("pol_2", 1), by("pol_2", 1), by("pol_2", 2), by("pol_1", 1)]) {
      await deny("POLICY_DENIED", "up", each);
    }
    await flush();
    const told = (await ledger()).map(({ context: { policy_id, policy_version, repeated } }) => [
      ...[policy_id, policy_version, repeated],
    ]);
    expect(told).toEqual([
      ["pol_1", 1, undefined],
      ["pol_2", 1, undefined],
      ["pol_2", 2, undefined],
      ["pol_1", 1, 1],
      ["pol_2", 1, 1],
    ]);
  });

  it("of too many rules to tell apart are counted as various, and laid to none of them", async () => {
    const { deny, ledger, flush } = token();
    for (let n = 0; n < 60; n++) await deny("PERMISSION_DENIED", "up", { constraint: `c${n}` });
    await flush();
    const count = (await ledger()).at(-1)?.context;
    expect(count).toMatchObject({ reason: "PERMISSION_DENIED", repeated: 9, various: true });
    expect(count?.["constraint"]).toBeUndefined();
    for (let n = 0; n < 60; n++) await deny("PERMISSION_DENIED", "up", { constraint: `c${n}` });
    vi.setSystemTime(Math.ceil(Date.now() / 60_000) * 60_000);
    await deny("PERMISSION_DENIED", "up", { constraint: "later" });
    await deny("PERMISSION_DENIED", "up", { constraint: "c1" });
    await flush();
    const contexts = (await ledger()).map(({ context }) => context);
    expect(contexts.find(({ constraint }) => constraint === "later")).toMatchObject({
      ...{ repeated_before: 10, various: true },
    });
    const next = contexts.find(({ repeated_before }) => repeated_before === 1);
    expect(next).toMatchObject({ constraint: "c1" });
    expect(next?.["various"]).toBeUndefined();
  });

  it("are told when the object closes", async () => {
    const { object, deny, ledger } = token();
    await deny("SCOPE_DENIED");
    await deny("SCOPE_DENIED");
    expect(await object().close()).toBe(true);
    expect((await ledger()).map(({ context }) => context["repeated"])).toEqual([undefined, 1]);
    const left = await runInDurableObject(object(), async (_instance, { storage }) => [
      [...storage.kv.list()].length,
      await storage.getAlarm(),
    ]);
    expect(left).toEqual([0, null]);
  });
});
