import { integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { PolicyId, TenantId } from "../base/ids.ts";
import type { Policy } from "./policy.ts";
import type { PolicyEffect, PolicySubject } from "./verdict.ts";

export const policies = sqliteTable(
  "policies",
  {
    id: text().$type<PolicyId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    name: text().notNull(),
    description: text(),
    effect: text().$type<PolicyEffect>().notNull(),
    on: text().$type<PolicySubject>().notNull(),
    connections: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    condition: text(),
    approvals: integer().notNull(),
    delaySeconds: integer().notNull(),
    message: text(),
    enabled: integer({ mode: "boolean" }).notNull(),
    /** Goes up by one with every change of the row: changes are made to the row that was read, or not at all. */
    version: integer().notNull(),
    createdAt: integer().notNull(),
    updatedAt: integer().notNull(),
  },
  (table) => [uniqueIndex("policies_name").on(table.tenantId, table.name)],
);

/** What a policy said at each of its versions, since it was made. Rows are added, and stay when the policy goes. */
export const policyVersions = sqliteTable(
  "policy_versions",
  {
    tenantId: text().$type<TenantId>().notNull(),
    policyId: text().$type<PolicyId>().notNull(),
    version: integer().notNull(),
    /** Null: deleted with this version. */
    policy: text({ mode: "json" }).$type<PolicyContent>(),
    /** As the ledger names who changed it. */
    changedBy: text().notNull(),
    at: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.policyId, table.version] })],
);

/** What is written in a policy, without what it is called by and when. */
export type PolicyContent = Omit<Policy, "id" | "version" | "createdAt" | "updatedAt">;
