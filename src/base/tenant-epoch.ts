import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Database, Statement, TenantDatabase } from "./database.ts";
import type { AtEpoch } from "./epoch-cache.ts";
import type { TenantId } from "./ids.ts";
import type { StoredSecretSettings } from "./tenant-settings.ts";

/** What every room may read of a tenant beside its own rows; the table itself is identity's. */
export const tenantRow = sqliteTable("tenants", {
  id: text().$type<TenantId>().primaryKey(),
  epoch: integer().notNull(),
  settings: text({ mode: "json" })
    .$type<StoredSecretSettings & { readonly reveal: "allow" | "deny" }>()
    .notNull(),
});

/**
 * Runs one query of a tenant's configuration and reads the epoch it holds at, in one batch on the primary. The epoch
 * of a tenant that is not there is 0, so that nobody takes it for current.
 */
export async function readAtEpoch<Q extends Statement>(
  db: Database,
  tenantId: TenantId,
  query: (primary: TenantDatabase) => Q,
): Promise<AtEpoch<Q["_"]["result"]>> {
  const primary = db.of(tenantId).onPrimary();
  const epoch = primary.select({ epoch: tenantRow.epoch }).from(tenantRow);
  const [epochs, value] = await primary.batch([epoch, query(primary)]);
  return { epoch: epochs[0]?.epoch ?? 0, value };
}
