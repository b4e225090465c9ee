import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { AgentId, MemberId, TenantId, WebhookId } from "../base/ids.ts";
import type { ReceiverSettings } from "./schemas.ts";
import type { StoredSigningSecret } from "./signing.ts";

/** Who is told of what happens. Times are milliseconds since 1970. */
export const webhooks = sqliteTable(
  "webhooks",
  {
    id: text().$type<WebhookId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    name: text(),
    /** Where it goes: `kind`, and what that kind needs. No secret. */
    settings: text({ mode: "json" }).$type<ReceiverSettings>().notNull(),
    events: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    /** Told of this agent's alone; null: of everybody's. */
    agentId: text().$type<AgentId>(),
    enabled: integer({ mode: "boolean" }).notNull(),
    /** `gone`: the receiver answered 410. Null where a person switched it off, and while it is on. */
    disabledReason: text().$type<"gone">(),
    /** Sealed, newest first; none but of the kind `webhook`. */
    secrets: text({ mode: "json" }).$type<readonly StoredSigningSecret[]>().notNull(),
    /** `https://host[:port]` under which its messages lead people back here. */
    origin: text().notNull(),
    createdAt: integer().notNull(),
    createdBy: text().$type<MemberId>().notNull(),
    updatedAt: integer().notNull(),
  },
  (table) => [index("webhooks_tenant").on(table.tenantId)],
);
