import { env } from "cloudflare:workers";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { eq } from "drizzle-orm";
import { beforeEach, describe, expect, it } from "vitest";
import { AuditLog } from "../../../src/audit/audit.ts";
import type { AuditEvent } from "../../../src/audit/event.ts";
import { auditOutbox } from "../../../src/audit/tables.ts";
import { openDatabase } from "../../../src/base/database.ts";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import { tenants } from "../../../src/identity/tables.ts";
import { GatedChanges } from "../../../src/identity/tenant-changes.ts";

const bindings = env as Env;
const database = openDatabase(bindings);
const db = database.acrossTenants("what a test looks into");
const ledger = new AuditLog(bindings.AUDIT_LEDGER);

let tenantId: TenantId;
beforeEach(async () => {
  tenantId = newId("tenant");
  await db
    .insert(tenants)
    .values({ id: tenantId, name: "test", settings: { reveal: "deny" }, createdAt: Date.now() });
});

function event(context: Record<string, unknown> = {}): AuditEvent {
  return {
    id: newId("event"),
    event_type: "agent.updated",
    resource_type: "agent",
    resource: "test",
    actor: "member:test",
    ip_address: null,
    user_agent: null,
    outcome: "success",
    timestamp: new Date().toISOString(),
    context,
  };
}

/** What waits for the ledger, oldest first. */
async function waiting(): Promise<string[]> {
  const rows = await db
    .select()
    .from(auditOutbox)
    .where(eq(auditOutbox.tenantId, tenantId))
    .orderBy(auditOutbox.seq);
  return rows.map((row) => row.event.id);
}

async function inLedger(): Promise<string[]> {
  const { events } = await ledger.query(tenantId, {}, { limit: 1_000 });
  return events.map(({ id }) => id).toReversed();
}

/** Puts events straight into the outbox, as they were written before they were bounded. */
async function put(events: readonly AuditEvent[]): Promise<void> {
  for (const each of events) await db.insert(auditOutbox).values({ tenantId, event: each });
}

type Append = AuditLog["append"];

function changes(append: Append = (...args) => ledger.append(...args)) {
  const context = createExecutionContext();
  const made = new GatedChanges({
    db: database,
    gate: (id) => bindings.TENANT_GATE.get(bindings.TENANT_GATE.idFromName(id)),
    audit: { append },
    waitUntil: (promise) => context.waitUntil(promise),
  });
  return { made, settled: () => waitOnExecutionContext(context) };
}

describe("the outbox", () => {
  it("attack 89: 40 events of 0.9 MB are taken to the ledger, a bounded number of bytes at a time", async () => {
    const large = Array.from({ length: 40 }, (_, index) => event({ index, filler: "x".repeat(900_000) }));
    await put(large);
    const last = event();
    await put([last]);
    const batches: number[] = [];
    const { made } = changes((tenant, events, options) => {
      batches.push(JSON.stringify(events).length);
      return ledger.append(tenant, events, options);
    });
    for (let count = 0; count < 4 && (await waiting()).length > 0; count++) await made.flush(tenantId);
    expect(await waiting()).toEqual([]);
    expect(await inLedger()).toEqual([...large, last].map(({ id }) => id));
    expect(Math.max(...batches)).toBeLessThan(1_000_000);
  }, 30_000);

  it("is empty after one flush, however many small events wait", async () => {
    const rows = Array.from({ length: 450 }, () => event());
    for (let start = 0; start < rows.length; start += 25) {
      await db
        .insert(auditOutbox)
        .values(rows.slice(start, start + 25).map((each) => ({ tenantId, event: each })));
    }
    await changes().made.flush(tenantId);
    expect(await waiting()).toEqual([]);
    expect(await inLedger()).toEqual(rows.map(({ id }) => id));
  });

  it("takes fewer at a time where the ledger takes no more", async () => {
    const rows = Array.from({ length: 60 }, () => event());
    await put(rows);
    const sizes: number[] = [];
    const { made } = changes(async (tenant, events, options) => {
      sizes.push(events.length);
      return events.length > 20
        ? { ok: false, reason: "not_written" }
        : ledger.append(tenant, events, options);
    });
    await made.flush(tenantId);
    expect(await waiting()).toEqual([]);
    expect(await inLedger()).toEqual(rows.map(({ id }) => id));
    expect(sizes.slice(0, 3)).toEqual([60, 30, 15]);
  });

  it("drops no event that got the place of one which another flush has brought meanwhile", async () => {
    const [first, second] = [event(), event()];
    await put([first]);
    const { made } = changes(async (tenant, events, options) => {
      const answer = await ledger.append(tenant, events, options);
      if (events[0]?.id !== first.id) return answer;
      const [row] = await db.select().from(auditOutbox).where(eq(auditOutbox.tenantId, tenantId));
      await db.delete(auditOutbox).where(eq(auditOutbox.seq, row?.seq ?? 0));
      await db.insert(auditOutbox).values({ seq: row?.seq ?? 0, tenantId, event: second });
      return answer;
    });
    await made.flush(tenantId);
    await made.flush(tenantId);
    expect(await inLedger()).toEqual([first.id, second.id]);
    expect(await waiting()).toEqual([]);
  });

  it("keeps everything while the ledger is away, and asks a bounded number of times", async () => {
    const rows = Array.from({ length: 30 }, () => event());
    await put(rows);
    let asked = 0;
    const { made } = changes(async () => {
      asked++;
      return { ok: false, reason: "unreachable" };
    });
    await made.flush(tenantId);
    expect(await waiting()).toEqual(rows.map(({ id }) => id));
    expect(asked).toBeLessThan(10);
  });

  it("attack 89: a change writes of its events only what the ledger will keep", async () => {
    const written = event({
      first: "here",
      filler: "x".repeat(900_000),
      more: Array.from({ length: 5_000 }, (_, n) => n),
    });
    const { made, settled } = changes(async () => ({ ok: false, reason: "unreachable" }));
    await made.apply(tenantId, { statements: [], events: [written] });
    await settled();
    const [row] = await db.select().from(auditOutbox).where(eq(auditOutbox.tenantId, tenantId));
    expect(row?.event).toMatchObject({ id: written.id, context: { first: "here", truncated: true } });
    expect(JSON.stringify(row?.event).length).toBeLessThan(12_000);
  });
});
