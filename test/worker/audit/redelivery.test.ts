import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { AuditEvent } from "../../../src/audit/event.ts";
import { RecentIds } from "../../../src/audit/recent-ids.ts";
import { newId } from "../../../src/base/ids.ts";
import { verifyBlocks } from "../../../src/audit/verify.ts";
import { event, events, eventsOf, exportBlocks, fillLedger, ledgerOf, log } from "./fixtures.ts";

async function storedIds(tenantId: string): Promise<string[]> {
  const blocks = await exportBlocks(tenantId);
  expect(verifyBlocks(blocks, { tenantId })).toMatchObject({ ok: true });
  return eventsOf(blocks).map(({ id }) => id);
}

function ids(batch: readonly AuditEvent[]): string[] {
  return batch.map(({ id }) => id);
}

function at(time: number): Pick<AuditEvent, "timestamp"> {
  return { timestamp: new Date(time).toISOString() };
}

describe("an event is in the ledger once", () => {
  test("attack 67: when its batch is delivered twice, and the second answer is a success too", async () => {
    const tenantId = newId("tenant");
    const batch = events(5);
    const first = await log.append(tenantId, batch);
    expect(await log.append(tenantId, batch, { redelivery: true })).toEqual(first);
    expect(await log.append(tenantId, batch)).toEqual(first);
    expect(await storedIds(tenantId)).toEqual(ids(batch));
  });

  test("attack 67: when the object was evicted between the two deliveries", async () => {
    const tenantId = newId("tenant");
    const batch = events(5);
    const first = await log.append(tenantId, batch);
    await evictDurableObject(ledgerOf(tenantId));
    expect(await log.append(tenantId, batch, { redelivery: true })).toEqual(first);
    expect(await storedIds(tenantId)).toEqual(ids(batch));
  });

  test("when both deliveries arrive at the same moment, or one batch holds it twice", async () => {
    const tenantId = newId("tenant");
    const batch = events(3);
    await Promise.all([
      log.append(tenantId, batch),
      log.append(tenantId, batch),
      log.append(tenantId, [...batch, ...batch]),
    ]);
    expect((await storedIds(tenantId)).toSorted()).toEqual(ids(batch).toSorted());
  });

  test("as it was first told, whatever is told later under its id", async () => {
    const tenantId = newId("tenant");
    const first = event({ outcome: "denied" });
    const second = { ...first, outcome: "success" as const };
    await log.append(tenantId, [first, second]);
    await log.append(tenantId, [second], { redelivery: true });
    expect(eventsOf(await exportBlocks(tenantId))).toMatchObject([{ id: first.id, outcome: "denied" }]);
  });

  test("when it is redelivered after an eviction with newer blocks on top and new events beside it", async () => {
    const tenantId = newId("tenant");
    const start = Date.now() - 600_000;
    const rounds = Array.from({ length: 6 }, (_, round) => events(3, at(start + round * 60_000)));
    for (const batch of rounds) await log.append(tenantId, batch);
    await evictDurableObject(ledgerOf(tenantId));
    await log.append(tenantId, [event()]);
    const [oldest = [], , middle = []] = rounds;
    const late = event(at(start + 90_000));
    expect(await log.append(tenantId, [...middle, late, ...oldest], { redelivery: true })).toMatchObject({
      ok: true,
      head: { seq: 20 },
    });
    // What was read back for the first redelivery is remembered rightly for the second.
    for (const batch of rounds) await log.append(tenantId, batch, { redelivery: true });
    const stored = await storedIds(tenantId);
    expect(stored.length).toBe(20);
    expect(new Set(stored).size).toBe(20);
    expect(stored.at(-1)).toBe(late.id);
  });

  test("when it arrived so late that newer events were stored before it", async () => {
    const tenantId = newId("tenant");
    const now = Date.now();
    const late = events(2, at(now - 3_600_000));
    await log.append(tenantId, events(1, at(now)));
    await log.append(tenantId, late);
    await log.append(tenantId, events(1, at(now - 7_200_000)));
    await evictDurableObject(ledgerOf(tenantId));
    await log.append(tenantId, late, { redelivery: true });
    expect((await storedIds(tenantId)).length).toBe(4);
  });

  test("when one producer's clock ran years ahead, without blinding the ledger to the others", async () => {
    const tenantId = newId("tenant");
    const batch = events(2, at(Date.now() - 120_000));
    await log.append(tenantId, [event({ timestamp: "2126-01-01T00:00:00.000Z" })]);
    await log.append(tenantId, batch);
    await evictDurableObject(ledgerOf(tenantId));
    await log.append(tenantId, batch, { redelivery: true });
    expect((await storedIds(tenantId)).length).toBe(3);
    // Were it believed, every redelivery from now on would read back to this row.
    const latest = await runInDurableObject(
      ledgerOf(tenantId),
      (_, { storage }) =>
        storage.sql.exec<{ latest: number }>("SELECT max(latest) AS latest FROM blocks").one().latest,
    );
    expect(latest).toBeLessThanOrEqual(Date.now() + 60_000);
  });

  test("when more was stored since than memory holds", async () => {
    const tenantId = newId("tenant");
    const time = Date.now() - 30_000;
    const batch = events(2, at(time - 30_000));
    await log.append(tenantId, batch);
    await runInDurableObject(ledgerOf(tenantId), (_, { storage }) =>
      fillLedger(storage, { rows: 60, idsPerRow: 1_000, time }),
    );
    await evictDurableObject(ledgerOf(tenantId));
    const fillers = [1, 3, 30_000, 60_002].map((seq) => event({ id: `filler.${seq}`, ...at(time) }));
    for (let round = 0; round < 2; round += 1) {
      const result = await log.append(tenantId, [...fillers, ...batch], { redelivery: true });
      // filler.1 was never stored: the first two events are the batch.
      expect(result).toMatchObject({ ok: true, head: { seq: 60_003 } });
    }
  });
});

