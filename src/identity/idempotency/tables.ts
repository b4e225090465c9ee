import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { TenantId } from "../../base/ids.ts";

/** Writes that came with an `Idempotency-Key`, for 24 hours. Nothing in a row can be read without the deployment's keys. */
export const idempotencyKeys = sqliteTable(
  "idempotency_keys",
  {
    /** HMAC of the tenant, the caller, the operation and the key, hex: the key itself is not kept. */
    id: text().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    /** HMAC of what was sent, hex: bodies hold secrets. */
    requestDigest: text().notNull(),
    /** `unknown`: it failed in a way that does not tell whether anything was changed. */
    state: text().$type<"running" | "done" | "unknown">().notNull(),
    /** The sealed answer, once it is done. */
    answer: text(),
    /** Milliseconds since 1970. */
    createdAt: integer().notNull(),
  },
  (table) => [index("idempotency_keys_created").on(table.createdAt)],
);
