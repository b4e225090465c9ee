import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { AuditLedger } from "../../../durable-objects/audit-ledger.ts";
import { newId } from "../../../src/base/ids.ts";
import { verifyBlocks } from "../../../src/audit/verify.ts";
import { event, events, eventsOf, exportBlocks, ledgerOf, log } from "./fixtures.ts";

describe("what was appended", () => {
  test("verifies as one chain from the tenant's genesis to the head that append answered", async () => {
    const tenantId = newId("tenant");
    await log.append(tenantId, events(3));
    const result = await log.append(tenantId, events(2));
    const verdict = verifyBlocks(await exportBlocks(tenantId), { tenantId });
    expect(verdict).toEqual({ ok: true, count: 5, head: await log.head(tenantId) });
    expect(result).toEqual({ ok: true, head: await log.head(tenantId) });
  });

  test("verifies for no other tenant", async () => {
    const tenantId = newId("tenant");
    await log.append(tenantId, events(1));
    const verdict = verifyBlocks(await exportBlocks(tenantId), { tenantId: newId("tenant") });
    expect(verdict).toMatchObject({ ok: false, at: 1 });
  });

  test("keeps its chain when the object is evicted in between", async () => {
    const tenantId = newId("tenant");
    for (let round = 0; round < 3; round += 1) {
      await log.append(tenantId, events(2));
      await evictDurableObject(ledgerOf(tenantId));
    }
    const verdict = verifyBlocks(await exportBlocks(tenantId), { tenantId, head: await log.head(tenantId) });
    expect(verdict).toMatchObject({ ok: true, count: 6 });
  });

  test("is gapless, in order, there once, and in few blocks: 1,000 events in 200 concurrent appends", async () => {
    const tenantId = newId("tenant");
    const batches = Array.from({ length: 200 }, () => events(5));
    const results = await Promise.all(batches.map((batch) => log.append(tenantId, batch)));
    expect(results.every((result) => result.ok)).toBe(true);

    const blocks = await exportBlocks(tenantId);
    const stored = eventsOf(blocks);
    expect(stored.map(({ seq }) => seq)).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1));
    expect(new Set(stored.map(({ id }) => id))).toEqual(new Set(batches.flat().map(({ id }) => id)));
    for (const batch of batches) {
      const first = stored.findIndex(({ id }) => id === batch[0]?.id);
      expect(stored.slice(first, first + 5).map(({ id }) => id)).toEqual(batch.map(({ id }) => id));
    }
    expect(blocks.length).toBeLessThanOrEqual(20);
    expect(verifyBlocks(blocks, { tenantId })).toMatchObject({ ok: true, count: 1_000 });
  });

  test("splits into several blocks where it would not fit one row", async () => {
    const tenantId = newId("tenant");
    const context = { a: "€".repeat(2_000), b: "€".repeat(2_000), c: "€".repeat(2_000) };
    expect(await log.append(tenantId, events(100, { context }))).toMatchObject({ ok: true });
    const blocks = await exportBlocks(tenantId);
    expect(blocks.length).toBe(2);
    for (const block of blocks) expect(Buffer.byteLength(block.events)).toBeLessThanOrEqual(1_000_000);
    expect(verifyBlocks(blocks, { tenantId })).toMatchObject({ ok: true, count: 100 });
  });

  test("can be read from any event on, and back from any event", async () => {
    const tenantId = newId("tenant");
    for (let round = 0; round < 3; round += 1) await log.append(tenantId, events(4));
    const first = ({ blocks }: { blocks: readonly { first_seq: number }[] }) =>
      blocks.map((block) => block.first_seq);
    expect(first(await log.blocks(tenantId, { from: 6, maxBlocks: 9 }))).toEqual([5, 9]);
    expect(first(await log.blocks(tenantId, { from: 12, maxBlocks: 9 }))).toEqual([9]);
    expect(await log.blocks(tenantId, { from: 13, maxBlocks: 9 })).toEqual({ blocks: [], resume: null });
    const steps: number[] = [];
    for (let from: number | null = 1; from !== null;) {
      const page = await log.blocks(tenantId, { from, maxBlocks: 1 });
      steps.push(...first(page));
      from = page.resume;
    }
    expect(steps).toEqual([1, 5, 9]);
    expect(first(await log.blocks(tenantId, { before: 9, maxBlocks: 9 }))).toEqual([5, 1]);
    expect(first(await log.blocks(tenantId, { before: 10, maxBlocks: 1 }))).toEqual([9]);
    expect(await log.blocks(tenantId, { before: 1, maxBlocks: 9 })).toEqual({ blocks: [], resume: null });
  });

  test("costs one row written for a block, however many events are in it", async () => {
    const tenantId = newId("tenant");
    await log.append(tenantId, events(1));
    const written = await runInDurableObject<AuditLedger, number[]>(
      ledgerOf(tenantId),
      async (ledger, state) => {
        const counts: number[] = [];
        const { sql } = state.storage;
        const exec = sql.exec.bind(sql);
        sql.exec = ((query: string, ...values: unknown[]) => {
          const cursor = exec(query, ...values);
          if (query.startsWith("INSERT")) counts.push(cursor.rowsWritten);
          return cursor;
        }) as typeof sql.exec;
        await ledger.append({ events: events(1), redelivery: false });
        await ledger.append({ events: events(100), redelivery: true });
        return counts;
      },
    );
    expect(written).toEqual([1, 1]);
  });
});

