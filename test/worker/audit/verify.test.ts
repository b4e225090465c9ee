import { beforeAll, describe, expect, test } from "vitest";
import { eventHash, genesis, sealBlocks } from "../../../src/audit/chain.ts";
import { canonicalJson } from "../../../src/audit/canonical-json.ts";
import type { Block, Head } from "../../../src/audit/ledger.ts";
import { verifyBlocks } from "../../../src/audit/verify.ts";
import { newId } from "../../../src/base/ids.ts";
import { event, events, exportBlocks, log } from "./fixtures.ts";

describe("attack 81: the verifier, given nothing but an export", () => {
  const tenantId = newId("tenant");
  let blocks: Block[] = [];
  let head: Head = genesis(tenantId);

  /** A copy of the export with one block changed. */
  function changed(index: number, change: (block: Block) => Partial<Block>): Block[] {
    return blocks.map((block, at) => (at === index ? { ...block, ...change(block) } : block));
  }

  beforeAll(async () => {
    for (let round = 0; round < 4; round += 1) await log.append(tenantId, events(3));
    blocks = await exportBlocks(tenantId);
    head = await log.head(tenantId);
    expect(blocks.length).toBe(4);
  });

  test("attack 81: accepts what the ledger wrote", () => {
    expect(verifyBlocks(blocks, { tenantId, head })).toEqual({ ok: true, count: 12, head });
    expect(verifyBlocks([], { tenantId })).toEqual({ ok: true, count: 0, head: genesis(tenantId) });
  });

  test("attack 81: finds a changed field and names the event", () => {
    const tampered = changed(1, ({ events: text }) => {
      const list = JSON.parse(text);
      list[1].outcome = "denied";
      return { events: canonicalJson(list) };
    });
    expect(verifyBlocks(tampered, { tenantId })).toMatchObject({ ok: false, at: 5 });
  });

  test("attack 81: finds a changed event whose own hash was made to fit", () => {
    const tampered = changed(1, (block) => {
      const list = JSON.parse(block.events);
      const { hash: _, ...forged } = { ...list[2], actor: "system" };
      list[2] = { ...forged, hash: eventHash(list[1].hash, forged) };
      return { events: canonicalJson(list), hash: list[2].hash };
    });
    expect(verifyBlocks(tampered, { tenantId })).toMatchObject({ ok: false, at: 7 });
  });

  test("attack 81: finds a wholly rewritten chain by the known head", () => {
    const [first] = sealBlocks(genesis(tenantId), events(12));
    expect(first).toBeDefined();
    const rewritten = first === undefined ? [] : [first];
    expect(verifyBlocks(rewritten, { tenantId })).toMatchObject({ ok: true, count: 12 });
    expect(verifyBlocks(rewritten, { tenantId, head })).toMatchObject({ ok: false, at: 12 });
  });

  test("attack 81: finds a removed block, first or in the middle", () => {
    expect(verifyBlocks(blocks.slice(1), { tenantId })).toMatchObject({ ok: false, at: 1 });
    expect(verifyBlocks(blocks.toSpliced(2, 1), { tenantId })).toMatchObject({ ok: false, at: 7 });
  });

  test("attack 81: finds a removed event and one put twice", () => {
    const gap = changed(2, ({ events: text }) => ({
      events: canonicalJson(JSON.parse(text).toSpliced(1, 1)),
    }));
    expect(verifyBlocks(gap, { tenantId })).toMatchObject({ ok: false, at: 8 });
    expect(verifyBlocks(blocks.toSpliced(1, 0, ...blocks.slice(0, 1)), { tenantId })).toMatchObject({
      ok: false,
      at: 4,
    });
  });

  test("attack 81: finds reordered blocks and reordered events", () => {
    const [a, b, c, d] = blocks;
    const reordered = [a, c, b, d].filter((block) => block !== undefined);
    expect(verifyBlocks(reordered, { tenantId })).toMatchObject({ ok: false, at: 4 });
    const inside = changed(3, ({ events: text }) => ({
      events: canonicalJson(JSON.parse(text).toReversed()),
    }));
    expect(verifyBlocks(inside, { tenantId })).toMatchObject({ ok: false, at: 10 });
  });

  test("attack 81: finds a truncated export where the head is known, and only there", () => {
    const truncated = blocks.slice(0, 3);
    expect(verifyBlocks(truncated, { tenantId })).toMatchObject({ ok: true, count: 9 });
    expect(verifyBlocks(truncated, { tenantId, head })).toMatchObject({ ok: false, at: 10 });
    expect(verifyBlocks([], { tenantId, head })).toMatchObject({ ok: false, at: 1 });
  });

  test("attack 81: finds an event appended by somebody else when the head is known", () => {
    const extended = [...blocks, ...sealBlocks(head, [event()])];
    expect(verifyBlocks(extended, { tenantId, head })).toMatchObject({ ok: false, at: 12 });
  });

  test("attack 81: finds a second spelling of an event that other readers would read differently", () => {
    const spelled = changed(0, ({ events: text }) => ({
      events: text.replace('{"actor"', '{"actor":"system","actor"'),
    }));
    expect(verifyBlocks(spelled, { tenantId })).toMatchObject({ ok: false, at: 1 });
  });

  test("attack 81: finds block columns that do not fit the events", () => {
    expect(
      verifyBlocks(
        changed(1, () => ({ last_seq: 7 })),
        { tenantId },
      ),
    ).toMatchObject({ ok: false, at: 6 });
    expect(
      verifyBlocks(
        changed(1, () => ({ first_time: 0 })),
        { tenantId },
      ),
    ).toMatchObject({ ok: false, at: 4 });
    expect(
      verifyBlocks(
        changed(1, () => ({ prev_hash: head.hash })),
        { tenantId },
      ),
    ).toMatchObject({ ok: false, at: 4 });
    expect(
      verifyBlocks(
        changed(1, () => ({ events: "not JSON" })),
        { tenantId },
      ),
    ).toMatchObject({ ok: false, at: 4 });
    expect(
      verifyBlocks(
        changed(1, () => ({ events: "[null]" })),
        { tenantId },
      ),
    ).toMatchObject({ ok: false, at: 4 });
  });

  test("a part of a ledger verifies against the head before it", () => {
    const after = verifyBlocks(blocks.slice(0, 2), { tenantId });
    if (!after.ok) throw new Error(after.why);
    expect(verifyBlocks(blocks.slice(2), { tenantId, after: after.head, head })).toMatchObject({
      ok: true,
      count: 6,
    });
  });
});

describe("canonical JSON (RFC 8785)", () => {
  test("sorts members by UTF-16 code units (section 3.2.3, its own example)", () => {
    const input = { "€": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, ö: 7 };
    expect(canonicalJson(input)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"\ud83d\ude00":5,"\ufb33":3}');
  });

  test("writes numbers and strings in one way (section 3.2.2)", () => {
    const numbers = [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0];
    expect(canonicalJson(numbers)).toBe("[333333333.3333333,1e+30,4.5,0.002,1e-27,0]");
    expect(canonicalJson('€$\u000f\nA\'B"\\"/')).toBe('"€$\\u000f\\nA\'B\\"\\\\\\"/"');
    expect(canonicalJson({ b: [true, null, {}], a: undefined })).toBe('{"b":[true,null,{}]}');
  });
});
