import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DeskOutbox } from "../../../durable-objects/desk-outbox.ts";
import { noticeOf } from "../../../src/approvals/announce.ts";
import { type Case, openCase } from "../../../src/approvals/case.ts";
import type { AskedCase } from "../../../src/approvals/desk.ts";
import { type AgentId, type ApprovalId, type MemberId, newId, type TenantId } from "../../../src/base/ids.ts";
import type { Notice } from "../../../src/notifications/notice.ts";
import { deskIsSilent, later, stubOf } from "./fixtures.ts";

const MINUTE = 60_000;
const BY = { actor: "member:mem_1", ip: "192.0.2.1", userAgent: null, requestId: "req_1" };

let tenantId: TenantId;
let agentId: AgentId;
beforeEach(() => {
  tenantId = newId("tenant");
  agentId = newId("agent");
});
afterEach(() => void vi.useRealTimers());

const desk = () => stubOf(tenantId);
const asked = (over: Partial<AskedCase> = {}): AskedCase => ({
  ...{
    tenantId,
    agentId,
    kind: "permission",
    tokenId: null,
    connection: null,
    digest: "d",
    payload: '{"a":1}',
  },
  ...{
    sealed: null,
    approvalsNeeded: 1,
    delaySeconds: 0,
    tier: null,
    policies: [],
    users: [],
    by: BY,
    ...over,
  },
});

async function open(over: Partial<AskedCase> = {}): Promise<ApprovalId> {
  const standing = await desk().ask(asked(over), "use_0");
  if (standing.kind !== "pending") throw new Error(standing.kind);
  return standing.approvalId;
}

function vote(id: ApprovalId, who: string, apartFrom: string[] = [], granted: string | null = null) {
  const memberId = who as MemberId;
  return desk().approve(id, { memberId, granted, comment: null, apartFrom: apartFrom as MemberId[] }, BY);
}

