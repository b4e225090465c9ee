import { eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type Database, openDatabase, type Statement } from "./database.ts";
import type { AtEpoch } from "./epoch-cache.ts";
import type { TenantId } from "./ids.ts";

/** What every room may read of a tenant beside its own rows; the table itself is identity's. */
export const tenantRow = sqliteTable("tenants", {
  id: text().$type<TenantId>().primaryKey(),
  epoch: integer().notNull(),
  settings: text({ mode: "json" }).$type<{ readonly reveal: "allow" | "deny" }>().notNull(),
});

/** A session has the two methods of a database that drizzle calls: `prepare` and `batch`. */
function primaryOf(db: Database): Database {
  return openDatabase(db.$client.withSession("first-primary") as unknown as D1Database);
}

function selectEpoch(db: Database, tenantId: TenantId) {
  return db.select({ epoch: tenantRow.epoch }).from(tenantRow).where(eq(tenantRow.id, tenantId));
}

/**
 * Runs one query of a tenant's configuration and reads the epoch it holds at, in one batch on the primary. The epoch
 * of a tenant that is not there is 0, so that nobody takes it for current.
 */
export async function readAtEpoch<Q extends Statement>(
  db: Database,
  tenantId: TenantId,
  query: (primary: Database) => Q,
): Promise<AtEpoch<Q["_"]["result"]>> {
  const primary = primaryOf(db);
  const [epochs, value] = await primary.batch([selectEpoch(primary, tenantId), query(primary)]);
  return { epoch: epochs[0]?.epoch ?? 0, value };
}
