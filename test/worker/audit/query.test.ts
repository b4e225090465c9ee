import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, test } from "vitest";
import type { StoredEvent } from "../../../src/audit/event.ts";
import type { AuditFilters, PageRequest } from "../../../src/audit/query.ts";
import { newId } from "../../../src/base/ids.ts";
import { event, events, fillLedger, ledgerOf, log } from "./fixtures.ts";

const START = Date.parse("2026-11-01T00:00:00.000Z");

/** Every event of a walk by cursors, and how many pages it took. */
async function walk(
  tenantId: string,
  filters: AuditFilters,
  request: PageRequest,
  between?: () => Promise<unknown>,
) {
  const found: StoredEvent[] = [];
  let pages = 0;
  let cursor: string | null = null;
  do {
    const page = await log.query(
      tenantId,
      filters,
      cursor === null
        ? request
        : { ...(request.limit === undefined ? {} : { limit: request.limit }), cursor },
    );
    found.push(...page.events);
    pages += 1;
    cursor = page.next_cursor;
    await between?.();
  } while (cursor !== null && pages < 1_000);
  return { found, pages, seqs: found.map(({ seq }) => seq) };
}

describe("a query", () => {
  const tenantId = newId("tenant");

  beforeAll(async () => {
    // 60 events, one a minute, ten a block; each third a denial by another agent.
    for (let block = 0; block < 6; block += 1) {
      const batch = Array.from({ length: 10 }, (_, index) => {
        const place = block * 10 + index;
        const timestamp = new Date(START + place * 60_000).toISOString();
        return place % 3 === 0
          ? event({
              timestamp,
              event_type: "token.denied",
              resource_type: "token",
              actor: "agent:b",
              outcome: "denied",
            })
          : event({ timestamp, actor: "agent:a" });
      });
      await log.append(tenantId, batch);
    }
  });

  test("answers newest first, whole events, and says when there is no more", async () => {
    const { events: found, next_cursor } = await log.query(tenantId, {}, {});
    expect(found.map(({ seq }) => seq)).toEqual(Array.from({ length: 60 }, (_, index) => 60 - index));
    expect(found[0]).toMatchObject({
      event_type: "connection.called",
      actor: "agent:a",
      outcome: "success",
      context: { method: "GET" },
    });
    expect(next_cursor).toBeNull();
  });

  test.each([1, 7, 20, 60])("walks by cursors of %i without loss or repetition", async (limit) => {
    const { seqs, pages } = await walk(tenantId, {}, { limit });
    expect(seqs).toEqual(Array.from({ length: 60 }, (_, index) => 60 - index));
    expect(pages).toBe(Math.ceil(60 / limit));
  });

  test.each<[string, AuditFilters, (place: number) => boolean]>([
    ["event type", { event_type: "token.denied" }, (place) => place % 3 === 0],
    ["resource type", { resource_type: "connection" }, (place) => place % 3 !== 0],
    ["actor", { actor: "agent:b" }, (place) => place % 3 === 0],
    ["start", { start_time: START + 45 * 60_000 }, (place) => place >= 45],
    ["end, which is not included", { end_time: START + 15 * 60_000 }, (place) => place < 15],
    [
      "all of them at once",
      {
        event_type: "token.denied",
        actor: "agent:b",
        start_time: START + 600_000,
        end_time: START + 1_800_000,
      },
      (place) => place % 3 === 0 && place >= 10 && place < 30,
    ],
    ["what nothing matches", { actor: "agent:nobody" }, () => false],
  ])("filters by %s", async (_, filters, expected) => {
    const want = Array.from({ length: 60 }, (_value, place) => place)
      .filter(expected)
      .map((place) => place + 1);
    const { seqs } = await walk(tenantId, filters, { limit: 4 });
    expect(seqs).toEqual(want.toReversed());
  });

  test("counts pages from 1", async () => {
    const second = await log.query(tenantId, { actor: "agent:b" }, { limit: 5, page: 2 });
    const all = await log.query(tenantId, { actor: "agent:b" }, {});
    expect(second.events).toEqual(all.events.slice(5, 10));
    expect((await log.query(tenantId, {}, { limit: 50, page: 3 })).events).toEqual([]);
  });

  test.each<[string, PageRequest]>([
    ["a cursor that no page gave", { cursor: "bm9wZQ" }],
    ["a limit of 0", { limit: 0 }],
    ["a page of 0", { page: 0 }],
    ["a page beyond 10,000 events", { page: 102, limit: 99 }],
    ["cursor and page together", { cursor: "WzEsMF0", page: 1 }],
  ])("refuses %s", async (_, request) => {
    await expect(log.query(tenantId, {}, request)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });
});

describe("while events are being added", () => {
  test("a walk sees what was there when it began, each event once, filtered or not", async () => {
    for (const filters of [{}, { actor: "agent:b" }]) {
      const tenantId = newId("tenant");
      for (let block = 0; block < 5; block += 1) {
        await log.append(tenantId, [...events(5, { actor: "agent:a" }), ...events(5, { actor: "agent:b" })]);
      }
      const there = await log.query(tenantId, filters, {});
      const { found } = await walk(tenantId, filters, { limit: 4 }, () =>
        log.append(tenantId, events(3, { actor: "agent:b" })),
      );
      expect(found).toEqual(there.events);
    }
  });

  test("a late event with an old timestamp is found by its time", async () => {
    const tenantId = newId("tenant");
    await log.append(tenantId, events(2, { timestamp: new Date(START + 3_600_000).toISOString() }));
    await log.append(tenantId, [event({ timestamp: new Date(START).toISOString() })]);
    await log.append(tenantId, events(2, { timestamp: new Date(START + 7_200_000).toISOString() }));
    const { seqs } = await walk(tenantId, { start_time: START - 1, end_time: START + 1 }, { limit: 10 });
    expect(seqs).toEqual([3]);
  });
});

describe("a filter that matches little", () => {
  test("looks past thousands of blocks outside its times, and stops where all are older", async () => {
    const tenantId = newId("tenant");
    await log.append(tenantId, [event({ timestamp: new Date(START).toISOString() })]);
    await runInDurableObject(ledgerOf(tenantId), (_, { storage }) =>
      fillLedger(storage, { rows: 12_000, idsPerRow: 1, time: START + 3_600_000 }),
    );
    const page = await log.query(tenantId, { end_time: START + 1 }, {});
    expect(page.events.map(({ seq }) => seq)).toEqual([1]);
    expect(page.next_cursor).toBeNull();
    const ledger = ledgerOf(tenantId);
    const after = await ledger.blocks({ maxBlocks: 10, times: { start: START + 3_600_001 } });
    expect(after).toEqual({ blocks: [], resume: null });
    const before = await ledger.blocks({ maxBlocks: 10, times: { end: START + 1 } });
    expect(before).toEqual({ blocks: [], resume: 7_002 });
  });

  test("costs a bounded look and goes on by its cursor until it has found everything", async () => {
    const tenantId = newId("tenant");
    await log.append(tenantId, [event({ actor: "agent:rare" })]);
    // Far more than one query looks through.
    for (let batch = 0; batch < 25; batch += 1) await log.append(tenantId, events(1_000));
    const first = await log.query(tenantId, { actor: "agent:rare" }, {});
    expect(first.events).toEqual([]);
    expect(first.next_cursor).not.toBeNull();
    const { seqs, pages } = await walk(tenantId, { actor: "agent:rare" }, {});
    expect(seqs).toEqual([1]);
    expect(pages).toBe(2);
    // A page number is kept across the same bound.
    const paged = await walk(tenantId, { actor: "agent:rare" }, { limit: 1, page: 2 });
    expect(paged.seqs).toEqual([]);
  });
});