describe("the window", () => {
  test("does not hold up an append after a quiet while, and gathers those that follow into one block", async () => {
    const tenantId = newId("tenant");
    const blocks = await runInDurableObject<AuditLedger, number[]>(
      ledgerOf(tenantId),
      async (ledger, { storage }) => {
        const count = () => storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM blocks").one().n;
        const appends = [ledger.append({ events: events(1), redelivery: false })];
        const counts = [count()];
        appends.push(ledger.append({ events: events(1), redelivery: false }));
        appends.push(ledger.append({ events: events(1), redelivery: false }));
        counts.push(count());
        await Promise.all(appends);
        counts.push(count());
        return counts;
      },
    );
    expect(blocks).toEqual([1, 1, 2]);
  });
});

describe("what went wrong", () => {
  test("leaves nothing of a batch behind, is told, and does not spoil the chain", async () => {
    const tenantId = newId("tenant");
    await log.append(tenantId, events(1));
    const context = { a: "€".repeat(2_000), b: "€".repeat(2_000), c: "€".repeat(2_000) };
    const batch = events(100, { context });
    const run = (statement: string) =>
      runInDurableObject(ledgerOf(tenantId), (_, { storage }) => void storage.sql.exec(statement));
    // The batch takes two rows; the second one cannot be written.
    await run(
      "CREATE TRIGGER full BEFORE INSERT ON blocks WHEN NEW.first_seq > 2 BEGIN SELECT RAISE(ABORT, 'full'); END",
    );
    expect(await log.append(tenantId, batch)).toEqual({ ok: false, reason: "not_written" });
    expect(await log.head(tenantId)).toMatchObject({ seq: 1 });
    await expect(log.record(tenantId, batch)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await run("DROP TRIGGER full");
    expect(await log.append(tenantId, batch, { redelivery: true })).toMatchObject({
      ok: true,
      head: { seq: 101 },
    });
    expect(verifyBlocks(await exportBlocks(tenantId), { tenantId })).toMatchObject({ ok: true, count: 101 });
  });

  test("is asked again when the object dies with an append waiting: the events are there, once", async () => {
    const tenantId = newId("tenant");
    await log.append(tenantId, events(1));
    const batch = events(3);
    const waiting = log.append(tenantId, batch);
    await runInDurableObject(ledgerOf(tenantId), (_, state) => state.abort("killed by a test")).catch(
      () => undefined,
    );
    expect(await waiting).toMatchObject({ ok: true, head: { seq: 4 } });
    const stored = eventsOf(await exportBlocks(tenantId));
    expect(stored.slice(1).map(({ id }) => id)).toEqual(batch.map(({ id }) => id));
  });
});

describe("what is refused", () => {
  test("more than 1,000 events at a time, with nothing stored", async () => {
    const tenantId = newId("tenant");
    expect(await log.append(tenantId, events(1_001))).toEqual({ ok: false, reason: "too_many_events" });
    expect(await log.head(tenantId)).toMatchObject({ seq: 0 });
  });

  test.each([
    ["an id with a line break", { id: "evt_1\nevt_2" }],
    ["an empty id", { id: "" }],
    ["a timestamp that is none", { timestamp: "yesterday" }],
  ])("%s, with nothing stored", async (_, over) => {
    const tenantId = newId("tenant");
    expect(await log.append(tenantId, [event(), event(over)])).toEqual({
      ok: false,
      reason: "malformed_event",
    });
    expect(await log.head(tenantId)).toMatchObject({ seq: 0 });
  });
});

describe("attack 81: rows are only ever added", () => {
  test.each([
    ["UPDATE", "UPDATE blocks SET events = '[]'"],
    ["DELETE", "DELETE FROM blocks"],
    ["INSERT OR REPLACE", "INSERT OR REPLACE INTO blocks SELECT * FROM blocks LIMIT 1"],
    [
      "REPLACE with other content",
      "REPLACE INTO blocks SELECT first_seq, last_seq, 0, 0, 0, prev_hash, hash, ids, '[]' FROM blocks LIMIT 1",
    ],
    [
      "an upsert",
      "INSERT INTO blocks SELECT * FROM blocks WHERE true LIMIT 1 ON CONFLICT DO UPDATE SET events = '[]'",
    ],
    ["INSERT OR IGNORE of an existing row", "INSERT OR IGNORE INTO blocks SELECT * FROM blocks LIMIT 1"],
    [
      "a row that leaves a gap",
      "INSERT INTO blocks SELECT last_seq + 2, last_seq + 2, 0, 0, 0, hash, '', 'x', '[]' FROM blocks ORDER BY first_seq DESC LIMIT 1",
    ],
    [
      "a row on another chain",
      "INSERT INTO blocks SELECT last_seq + 1, last_seq + 1, 0, 0, 0, 'x', '', 'x', '[]' FROM blocks ORDER BY first_seq DESC LIMIT 1",
    ],
  ])("attack 81: %s aborts and changes nothing", async (_, statement) => {
    const tenantId = newId("tenant");
    await log.append(tenantId, events(2));
    await log.append(tenantId, events(1));
    const before = await exportBlocks(tenantId);
    const refusal = await runInDurableObject(ledgerOf(tenantId), (_ledger, state) => {
      try {
        state.storage.sql.exec(statement);
        return "accepted";
      } catch (error) {
        return String(error);
      }
    });
    expect(refusal).toContain("append-only");
    expect(await exportBlocks(tenantId)).toEqual(before);
    expect(await log.append(tenantId, events(1))).toMatchObject({ ok: true, head: { seq: 4 } });
  });
});
