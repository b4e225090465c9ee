import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { AgentId, TenantId, TokenId } from "../base/ids.ts";
import type { Ancestor } from "./ancestor.ts";
import type { GrantedPermission } from "./permission.ts";
import type { CallRule, CallContext, Rate } from "./schemas.ts";

/**
 * The token index: what every issued token grants. A row is immutable but for `revokedAt` and `closedAt`, which are
 * housekeeping: whether a token is revoked or used up is asked of its own object.
 */
export const tokens = sqliteTable(
  "tokens",
  {
    id: text().$type<TokenId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    agentId: text().$type<AgentId>().notNull(),
    scopes: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    ipAllowlist: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    maxUses: integer(),
    rate: text({ mode: "json" }).$type<Rate>(),
    allow: text({ mode: "json" }).$type<readonly CallRule[]>(),
    tool: text(),
    user: text(),
    /** The thumbprint of the key it is bound to (RFC 9449); null: whoever holds it may use it. */
    jkt: text(),
    context: text({ mode: "json" }).$type<CallContext>().notNull(),
    /** Of a token that stands for a permission: what it is bound to. */
    permission: text({ mode: "json" }).$type<GrantedPermission>(),
    /** The tenant's epoch when it was issued: bulk revocation is a watermark over it. */
    epoch: integer().notNull(),
    issuedAt: integer().notNull(),
    expiresAt: integer().notNull(),
    /** Of a child: from which token it was made, and the one that an agent asked for. */
    parentId: text().$type<TokenId>(),
    rootId: text().$type<TokenId>(),
    ancestors: text({ mode: "json" }).$type<readonly Ancestor[]>().notNull().default([]),
    revokedAt: integer(),
    closedAt: integer(),
  },
  (table) => [
    index("tokens_tenant").on(table.tenantId, table.issuedAt),
    // Only what is still open: the sweep reads no history.
    index("tokens_expiry")
      .on(table.expiresAt)
      .where(sql`closed_at is null`),
    index("tokens_root")
      .on(table.tenantId, table.rootId, table.expiresAt)
      .where(sql`root_id is not null`),
  ],
);
