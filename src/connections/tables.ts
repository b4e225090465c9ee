import { integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { ConnectionId, TenantId } from "../base/ids.ts";
import {
  type AllowRule,
  type ConnectionLimits,
  DEFAULT_REDACT,
  type RedactSettings,
  type ReferencePlace,
} from "./schemas.ts";

export const connections = sqliteTable(
  "connections",
  {
    id: text().$type<ConnectionId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    slug: text().notNull(),
    /** Catalogue id, or null for a connection of one's own. */
    provider: text(),
    baseUrl: text().notNull(),
    credential: text({ mode: "json" }).$type<Readonly<Record<string, unknown>>>().notNull(),
    /** Secret paths by the name the credential kind gives them. */
    secrets: text({ mode: "json" }).$type<Readonly<Record<string, string>>>().notNull(),
    /** null: every method and path below the base URL. */
    allow: text({ mode: "json" }).$type<readonly AllowRule[]>(),
    limits: text({ mode: "json" }).$type<ConnectionLimits>().notNull(),
    references: text({ mode: "json" }).$type<readonly ReferencePlace[]>().notNull(),
    websockets: integer({ mode: "boolean" }).notNull(),
    redact: text({ mode: "json" }).$type<RedactSettings>().notNull().default(DEFAULT_REDACT),
    default: text().$type<"allow" | "deny">().notNull(),
    createdAt: integer().notNull(),
    /** Goes up with every change of the row: changes are made to the row that was read, or not at all. */
    updatedAt: integer().notNull(),
  },
  (table) => [uniqueIndex("connections_slug").on(table.tenantId, table.slug)],
);