describe("the memory of recent ids", () => {
  function block(firstSeq: number, count: number, latest: number) {
    return { firstSeq, ids: Array.from({ length: count }, (_, index) => `e${firstSeq + index}`), latest };
  }

  test("starts out knowing nothing up to the head", () => {
    const recent = new RecentIds(10, 8, 700);
    expect(recent.fromSeq).toBe(8);
    expect(recent.mayBeEarlier("e7", 700)).toBe(true);
    expect(recent.mayBeEarlier("e7", 701)).toBe(false);
  });

  test("forgets whole blocks, oldest first, and says from which time on it is complete", () => {
    const recent = new RecentIds(5, 1, 0);
    recent.push(block(1, 3, 100));
    recent.push(block(4, 2, 200));
    expect([recent.has("e1"), recent.fromSeq, recent.mayBeEarlier("e9", 1)]).toEqual([true, 1, false]);
    recent.push(block(6, 1, 300));
    expect([recent.has("e3"), recent.has("e4"), recent.fromSeq]).toEqual([false, true, 4]);
    expect([
      recent.mayBeEarlier("e3", 100),
      recent.mayBeEarlier("e3", 101),
      recent.mayBeEarlier("e4", 100),
    ]).toEqual([true, false, false]);
  });

  test("keeps what it read back while there is room, and forgets that first", () => {
    const recent = new RecentIds(4, 7, 400);
    const earlier = [block(5, 2, 400), block(4, 1, 300), block(2, 2, 200), block(1, 1, 100)];
    expect(recent.findEarlier(new Map([["e1", 90]]), earlier)).toEqual(new Set(["e1"]));
    expect([recent.fromSeq, recent.has("e4"), recent.has("e3"), recent.mayBeEarlier("e3", 201)]).toEqual([
      4,
      true,
      false,
      false,
    ]);
    recent.push(block(7, 2, 500));
    expect([recent.fromSeq, recent.has("e4"), recent.has("e5")]).toEqual([5, false, true]);
  });

  test("reads back only as far as the oldest wanted event can be, or until all are found", () => {
    const seen: number[] = [];
    function* earlier() {
      for (const one of [block(5, 2, 400), block(4, 1, 300), block(2, 2, 200), block(1, 1, 100)]) {
        seen.push(one.firstSeq);
        yield one;
      }
    }
    expect(new RecentIds(9, 7, 400).findEarlier(new Map([["new", 250]]), earlier())).toEqual(new Set());
    expect(seen.splice(0)).toEqual([5, 4, 2]);
    expect(new RecentIds(9, 7, 400).findEarlier(new Map([["e6", 0]]), earlier())).toEqual(new Set(["e6"]));
    expect(seen).toEqual([5, 4]);
  });
});
