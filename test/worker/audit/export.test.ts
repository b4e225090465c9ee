import { beforeAll, describe, expect, test } from "vitest";
import type { AuditEvent, StoredEvent } from "../../../src/audit/event.ts";
import { beginExport } from "../../../src/audit/export.ts";
import { verifyBlocks } from "../../../src/audit/verify.ts";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import type { BlockRange } from "../../../src/audit/ledger.ts";
import { failingEnv } from "../support/failing.ts";
import { call } from "../support/tenant.ts";
import { newTenant, send } from "../api/door.ts";
import { event, events, exportBlocks, log } from "./fixtures.ts";

const START = Date.parse("2026-11-01T00:00:00.000Z");
const at = (minute: number) => new Date(START + minute * 60_000).toISOString();

let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeAll(async () => {
  tenant = await newTenant();
  for (let block = 0; block < 5; block += 1) {
    const batch = Array.from({ length: 10 }, (_, index) => {
      const minute = block * 10 + index;
      return minute % 5 === 0
        ? event({
            timestamp: at(minute),
            event_type: "token.denied",
            resource_type: "token",
            actor: "agent:b",
          })
        : event({ timestamp: at(minute), actor: "agent:a" });
    });
    await log.append(tenant.tenantId, batch);
  }
});

async function exported(query: string, accept?: string, role: "auditor" | "admin" = "auditor") {
  const headers = { "cf-connecting-ip": "192.0.2.1", ...(accept === undefined ? {} : { accept }) };
  const { response, settled } = await call(`/v1/audit/export${query}`, tenant[role], { headers });
  const text = await response.text();
  await settled();
  return { status: response.status, headers: response.headers, text };
}

