import { asc, gt } from "drizzle-orm";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { connections } from "./tables.ts";

export interface SecretUse {
  readonly slug: string;
  /** Paths. */
  readonly secrets: readonly string[];
  /** When the connection was last changed, in milliseconds since 1970. */
  readonly updatedAt: number;
}

const ROWS_AT_ONCE = 500;

/** Which secrets a tenant's connections use, by slug, from the primary; null where there are more than `most` connections. */
export async function readSecretUse(
  db: Database,
  tenantId: TenantId,
  most: number,
): Promise<readonly SecretUse[] | null> {
  const primary = db.of(tenantId).onPrimary();
  const found: SecretUse[] = [];
  for (let after = ""; ;) {
    const rows = await primary
      .select({ slug: connections.slug, secrets: connections.secrets, updatedAt: connections.updatedAt })
      .from(connections)
      .where(gt(connections.slug, after))
      .orderBy(asc(connections.slug))
      .limit(ROWS_AT_ONCE);
    found.push(...rows.map(({ secrets, ...row }) => ({ ...row, secrets: Object.values(secrets) })));
    if (found.length > most) return null;
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_AT_ONCE) return found;
    after = last.slug;
  }
}
