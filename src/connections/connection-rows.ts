import { asc, eq, gt, sql } from "drizzle-orm";
import { failedOn } from "../base/constraint-failure.ts";
import type { Database, Statement } from "../base/database.ts";
import type { AtEpoch } from "../base/epoch-cache.ts";
import type { TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { readAtEpoch } from "../base/tenant-epoch.ts";
import type { Connection } from "./connection.ts";
import { connections } from "./tables.ts";

export type ConnectionRow = typeof connections.$inferSelect;

export function fromRow({ tenantId: _tenantId, ...connection }: ConnectionRow): Connection {
  return connection;
}

/** A connection and the epoch it holds at, from the primary. */
export async function readConnection(
  db: Database,
  tenantId: TenantId,
  slug: string,
): Promise<AtEpoch<Connection | null>> {
  const { epoch, value } = await readAtEpoch(db, tenantId, (primary) =>
    primary.select().from(connections).where(eq(connections.slug, slug)),
  );
  return { epoch, value: value[0] === undefined ? null : fromRow(value[0]) };
}

/** Throws NOT_FOUND. */
export async function getRow(db: Database, tenantId: TenantId, slug: string): Promise<ConnectionRow> {
  const rows = await db.of(tenantId).select().from(connections).where(eq(connections.slug, slug));
  if (rows[0] === undefined) throw new Problem("NOT_FOUND", "There is no such connection.");
  return rows[0];
}

/** Those whose slugs come after one, by slug. */
export async function listRows(
  db: Database,
  tenantId: TenantId,
  after: string,
  limit: number,
): Promise<readonly ConnectionRow[]> {
  return db
    .of(tenantId)
    .select()
    .from(connections)
    .where(gt(connections.slug, after))
    .orderBy(asc(connections.slug))
    .limit(limit);
}

export function insertRow(db: Database, tenantId: TenantId, connection: Connection): Statement {
  return db.of(tenantId).insert(connections).values(connection);
}

export function updateRow(db: Database, row: ConnectionRow, connection: Connection): Statement {
  return db.of(row.tenantId).update(connections).set(connection).where(eq(connections.id, row.id));
}

export function deleteRow(db: Database, row: ConnectionRow): Statement {
  return db.of(row.tenantId).delete(connections).where(eq(connections.id, row.id));
}

/**
 * Makes its batch fail where the connection is not the one that was read any more: it inserts the row again, which
 * does nothing while it is there, and cannot be done without the time that is looked up.
 */
export function unlessChanged(db: Database, row: ConnectionRow): Statement {
  const createdAt = sql`(
    select created_at from connections
    where tenant_id = ${row.tenantId} and id = ${row.id} and updated_at = ${row.updatedAt}
  )`;
  return db
    .of(row.tenantId)
    .insert(connections)
    .values({ ...row, createdAt })
    .onConflictDoNothing();
}

/** Whether a batch failed because the slug is taken. */
export function isTaken(error: unknown): boolean {
  return failedOn(error, "UNIQUE constraint failed: connections.");
}

/** Whether a batch failed on `unlessChanged`. */
export function isOvertaken(error: unknown): boolean {
  return failedOn(error, "NOT NULL constraint failed: connections.created_at");
}
