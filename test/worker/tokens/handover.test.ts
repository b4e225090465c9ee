import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Handover } from "../../../durable-objects/handover.ts";
import type { AuditEvent } from "../../../src/audit/event.ts";
import { MAX_BATCH_EVENTS } from "../../../src/audit/ledger.ts";

const SIZE = 400;

function event(seq: number): AuditEvent {
  return {
    id: `tok_x.${seq}`,
    event_type: "connection.called",
    resource_type: "connection",
    resource: "up",
    actor: "agent:test",
    ip_address: null,
    user_agent: null,
    outcome: "success",
    timestamp: new Date().toISOString(),
    context: {},
  };
}

const outcome = (seq: number) => ({ seq, status: 200, durationMs: 1, bytes: 1 });

interface Append {
  readonly ids: readonly string[];
  readonly redelivery: boolean;
  answer(ok: boolean): Promise<void>;
}

/** A ledger that answers when and as it is told to. */
function heldLedger() {
  const appends: Append[] = [];
  const handover = new Handover({
    append: (events, redelivery) =>
      new Promise((resolve) => {
        const answer = async (ok: boolean) => {
          resolve({ ok });
          await vi.advanceTimersByTimeAsync(0);
        };
        appends.push({ ids: events.map(({ id }) => id), redelivery, answer });
      }),
    recall: () => null,
    acknowledged: 0,
  });
  return { appends, handover };
}

/** A ledger that answers at once, as the real one does: refusing batches that are too large. */
function ledger(recall: (seq: number) => AuditEvent | null = () => null) {
  const stored = new Map<string, AuditEvent>();
  const batches: number[] = [];
  const state = { away: false };
  const handover = new Handover({
    append: async (events) => {
      if (state.away || events.length > MAX_BATCH_EVENTS) return { ok: false };
      batches.push(events.length);
      for (const each of events) if (!stored.has(each.id)) stored.set(each.id, each);
      return { ok: true };
    },
    recall: (seq) => {
      const found = recall(seq);
      return found === null ? null : { event: found, size: SIZE };
    },
    acknowledged: 0,
  });
  return { handover, stored, batches, state };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("what is acknowledged is in the ledger", () => {
  it("a flush waits for the append under way and the one that follows it: never two at once", async () => {
    const { appends, handover } = heldLedger();
    for (let seq = 1; seq <= 20; seq++) handover.add(seq, event(seq), SIZE, false);
    handover.add(21, event(21), SIZE, true);
    expect(appends).toHaveLength(1);
    const flushed = handover.flush();
    await appends[0]?.answer(true);
    expect(appends).toHaveLength(2);
    expect(handover.acknowledged).toBe(1);
    await appends[1]?.answer(false);
    expect(handover.acknowledged).toBe(1);
    expect(appends).toHaveLength(3);
    await appends[2]?.answer(true);
    while (appends.length > 3) await appends.pop()?.answer(true);
    expect(await flushed).toBe(true);
    expect(handover.acknowledged).toBe(21);
    expect(handover.waiting).toBe(0);
  });

  it("an append that never answers is given up after 10 s and repeated as a redelivery", async () => {
    const { appends, handover } = heldLedger();
    handover.add(1, event(1), SIZE, false);
    const flushed = handover.flush();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(appends.length).toBeGreaterThan(1);
    expect(appends.at(-1)).toMatchObject({ ids: ["tok_x.1"], redelivery: true });
    expect(handover.acknowledged).toBe(0);
    await appends.at(-1)?.answer(true);
    expect(await flushed).toBe(true);
    expect(handover.acknowledged).toBe(1);
  });
});

describe("a batch", () => {
  it("stays within what the ledger takes, outcomes that came late included", async () => {
    const { handover, stored, batches, state } = ledger();
    for (let seq = 1; seq <= 1_200; seq++) handover.add(seq, event(seq), SIZE, true);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(stored.size).toBe(1_200);
    state.away = true;
    for (let seq = 1_201; seq <= 1_700; seq++) handover.add(seq, event(seq), SIZE, false);
    for (let seq = 1; seq <= 1_200; seq++) handover.settle(outcome(seq));
    await vi.advanceTimersByTimeAsync(2_000);
    state.away = false;
    expect(await handover.flush()).toBe(true);
    expect(handover.waiting).toBe(0);
    expect(stored.size).toBe(1_700 + 1_200);
    expect(Math.max(...batches)).toBeLessThanOrEqual(500);
  });

  it("stays within half a megabyte, and one larger event goes alone", async () => {
    const { appends, handover } = heldLedger();
    handover.add(1, event(1), SIZE, false);
    for (let seq = 2; seq <= 11; seq++) handover.add(seq, event(seq), 100_000, false);
    handover.add(12, event(12), 900_000, false);
    const flushed = handover.flush();
    for (let n = 0; n < appends.length; n++) await appends[n]?.answer(true);
    expect(await flushed).toBe(true);
    expect(appends.map(({ ids }) => ids.length)).toEqual([1, 5, 5, 1]);
  });
});

describe("outcomes", () => {
  it("that come late are bounded in memory while the ledger is away", async () => {
    const { handover, state } = ledger();
    for (let round = 0; round < 10; round++) {
      for (let n = 1; n <= 400; n++) handover.add(round * 400 + n, event(round * 400 + n), SIZE, true);
      await handover.flush();
    }
    state.away = true;
    for (let seq = 1; seq <= 4_000; seq++) handover.settle(outcome(seq));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(handover.waiting).toBe(2_000);
  });

  it("of an event that may be in the ledger already come as an event of their own", async () => {
    const { appends, handover } = heldLedger();
    handover.recover(1, event(1), SIZE);
    handover.settle(outcome(1));
    expect(appends[0]).toMatchObject({ ids: ["tok_x.1", "tok_x.1.completed"], redelivery: true });
    handover.add(2, event(2), SIZE, true);
    await appends[0]?.answer(true);
    const flushed = handover.flush();
    await appends[1]?.answer(false);
    expect(await flushed).toBe(false);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(appends[2]).toMatchObject({ ids: ["tok_x.2"], redelivery: true });
    handover.settle(outcome(2));
    await appends[2]?.answer(true);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(appends[3]?.ids).toEqual(["tok_x.2.completed"]);
  });

  it("of an event that memory no longer has are told from its slot, or dropped where that is used again", async () => {
    const { handover, stored } = ledger((seq) => (seq === 7 ? event(7) : null));
    handover.settle(outcome(7));
    handover.settle(outcome(8));
    await handover.flush();
    expect([...stored.keys()]).toEqual(["tok_x.7.completed"]);
    expect(stored.get("tok_x.7.completed")?.context).toMatchObject({ outcome_of: "tok_x.7", status: 200 });
  });
});
