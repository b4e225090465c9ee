import { integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { BudgetId, TenantId } from "../base/ids.ts";
import type { Period } from "./period.ts";
import type { BudgetScope, Measure, PriceInput } from "./schemas.ts";

export const budgets = sqliteTable(
  "budgets",
  {
    id: text().$type<BudgetId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    name: text().notNull(),
    scope: text({ mode: "json" }).$type<BudgetScope>().notNull(),
    measure: text().$type<Measure>().notNull(),
    /** Calls, bytes, or millionths of the currency. */
    limit: integer().notNull(),
    currency: text(),
    period: text().$type<Period>().notNull(),
    maxBytesPerCall: integer(),
    prices: text({ mode: "json" }).$type<readonly PriceInput[]>(),
    enabled: integer({ mode: "boolean" }).notNull(),
    createdAt: integer().notNull(),
    /** Goes up with every change of the row: changes are made to the row that was read, or not at all. */
    updatedAt: integer().notNull(),
  },
  (table) => [uniqueIndex("budgets_name").on(table.tenantId, table.name)],
);
