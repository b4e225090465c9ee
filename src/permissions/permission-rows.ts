import { and, desc, eq, gt, inArray, isNull, lt, lte, or, type SQL, sql } from "drizzle-orm";
import { z } from "zod";
import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent } from "../audit/event.ts";
import { auditOutbox } from "../audit/tables.ts";
import { failedOn } from "../base/constraint-failure.ts";
import type { Database } from "../base/database.ts";
import { type AgentId, idSchema, type PermissionId, type TenantId } from "../base/ids.ts";
import { decodeCursor, encodeCursor } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { PermissionListQuery } from "./schemas.ts";
import { permissions, type StoredStatus } from "./tables.ts";

export type PermissionRow = typeof permissions.$inferSelect;
export type NewPermission = Omit<typeof permissions.$inferInsert, "tenantId">;

const cursorSchema = z.tuple([z.number().int(), idSchema("permission")]);

/** Throws NOT_FOUND, also for another agent's where an agent asks. */
export async function getPermission(
  db: Database,
  tenantId: TenantId,
  agentId: AgentId | null,
  id: PermissionId,
): Promise<PermissionRow> {
  const [row] = await db.of(tenantId).onPrimary().select().from(permissions).where(eq(permissions.id, id));
  if (row === undefined || (agentId !== null && row.agentId !== agentId)) {
    throw new Problem("NOT_FOUND", "There is no such permission.");
  }
  return row;
}

/** The agent's same request, where it waits, may be collected, or was denied a moment ago; the newest. */
export async function findSame(
  db: Database,
  tenantId: TenantId,
  agentId: AgentId,
  digest: string,
  now: number,
): Promise<PermissionRow | null> {
  const [row] = await db
    .of(tenantId)
    .onPrimary()
    .select()
    .from(permissions)
    .where(
      and(
        eq(permissions.agentId, agentId),
        eq(permissions.digest, digest),
        inArray(permissions.status, ["pending", "approved", "denied"]),
        isNull(permissions.collectedAt),
        gt(permissions.expiresAt, now),
      ),
    )
    .orderBy(desc(permissions.createdAt))
    .limit(1);
  return row ?? null;
}

/** Newest first; of an agent, or of all. */
export async function listPermissions(
  db: Database,
  tenantId: TenantId,
  query: PermissionListQuery,
  now: number,
): Promise<{ readonly rows: readonly PermissionRow[]; readonly nextCursor: string | null }> {
  const after = query.cursor === undefined ? undefined : decodeCursor(query.cursor, cursorSchema);
  const found = await db
    .of(tenantId)
    .select()
    .from(permissions)
    .where(
      and(
        query.agent === undefined ? undefined : eq(permissions.agentId, query.agent),
        mayBe(query.status, now),
        after &&
          or(
            lt(permissions.createdAt, after[0]),
            and(eq(permissions.createdAt, after[0]), lt(permissions.id, after[1])),
          ),
      ),
    )
    .orderBy(desc(permissions.createdAt), desc(permissions.id))
    .limit(query.limit + 1);
  const rows = found.slice(0, query.limit);
  const last = rows.at(-1);
  const more = found.length > query.limit && last !== undefined;
  return { rows, nextCursor: more ? encodeCursor([last.createdAt, last.id]) : null };
}

/** What is stored of those that may have a status; which of them do, their desk and their tokens know. */
function mayBe(status: PermissionListQuery["status"], now: number): SQL | undefined {
  const isOpen = inArray(permissions.status, ["pending", "approved"]);
  switch (status) {
    case undefined:
      return undefined;
    case "pending":
      return and(eq(permissions.status, "pending"), gt(permissions.expiresAt, now));
    case "approved":
      return and(isOpen, gt(permissions.expiresAt, now));
    default:
      return or(eq(permissions.status, status), isOpen);
  }
}

/** Written with its event, or not at all. */
export async function insertPermission(
  db: Database,
  tenantId: TenantId,
  row: NewPermission,
  events: readonly AuditEvent[],
): Promise<void> {
  const own = db.of(tenantId);
  await own.batch([
    own.insert(permissions).values(row),
    ...events.map((event) => own.insert(auditOutbox).values({ event: fitForOutbox(event) })),
  ]);
}

/** Whether an insert failed because the same is asked for already. */
export function isSame(error: unknown): boolean {
  return failedOn(error, "UNIQUE constraint failed: permissions.");
}

type Columns = Partial<Omit<PermissionRow, "id" | "tenantId">> & Pick<PermissionRow, "status">;

/**
 * Changes a permission that is still in one of these states, and not collected where `uncollected` says so; false where
 * it is not any more. The event is written only where it has become so; its id must be the happening's own, since the
 * ledger keeps one of each.
 */
export async function movePermission(
  db: Database,
  { id, tenantId }: Pick<PermissionRow, "id" | "tenantId">,
  from: readonly StoredStatus[],
  to: Columns,
  event: AuditEvent | null,
  uncollected = false,
): Promise<boolean> {
  const own = db.of(tenantId);
  const move = own
    .update(permissions)
    .set(to)
    .where(
      and(
        eq(permissions.id, id),
        inArray(permissions.status, [...from]),
        uncollected ? isNull(permissions.collectedAt) : undefined,
      ),
    )
    .returning({ id: permissions.id });
  if (event === null) return (await move).length > 0;
  // In SQL of its own: drizzle cannot put an `insert … select` with parameters into a batch.
  const client = own.$client;
  const { sql: text, params } = move.toSQL();
  const tell = client
    .prepare(
      `insert into audit_outbox (tenant_id, event)
       select ?1, ?2 where exists (select 1 from permissions where tenant_id = ?1 and id = ?3 and status = ?4)`,
    )
    .bind(tenantId, JSON.stringify(fitForOutbox(event)), id, to.status);
  const [moved] = await client.batch([client.prepare(text).bind(...params), tell]);
  return (moved?.results ?? []).length > 0;
}

/** Those that time has ended and nobody has looked at since. */
export async function lateRows(
  db: Database,
  jurisdiction: Parameters<Database["acrossTenants"]>[1],
  now: number,
  limit: number,
): Promise<readonly PermissionRow[]> {
  return db
    .acrossTenants("permissions that time has ended", jurisdiction)
    .select()
    .from(permissions)
    .where(and(sql`status in ('pending', 'approved')`, lte(permissions.expiresAt, now)))
    .limit(limit);
}
