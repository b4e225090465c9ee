import { and, asc, eq, gt, sql } from "drizzle-orm";
import { failedOn } from "../base/constraint-failure.ts";
import type { Database, Statement } from "../base/database.ts";
import type { AtEpoch } from "../base/epoch-cache.ts";
import type { TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { readAtEpoch } from "../base/tenant-epoch.ts";
import type { Action } from "./action.ts";
import { actions } from "./tables.ts";

type ActionRow = typeof actions.$inferSelect;

function fromRow({ tenantId: _tenantId, content, ...row }: ActionRow): Action {
  return { ...content, ...row };
}

function toRow({ name, version, createdAt, updatedAt, ...content }: Action): Omit<ActionRow, "tenantId"> {
  return { name, version, createdAt, updatedAt, content };
}

/** An action and the epoch it holds at, from the primary; null where there is none. */
export async function readAction(
  db: Database,
  tenantId: TenantId,
  name: string,
): Promise<AtEpoch<Action | null>> {
  const { epoch, value } = await readAtEpoch(db, tenantId, (primary) =>
    primary.select().from(actions).where(eq(actions.name, name)),
  );
  return { epoch, value: value[0] === undefined ? null : fromRow(value[0]) };
}

/** Throws NOT_FOUND. */
export async function getAction(db: Database, tenantId: TenantId, name: string): Promise<Action> {
  const { value } = await readAction(db, tenantId, name);
  if (value === null) throw new Problem("NOT_FOUND", "There is no such action.");
  return value;
}

/** Those whose names come after one, by name. */
export async function listActions(
  db: Database,
  tenantId: TenantId,
  after: string,
  limit: number,
): Promise<readonly Action[]> {
  const rows = await db
    .of(tenantId)
    .select()
    .from(actions)
    .where(gt(actions.name, after))
    .orderBy(asc(actions.name))
    .limit(limit);
  return rows.map(fromRow);
}

export function insertAction(db: Database, tenantId: TenantId, action: Action): Statement {
  return db.of(tenantId).insert(actions).values(toRow(action));
}

export function updateAction(db: Database, tenantId: TenantId, before: Action, after: Action): Statement {
  return db
    .of(tenantId)
    .update(actions)
    .set(toRow(after))
    .where(and(eq(actions.name, before.name), eq(actions.version, before.version)));
}

export function deleteAction(db: Database, tenantId: TenantId, { name, version }: Action): Statement {
  return db
    .of(tenantId)
    .delete(actions)
    .where(and(eq(actions.name, name), eq(actions.version, version)));
}

/**
 * Makes its batch fail where the action is not the one that was read any more: it inserts the row again, which does
 * nothing while it is there, and cannot be done without the time that is looked up.
 */
export function unlessChanged(db: Database, tenantId: TenantId, action: Action): Statement {
  const createdAt = sql`(
    select created_at from actions
    where tenant_id = ${tenantId} and name = ${action.name} and version = ${action.version}
  )`;
  return db
    .of(tenantId)
    .insert(actions)
    .values({ ...toRow(action), createdAt })
    .onConflictDoNothing();
}

/** After an insert in its batch: makes it fail where the tenant would have more than `most`, by taking every version away. */
export function unlessTooMany(db: Database, tenantId: TenantId, most: number): Statement {
  return db
    .of(tenantId)
    .update(actions)
    .set({ version: sql`null` })
    .where(sql`(select count(*) from actions where tenant_id = ${tenantId}) > ${most}`);
}

/** Whether a batch failed because the name is taken. */
export function isTaken(error: unknown): boolean {
  return failedOn(error, "UNIQUE constraint failed: actions.");
}

/** Whether a batch failed on `unlessChanged`. */
export function isOvertaken(error: unknown): boolean {
  return failedOn(error, "NOT NULL constraint failed: actions.created_at");
}

/** Whether a batch failed on `unlessTooMany`. */
export function isTooMany(error: unknown): boolean {
  return failedOn(error, "NOT NULL constraint failed: actions.version");
}
