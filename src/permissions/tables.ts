import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { AgentId, ApprovalId, PermissionId, TenantId, TokenId } from "../base/ids.ts";
import type { GrantedPermission } from "../tokens/permission.ts";
import type { ActionContent } from "./action.ts";
import type { Scope } from "./constraint-values.ts";

/** What may be permitted, declared once. */
export const actions = sqliteTable(
  "actions",
  {
    tenantId: text().$type<TenantId>().notNull(),
    name: text().notNull(),
    /** Changes are made to the version that was read, or not at all. */
    version: integer().notNull(),
    content: text({ mode: "json" }).$type<ActionContent>().notNull(),
    createdAt: integer().notNull(),
    updatedAt: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.name] })],
);

/**
 * `approved`: the token may be had, or was had and may be used. Whether it is used up is asked of its object; `used` and
 * `expired` are written down once somebody saw it.
 */
export type StoredStatus = "pending" | "approved" | "denied" | "expired" | "revoked" | "used";

/** What was asked for, as it was. */
export interface AskedPermission {
  readonly scope: Scope;
  readonly ttlSeconds: number | null;
  readonly maxUses: number | null;
  /** The thumbprint of the key that its token is bound to (RFC 7638); left out: none. */
  readonly jkt?: string;
}

/** Requests for permissions, and what became of them. All times are milliseconds since 1970. */
export const permissions = sqliteTable(
  "permissions",
  {
    id: text().$type<PermissionId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    agentId: text().$type<AgentId>().notNull(),
    action: text().notNull(),
    actionVersion: integer().notNull(),
    resource: text(),
    template: text(),
    asked: text({ mode: "json" }).$type<AskedPermission>().notNull(),
    /** What is granted, or would be: no more than was asked for. */
    scope: text({ mode: "json" }).$type<Scope>().notNull(),
    ttlSeconds: integer().notNull(),
    maxUses: integer().notNull(),
    /** The same as constraints on fields: what its token is bound to. */
    granted: text({ mode: "json" }).$type<GrantedPermission>().notNull(),
    /** In what it is narrower than asked for. */
    narrowedFields: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    context: text({ mode: "json" }).$type<Readonly<Record<string, unknown>>>().notNull(),
    /** SHA-256 of all that is approved, in hex. */
    digest: text().notNull(),
    approvalsNeeded: integer().notNull(),
    delaySeconds: integer().notNull(),
    approvalId: text().$type<ApprovalId>(),
    ip: text(),
    status: text().$type<StoredStatus>().notNull(),
    /** Why it was denied. */
    reason: text(),
    /** The token that it gets, or got. */
    tokenId: text().$type<TokenId>().notNull(),
    /** When the token was handed out: once. */
    collectedAt: integer(),
    createdAt: integer().notNull(),
    decidedAt: integer(),
    /** Pending: too late for an answer. Denied: it may be asked for again. Approved: its token ends. */
    expiresAt: integer().notNull(),
  },
  (table) => [
    // The same is not asked for twice.
    uniqueIndex("permissions_open")
      .on(table.tenantId, table.agentId, table.digest)
      .where(sql`status in ('pending', 'approved') and collected_at is null`),
    index("permissions_tenant").on(table.tenantId, table.createdAt, table.id),
    index("permissions_digest").on(table.tenantId, table.agentId, table.digest, table.status),
    index("permissions_expiry")
      .on(table.expiresAt)
      .where(sql`status in ('pending', 'approved')`),
  ],
);
