import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { AuditEvent } from "./event.ts";
import type { TenantId } from "../base/ids.ts";

/**
 * Events of control-plane changes on their way to the ledger. Written in the same batch as the change, so that
 * neither is there without the other; removed once the ledger has acknowledged them.
 */
export const auditOutbox = sqliteTable("audit_outbox", {
  seq: integer().primaryKey(),
  tenantId: text().$type<TenantId>().notNull(),
  event: text({ mode: "json" }).$type<AuditEvent>().notNull(),
});