const linesOf = (text: string): StoredEvent[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

async function recorded(): Promise<readonly StoredEvent[]> {
  return (await log.query(tenant.tenantId, { event_type: "audit.exported" }, {})).events;
}

describe("an export of the trail", () => {
  test("is every event that matches, oldest first, as lines, a list or a table", async () => {
    const query = `?event_type=token.denied&end_time=${at(31)}`;
    const lines = linesOf((await exported(query)).text);
    expect(lines.map(({ timestamp }) => timestamp)).toEqual([0, 5, 10, 15, 20, 25, 30].map(at));
    const list = await exported(query, "application/json");
    expect(JSON.parse(list.text)).toEqual(lines);
    const table = await exported(query, "text/csv, application/json;q=0.5");
    const [header, ...rows] = table.text.trimEnd().split("\r\n");
    expect(header).toBe(
      '"seq","timestamp","event_type","resource_type","resource","actor","outcome","ip_address","user_agent","context","id","hash"',
    );
    expect(rows.map((row) => row.split(",")[0])).toEqual(lines.map(({ seq }) => String(seq)));
  });

  test("says what it is and how it is to be saved", async () => {
    const kinds = [];
    for (const accept of [undefined, "application/json", "text/csv"]) {
      const { headers } = await exported("", accept);
      kinds.push([headers.get("content-type")?.split(";")[0], headers.get("content-disposition")]);
    }
    const name = `attachment; filename="audit-${tenant.tenantId}`;
    expect(kinds).toEqual([
      ["application/x-ndjson", `${name}.ndjson"`],
      ["application/json", `${name}.json"`],
      ["text/csv", `${name}.csv"`],
    ]);
  });

  test("comes in no other form, and then nothing is recorded", async () => {
    const before = (await recorded()).length;
    const answer = await exported("", "application/xml");
    expect([answer.status, JSON.parse(answer.text).error.code]).toEqual([406, "NOT_ACCEPTABLE"]);
    expect(await recorded()).toHaveLength(before);
  });

  test("of nothing is a file all the same", async () => {
    const query = "?actor=agent:nobody";
    expect((await exported(query)).text).toBe("");
    expect(JSON.parse((await exported(query, "application/json")).text)).toEqual([]);
    expect((await exported(query, "text/csv")).text).toMatch(/^"seq",.*\r\n$/);
  });

  test("takes the filters of the query, and no pages", async () => {
    for (const query of [
      "?limit=10",
      "?cursor=x",
      "?page=1",
      "?event_type=no.such",
      "?start_time=yesterday",
    ]) {
      expect((await exported(query)).status, query).toBe(400);
    }
    const query = `?actor=agent:a&start_time=${at(8)}&end_time=${at(12)}`;
    expect(linesOf((await exported(query)).text).map(({ timestamp }) => timestamp)).toEqual(
      [8, 9, 11].map(at),
    );
  });

  test("has the whole chain in it, so that it can be verified without the gateway", async () => {
    const { text } = await exported("");
    const blocks = await exportBlocks(tenant.tenantId);
    expect(verifyBlocks(blocks, { tenantId: tenant.tenantId }).ok).toBe(true);
    const all = blocks.flatMap((block): StoredEvent[] => JSON.parse(block.events));
    // All but the line about this export itself.
    expect(linesOf(text)).toEqual(all.slice(0, -1));
  });
});

describe("attack 84: an export", () => {
  test("attack 84: is in the trail itself, with who, what and how many", async () => {
    const { headers, text } = await exported(
      `?actor=agent:a&start_time=${at(10)}&end_time=${at(20)}`,
      "text/csv",
    );
    const [line] = await recorded();
    expect(line).toMatchObject({
      resource_type: "audit",
      resource: tenant.tenantId,
      actor: expect.stringMatching(/^member:mem_/),
      ip_address: "192.0.2.1",
      context: {
        format: "csv",
        count: text.trimEnd().split("\r\n").length - 1,
        filters: { actor: "agent:a", start_time: at(10), end_time: at(20) },
        request_id: headers.get("x-request-id"),
      },
    });
    expect(line?.context["count"]).toBe(8);
  });

  test("attack 84: that cannot be recorded does not begin", async () => {
    const failing = failingEnv();
    failing.faults.object = (called, pass) =>
      called === "AUDIT_LEDGER.append" ? Promise.reject(new Error("gone")) : pass();
    const logged = { headers: { "cf-connecting-ip": "192.0.2.1" } };
    const { response, settled } = await call("/v1/audit/export", tenant.auditor, logged, failing.bindings);
    const text = await response.text();
    await settled();
    expect([response.status, text.includes("token.denied")]).toEqual([503, false]);
  });

  test("attack 84: is recorded before anything of it is read out", async () => {
    const tenantId = newId("tenant") as TenantId;
    await log.append(tenantId, events(5));
    const order: string[] = [];
    const pages = await beginExport(
      {
        head: () => log.head(tenantId),
        blocks: (range: BlockRange) => {
          order.push("read");
          return log.blocks(tenantId, range);
        },
        record: async (made: AuditEvent) => {
          order.push(`recorded ${String(made.context["count"])}`);
          await log.record(tenantId, [made]);
        },
      },
      { tenantId, actor: "member:x", request: { requestId: "req_x", ip: null, userAgent: null } },
      {},
      "application/json",
      Date.now(),
    );
    expect(order).toEqual(["read", "recorded 5"]);
    await log.append(tenantId, events(3));
    let count = 0;
    for await (const page of pages) count += page.length;
    expect([count, order]).toEqual([5, ["read", "recorded 5", "read"]]);
  });
});

describe("cells", () => {
  const HOSTILE = [
    '=HYPERLINK("http://evil","x")',
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\r=1",
    "a\r\nb",
    "\u202egpj.exe",
  ];

  test("attack 83: attack 82: of a table are no formulas, and of every form hold one line each, with nothing hidden", async () => {
    for (const resource of HOSTILE)
      await log.append(tenant.tenantId, [event({ resource, actor: "agent:hostile" })]);
    const table = await exported("?actor=agent:hostile", "text/csv");
    const rows = table.text.trimEnd().split("\r\n").slice(1);
    expect(rows).toHaveLength(HOSTILE.length);
    for (const row of rows) {
      const cell = /^[0-9]+,"[^"]*","[^"]*","[^"]*","((?:[^"]|"")*)"/.exec(row)?.[1] ?? "none";
      expect(cell).not.toMatch(/^[=+\-@\t\r]/);
      expect(row).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    }
    const lines = await exported("?actor=agent:hostile");
    expect(linesOf(lines.text)).toHaveLength(HOSTILE.length);
    expect(lines.text).toContain("\\\\u202e");
  });
});

test("attack 87: an export is for auditors and admins", async () => {
  for (const role of ["viewer", "editor"] as const) {
    const answer = await send("GET", "/v1/audit/export", { credential: tenant[role] });
    expect([answer.status, answer.body.error.code]).toEqual([403, "ROLE_DENIED"]);
  }
  expect((await exported("", undefined, "admin")).status).toBe(200);
});
