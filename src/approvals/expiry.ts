import { and, eq, inArray, lte } from "drizzle-orm";
import type { AuditEvent } from "../audit/event.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { ApprovalId, TenantId } from "../base/ids.ts";
import type { Jurisdiction } from "../base/jurisdiction.ts";
import { approvals } from "./tables.ts";

const AT_ONCE = 200;
const IDS_AT_ONCE = 40;

/** Writes down that nobody answered in time. Safe to do twice: the ledger keeps one event of an id. */
export async function markExpired(
  db: Database,
  tenantId: TenantId,
  ids: readonly ApprovalId[],
  now: number,
): Promise<void> {
  const own = db.of(tenantId);
  for (let start = 0; start < ids.length; start += IDS_AT_ONCE) {
    const some = ids.slice(start, start + IDS_AT_ONCE);
    await own.batch([
      own
        .update(approvals)
        .set({ status: "expired", decidedAt: now })
        .where(
          and(
            inArray(approvals.id, [...some]),
            eq(approvals.status, "pending"),
            lte(approvals.expiresAt, now),
          ),
        ),
      ...some.map((id) => own.insert(auditOutbox).values({ event: timedOut(id, now) })),
    ]);
  }
}

/** For cron: requests that nobody answered in time. Bounded; what is left is taken up the next time. */
export async function sweepApprovals(parts: {
  readonly db: Database;
  readonly jurisdiction: Jurisdiction | null;
  readonly clock: Clock;
  readonly flush: (tenantId: TenantId) => Promise<void>;
}): Promise<void> {
  const { db, jurisdiction, clock, flush } = parts;
  const now = clock();
  const late = await db
    .acrossTenants("requests for approval that nobody answered", jurisdiction)
    .select({ id: approvals.id, tenantId: approvals.tenantId })
    .from(approvals)
    .where(and(eq(approvals.status, "pending"), lte(approvals.expiresAt, now)))
    .limit(AT_ONCE);
  for (const [tenantId, rows] of Map.groupBy(late, (row) => row.tenantId)) {
    await markExpired(
      db,
      tenantId,
      rows.map(({ id }) => id),
      now,
    );
    await flush(tenantId);
  }
}

function timedOut(id: ApprovalId, now: number): AuditEvent {
  return {
    id: `${id}.timed_out`,
    event_type: "approval.timed_out",
    resource_type: "approval",
    resource: id,
    actor: "system",
    ip_address: null,
    user_agent: null,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
    context: {},
  };
}