describe("a desk", () => {
  test("attack 89: takes 120 requests of an agent an hour, also where it cancels each and asks again", async () => {
    for (let count = 0; count < 120; count++) {
      const id = await open({ digest: `d${count}` });
      await desk().cancel(id, null, BY);
    }
    expect(await desk().ask(asked({ digest: "one more" }), "use_1")).toEqual({ kind: "crowded", most: 120 });
    const another = asked({ digest: "one more", agentId: newId("agent") });
    expect((await desk().ask(another, "use_1")).kind).toBe("pending");
    later(60 * MINUTE + 1);
    expect((await desk().ask(asked({ digest: "one more" }), "use_1")).kind).toBe("pending");
  });

  test("knows after a restart what was asked, who has voted, and how long it is to wait", async () => {
    const id = await open({ approvalsNeeded: 2, delaySeconds: 300 });
    await vote(id, "mem_1");
    await evictDurableObject(desk());
    expect((await vote(id, "mem_2", ["mem_1"])).kind).toBe("ok");
    await evictDurableObject(desk());
    expect(await desk().consume(id, "use_1", ["mem_1", "mem_2"] as MemberId[])).toMatchObject({
      reason: "too_soon",
    });
    later(5 * MINUTE);
    await evictDurableObject(desk());
    const used = await desk().consume(id, "use_1", ["mem_1", "mem_2"] as MemberId[]);
    expect(used).toEqual({ kind: "granted", approvalId: id, granted: null });
    await evictDurableObject(desk());
    expect(await desk().consume(id, "use_1", [])).toEqual(used);
    expect(await desk().consume(id, "use_2", ["mem_1", "mem_2"] as MemberId[])).toMatchObject({
      reason: "over",
    });
  });

  test("grants what the last approver left of it, and what the others did where that one does not count", async () => {
    const id = await open({ approvalsNeeded: 2 });
    await vote(id, "mem_1", [], '{"a":0.5}');
    await vote(id, "mem_2", ["mem_1"]);
    expect((await desk().get(id))?.held.votes.map(({ granted }) => granted)).toEqual([
      '{"a":0.5}',
      '{"a":0.5}',
    ]);
    expect(await desk().consume(id, "use_1", ["mem_2"] as MemberId[])).toMatchObject({
      reason: "quorum_lost",
    });
    await vote(id, "mem_3", ["mem_2"], '{"a":0.25}');
    expect(await desk().consume(id, "use_1", ["mem_2", "mem_3"] as MemberId[])).toMatchObject({
      ...{ kind: "granted", granted: '{"a":0.25}' },
    });
  });

  test("says that the same person has answered otherwise", async () => {
    const id = await open();
    await vote(id, "mem_1", [], '{"a":0.5}');
    expect((await vote(id, "mem_1", [], '{"a":0.1}')).kind).toBe("answered");
    expect((await vote(id, "mem_1")).kind).toBe("ok");
  });

  test("wakes who waits: when people have answered, and when it can be used", async () => {
    const id = await open({ delaySeconds: 1 });
    const answered = desk().decided(id, "answered", 20_000);
    const usable = desk().decided(id, "usable", 20_000);
    await vote(id, "mem_1");
    expect(await answered).toMatchObject({ kind: "seen", held: { status: "approved" } });
    expect(await usable).toMatchObject({ kind: "seen", held: { toldReady: true } });
    expect(await desk().decided(newId("approval"), "answered", 20_000)).toEqual({ kind: "unknown" });
    const early = await desk().decided(await open({ digest: "e" }), "answered", 10);
    expect(early).toMatchObject({ kind: "seen", held: { status: "pending" } });
  });

  test("attack 89: lets an agent wait in 100 places, which leaves the others theirs, until those are free again", async () => {
    const id = await open();
    const held = Array.from({ length: 100 }, () => desk().decided(id, "answered", MINUTE));
    const crowded = { kind: "crowded", of: "agent", most: 100 };
    expect(await desk().decided(id, "answered", MINUTE)).toEqual(crowded);
    // What is decided already takes no place.
    const over = await open({ digest: "over" });
    await desk().cancel(over, null, BY);
    expect(await desk().decided(over, "answered", MINUTE)).toMatchObject({ kind: "seen" });
    const other = await open({ agentId: newId("agent") });
    const waits = desk().decided(other, "answered", MINUTE);
    await vote(other, "mem_1");
    expect(await waits).toMatchObject({ kind: "seen", held: { status: "approved" } });
    await desk().cancel(id, null, BY);
    for (const each of await Promise.all(held)) expect(each).toMatchObject({ held: { status: "cancelled" } });
    const again = await open({ digest: "again" });
    expect(await desk().decided(again, "answered", 10)).toMatchObject({ held: { status: "pending" } });
  });

  test("attack 89: has 1,000 places in all", async () => {
    const held: ReturnType<ReturnType<typeof desk>["decided"]>[] = [];
    const ids: ApprovalId[] = [];
    for (let agent = 0; agent < 10; agent++) {
      const id = await open({ agentId: newId("agent") });
      ids.push(id);
      for (let place = 0; place < 100; place++) held.push(desk().decided(id, "answered", MINUTE));
    }
    const late = await open({ agentId: newId("agent") });
    const crowded = { kind: "crowded", of: "tenant", most: 1_000 };
    expect(await desk().decided(late, "answered", MINUTE)).toEqual(crowded);
    for (const id of ids) await desk().cancel(id, null, BY);
    expect(await Promise.all(held)).toHaveLength(1_000);
    expect(await desk().decided(late, "answered", 10)).toMatchObject({ kind: "seen" });
  });

  test("forgets what is over after thirty days, and nothing that is open", async () => {
    const id = await open();
    await desk().cancel(id, null, BY);
    later(31 * 24 * 60 * MINUTE);
    const fresh = await open();
    await runDurableObjectAlarm(desk());
    expect(await desk().get(id)).toBeNull();
    expect((await desk().get(fresh))?.held.status).toBe("pending");
  });

  test("tells the ledger all, in order, once it takes it; a notice that hangs or fails holds nothing up", async () => {
    await open();
    await deskIsSilent(tenantId);
    await runInDurableObject(desk(), async (_, { storage }) => {
      storage.sql.exec("DELETE FROM outbox");
      const recorded: string[] = [];
      let isAway = true;
      const outbox = new DeskOutbox(storage.sql, {
        record: async (events) => {
          if (!isAway) recorded.push(...events.map(({ id }) => id));
          return !isAway;
        },
        notify: () => Promise.reject(new Error("away")),
      });
      for (const id of ["a.1", "a.2"]) outbox.add({ id } as never, { id } as Notice);
      await outbox.deliver();
      expect(recorded).toEqual([]);
      expect(outbox.retryAt(Date.now())).toBeGreaterThan(Date.now());
      isAway = false;
      await outbox.deliver();
      expect(recorded).toEqual(["a.1", "a.2"]);
      const left = storage.sql.exec<{ goes: string }>("SELECT goes FROM outbox").toArray();
      expect(left.map(({ goes }) => goes)).toEqual(["notice", "notice"]);
      storage.sql.exec("DELETE FROM outbox");
      expect(outbox.retryAt(Date.now())).toBeNull();
    });
  });
});

test("whoever is told outside learns that somebody has to look, and nothing of what is in it", () => {
  const payload = JSON.stringify({ resource: "ch_1", amount: 5 });
  const { held, happened } = openCase(
    asked({ payload, users: ["ada@example.com"] }),
    { id: newId("approval"), ip: null, requestId: "req_1" },
    Date.UTC(2026, 0, 1),
  );
  const [happening] = happened;
  if (happening === undefined) throw new Error("nothing happened");
  const notice = noticeOf({ tenantId, held: held satisfies Case, happening, by: BY });
  expect(notice).toMatchObject({
    ...{ id: `${held.id}.1`, type: "approval.requested", at: held.createdAt },
    data: { approval_id: held.id, status: "pending", agent_id: agentId, approvals_needed: 1 },
  });
  for (const text of ["ch_1", "ada@"]) expect(JSON.stringify(notice)).not.toContain(text);
});
