import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { AgentId, AgentKeyId, MemberId, TenantId } from "../base/ids.ts";
import type { TenantSettings } from "./schemas.ts";

/** All times are milliseconds since 1970. */
export const tenants = sqliteTable("tenants", {
  id: text().$type<TenantId>().primaryKey(),
  name: text().notNull(),
  /** Goes up by one with every change to what the tenant has configured, in the same batch as the change. */
  epoch: integer().notNull().default(1),
  settings: text({ mode: "json" }).$type<TenantSettings>().notNull(),
  createdAt: integer().notNull(),
});

export const members = sqliteTable(
  "members",
  {
    id: text().$type<MemberId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    name: text().notNull(),
    role: text().$type<"admin" | "editor" | "viewer" | "auditor">().notNull(),
    /** True for a credential made for scripts: it can manage and never approve. */
    script: integer({ mode: "boolean" }).notNull(),
    /** HMAC of the credential with the deployment's pepper, hex. */
    digest: text().notNull().unique(),
    createdAt: integer().notNull(),
    revokedAt: integer(),
  },
  (table) => [index("members_tenant").on(table.tenantId)],
);

export const agents = sqliteTable(
  "agents",
  {
    id: text().$type<AgentId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    name: text().notNull(),
    description: text().notNull(),
    allowedNamespaces: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    allowedScopes: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    ipAllowlist: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    disabledAt: integer(),
    deletedAt: integer(),
    createdAt: integer().notNull(),
    updatedAt: integer().notNull(),
  },
  (table) => [index("agents_tenant").on(table.tenantId, table.id)],
);

export const agentKeys = sqliteTable(
  "agent_keys",
  {
    id: text().$type<AgentKeyId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    agentId: text()
      .$type<AgentId>()
      .notNull()
      .references(() => agents.id),
    digest: text().notNull().unique(),
    createdAt: integer().notNull(),
    revokedAt: integer(),
  },
  (table) => [index("agent_keys_agent").on(table.agentId)],
);

/** At most one row, id 1: the bootstrap credential is spent. Its primary key is what makes bootstrap happen once. */
export const bootstraps = sqliteTable("bootstraps", {
  id: integer().primaryKey(),
  tenantId: text().$type<TenantId>().notNull(),
  createdAt: integer().notNull(),
});

/**
 * That a change landed, and at which epoch: written in the change's own batch, so that the gate can settle by its id a
 * change whose maker died. Cleared away an hour later, once the gate has looked.
 */
export const gateChanges = sqliteTable(
  "gate_changes",
  {
    id: text().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    epoch: integer().notNull(),
    at: integer().notNull(),
  },
  (table) => [index("gate_changes_tenant").on(table.tenantId, table.at)],
);
