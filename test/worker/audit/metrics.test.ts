import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { measure } from "../../../src/audit/metrics.ts";
import { newId } from "../../../src/base/ids.ts";
import { newTenant, send } from "../api/door.ts";
import { event, events, fillLedger, ledgerOf, log } from "./fixtures.ts";

const HOUR_MS = 3_600_000;

const measured = (tenantId: string, from: number, to: number) =>
  measure({ blocks: (range) => log.blocks(tenantId, range) }, from, to);

describe("metrics", () => {
  test("count calls, refusals with their repeats, tokens that nobody used, and approvals, of the period alone", async () => {
    const { tenantId, admin, auditor } = await newTenant();
    const [used, idle, old] = [newId("token"), newId("token"), newId("token")];
    const issued = (resource: string, over = {}) =>
      event({ event_type: "token.issued", resource_type: "token", resource, context: {}, ...over });
    const denied = (context: Record<string, unknown>) =>
      event({
        event_type: "connection.denied",
        outcome: "denied",
        resource: "github",
        context: { token_id: idle, ...context },
      });
    const yesterday = { timestamp: new Date(Date.now() - 25 * HOUR_MS).toISOString() };
    await log.append(tenantId, [
      ...[issued(used), issued(idle), issued(old, yesterday)],
      ...events(3, { context: { token_id: used } }),
      event({ outcome: "error", context: { token_id: used, error: "UPSTREAM_TIMEOUT" } }),
      event({ ...yesterday, context: { token_id: idle } }),
      ...[denied({}), denied({ repeated_before: 3 }), denied({ repeated: 2, repeats_of: "x" })],
      event({ event_type: "token.denied", resource_type: "token", outcome: "denied" }),
      event({ event_type: "approval.requested", resource_type: "approval" }),
      event({ event_type: "approval.timed_out", resource_type: "approval" }),
    ]);
    const { status, body } = await send("GET", "/v1/metrics?period=24h", { credential: auditor });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      ...{ period: "86400s", complete: true },
      calls: { allowed: 4, denied: 7, failed: 1, denial_rate: 0.6364 },
      tokens: { issued: 2, unused: 1, unused_rate: 0.5, denied: 1, revoked: 0 },
      approvals: { requested: 1, granted: 0, denied: 0, timed_out: 1 },
      connections: [
        { connection: "github", allowed: 0, denied: 7 },
        { connection: "stripe", allowed: 4, denied: 0 },
      ],
    });
    expect(Date.parse(body.to) - Date.parse(body.from)).toBe(24 * HOUR_MS);
    const week = await send("GET", "/v1/metrics?period=7d", { credential: admin });
    expect(week.body.calls.allowed).toBe(5);
    expect(week.body.tokens.issued).toBe(3);
  });

  test("of nothing are nothing, and no rates", async () => {
    const { body } = await send("GET", "/v1/metrics", { credential: (await newTenant()).admin });
    expect(body).toMatchObject({
      period: "3600s",
      calls: { allowed: 0, denial_rate: null },
      connections: [],
    });
    expect(body.tokens.unused_rate).toBeNull();
  });

  test("of more than is looked through for one answer say from when on they are", async () => {
    const tenantId = newId("tenant");
    const time = Date.now() - 2 * HOUR_MS;
    await log.append(tenantId, events(1, { timestamp: new Date(time).toISOString() }));
    await runInDurableObject(ledgerOf(tenantId), (_object, { storage }) => {
      fillLedger(storage, { rows: 8_000, idsPerRow: 1, time: time + 1 });
    });
    const end = Date.now() + 1;
    const { complete, from, calls } = await measured(tenantId, time - HOUR_MS, end);
    expect([complete, from, calls.allowed]).toEqual([false, end, 0]);
  });

  test("a period that is none is refused", async () => {
    const { admin } = await newTenant();
    for (const period of ["", "0h", "8d", "30s", "1w", "1h1"]) {
      const { status, body } = await send("GET", `/v1/metrics?period=${period}`, { credential: admin });
      expect([status, body.error.code], period).toEqual([400, "VALIDATION_ERROR"]);
    }
  });
});
