import type { AuditLog } from "../audit/audit.ts";
import type { AuditEvent } from "../audit/event.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";

const ROWS_AT_ONCE = 200;
/** What one hand-over holds at most, unless a single event is larger: an isolate and an RPC take only so much. */
const BYTES_AT_ONCE = 512 * 1024;
const ROUNDS = 20;
/** 200 rows halved so often are few; a ledger that is away costs about 10 s each time. */
const FAILURES = 5;

interface Row {
  readonly seq: number;
  readonly event: string;
}

/**
 * Brings a tenant's waiting events to the ledger, oldest first, and removes what it has acknowledged. Bounded: some
 * thousands of events. Takes half as many where the ledger did not take them, so that what it cannot take does not
 * hold up what stands before it. Throws where D1 does not answer; all that is left stays.
 */
export async function flushOutbox(
  db: Database,
  audit: Pick<AuditLog, "append">,
  tenantId: TenantId,
): Promise<void> {
  let atOnce = ROWS_AT_ONCE;
  let failures = 0;
  for (let round = 0; round < ROUNDS && failures < FAILURES; round++) {
    const rows = await oldest(db, tenantId, atOnce);
    if (rows.length === 0) return;
    const events = rows.map((row) => JSON.parse(row.event) as AuditEvent);
    const answer = await audit.append(tenantId, events, { redelivery: true });
    if (answer.ok) {
      await remove(db, tenantId, rows, events);
    } else {
      failures++;
      atOnce = Math.ceil(rows.length / 2);
    }
  }
}

// Both in SQL of their own: windows and JSON tables are beyond drizzle's builder.

async function oldest(db: Database, tenantId: TenantId, atOnce: number): Promise<readonly Row[]> {
  const { results } = await db
    .of(tenantId)
    .$client.prepare(
      `with waiting as (
         select seq, event, octet_length(event) as size from audit_outbox where tenant_id = ?1 order by seq limit ?2
       ), counted as (
         select seq, event, size, sum(size) over (order by seq) as upto from waiting
       )
       select seq, event from counted where upto <= ?3 or upto = size order by seq`,
    )
    .bind(tenantId, atOnce, BYTES_AT_ONCE)
    .all<Row>();
  return results;
}

/** By their ids as well: a sequence number whose row was removed meanwhile may have been given to another event. */
async function remove(
  db: Database,
  tenantId: TenantId,
  rows: readonly Row[],
  events: readonly AuditEvent[],
): Promise<void> {
  await db
    .of(tenantId)
    .$client.prepare(
      `delete from audit_outbox where tenant_id = ?1 and seq in (select value from json_each(?2))
       and event ->> '$.id' in (select value from json_each(?3))`,
    )
    .bind(tenantId, JSON.stringify(rows.map(({ seq }) => seq)), JSON.stringify(events.map(({ id }) => id)))
    .run();
}
