import { and, isNull, lte } from "drizzle-orm";
import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { type MemberId, newId, type TenantId } from "../base/ids.ts";
import type { Jurisdiction } from "../base/jurisdiction.ts";
import { revealGrants } from "./tables.ts";

type Row = typeof revealGrants.$inferSelect;

interface End {
  readonly row: Row;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Null: it ended by itself. */
  readonly endedBy: MemberId | null;
  readonly event: AuditEvent;
}

const AT_ONCE = 100;

/**
 * Ends grants, each with its event and once: one that has ended meanwhile stays as it is. `until`: what was over by then
 * by itself is not ended by anybody. In SQL of its own: drizzle has no guarded insert.
 */
export async function endRevealGrants(
  db: Database,
  tenantId: TenantId,
  until: number,
  ends: readonly End[],
): Promise<void> {
  const { $client: client } = db.of(tenantId);
  const open = "tenant_id = ?1 and id = ?2 and ended_at is null and (?3 is null or expires_at > ?3)";
  await client.batch(
    ends.flatMap(({ row, at, endedBy, event }) => {
      const notBefore = endedBy === null ? null : until;
      return [
        client
          .prepare(
            `insert into audit_outbox (tenant_id, event)
             select ?1, ?4 where exists (select 1 from reveal_grants where ${open})`,
          )
          .bind(tenantId, row.id, notBefore, JSON.stringify(event)),
        client
          .prepare(`update reveal_grants set ended_at = ?4, ended_by = ?5 where ${open}`)
          .bind(tenantId, row.id, notBefore, at, endedBy),
      ];
    }),
  );
}

/**
 * Tells the ledger of the grants that have ended by themselves; from then on they are of no use anyway. Bounded; what is
 * left is taken up the next time.
 */
export async function sweepRevealGrants(parts: {
  readonly db: Database;
  /** Of whose tenants; null: of those without one. */
  readonly jurisdiction: Jurisdiction | null;
  readonly clock: Clock;
  /** Brings a tenant's waiting events to the ledger. */
  readonly flush: (tenantId: TenantId) => Promise<void>;
}): Promise<void> {
  const { db, jurisdiction, flush } = parts;
  const now = parts.clock();
  const rows = await db
    .acrossTenants("grants to read plaintext that are over", jurisdiction)
    .select()
    .from(revealGrants)
    .where(and(isNull(revealGrants.endedAt), lte(revealGrants.expiresAt, now)))
    .limit(AT_ONCE);
  for (const tenantId of new Set(rows.map((row) => row.tenantId))) {
    const ends = rows
      .filter((row) => row.tenantId === tenantId)
      .map((row) => ({ row, at: row.expiresAt, endedBy: null, event: endedByItself(row) }));
    await endRevealGrants(db, tenantId, now, ends);
    await flush(tenantId);
  }
}

function endedByItself(row: Row): AuditEvent {
  return fitForOutbox({
    id: newId("event"),
    ...{ event_type: "reveal.ended", resource_type: "reveal_grant", resource: row.id, actor: "system" },
    ...{ ip_address: null, user_agent: null, outcome: "success" },
    timestamp: new Date(row.expiresAt).toISOString(),
    context: {
      ...{ member_id: row.memberId, path: row.pattern, reason: row.reason },
      was: row.startsAt === null ? "pending" : "active",
    },
  });
}
