import { asc, eq, gt, sql } from "drizzle-orm";
import { failedOn } from "../base/constraint-failure.ts";
import type { Database, Statement } from "../base/database.ts";
import type { AtEpoch } from "../base/epoch-cache.ts";
import type { BudgetId, TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { readAtEpoch } from "../base/tenant-epoch.ts";
import type { Budget } from "./budget.ts";
import { budgets } from "./tables.ts";

export type BudgetRow = typeof budgets.$inferSelect;

export function fromRow({ tenantId: _tenantId, ...budget }: BudgetRow): Budget {
  return budget;
}

/** Those that are enabled, and the epoch they hold at, from the primary. */
export async function readBudgets(db: Database, tenantId: TenantId): Promise<AtEpoch<readonly Budget[]>> {
  const { epoch, value } = await readAtEpoch(db, tenantId, (primary) =>
    primary.select().from(budgets).where(eq(budgets.enabled, true)).orderBy(asc(budgets.id)),
  );
  return { epoch, value: value.map(fromRow) };
}

/** Throws NOT_FOUND. */
export async function getRow(db: Database, tenantId: TenantId, id: BudgetId): Promise<BudgetRow> {
  const rows = await db.of(tenantId).select().from(budgets).where(eq(budgets.id, id));
  if (rows[0] === undefined) throw new Problem("NOT_FOUND", "There is no such budget.");
  return rows[0];
}

/** Those whose names come after one, by name. */
export async function listRows(
  db: Database,
  tenantId: TenantId,
  after: string,
  limit: number,
): Promise<readonly BudgetRow[]> {
  return db
    .of(tenantId)
    .select()
    .from(budgets)
    .where(gt(budgets.name, after))
    .orderBy(asc(budgets.name))
    .limit(limit);
}

export function insertRow(db: Database, tenantId: TenantId, budget: Budget): Statement {
  return db.of(tenantId).insert(budgets).values(budget);
}

export function updateRow(db: Database, row: BudgetRow, budget: Budget): Statement {
  return db.of(row.tenantId).update(budgets).set(budget).where(eq(budgets.id, row.id));
}

export function deleteRow(db: Database, row: BudgetRow): Statement {
  return db.of(row.tenantId).delete(budgets).where(eq(budgets.id, row.id));
}

/**
 * Makes its batch fail where the budget is not the one that was read any more: it inserts the row again, which does
 * nothing while it is there, and cannot be done without the time that is looked up.
 */
export function unlessChanged(db: Database, row: BudgetRow): Statement {
  const createdAt = sql`(
    select created_at from budgets
    where tenant_id = ${row.tenantId} and id = ${row.id} and updated_at = ${row.updatedAt}
  )`;
  return db
    .of(row.tenantId)
    .insert(budgets)
    .values({ ...row, createdAt })
    .onConflictDoNothing();
}

/** After an insertion in its batch: makes it fail where the tenant would have more budgets than `max`. */
export function unlessTooMany(db: Database, tenantId: TenantId, max: number): Statement {
  return db
    .of(tenantId)
    .update(budgets)
    .set({ name: sql`null` })
    .where(sql`(select count(*) from budgets where tenant_id = ${tenantId}) > ${max}`);
}

/** Whether a batch failed because the name is taken. */
export function isTaken(error: unknown): boolean {
  return failedOn(error, "UNIQUE constraint failed: budgets.");
}

/** Whether a batch failed on `unlessChanged`. */
export function isOvertaken(error: unknown): boolean {
  return failedOn(error, "NOT NULL constraint failed: budgets.created_at");
}

/** Whether a batch failed on `unlessTooMany`. */
export function isTooMany(error: unknown): boolean {
  return failedOn(error, "NOT NULL constraint failed: budgets.name");
}
