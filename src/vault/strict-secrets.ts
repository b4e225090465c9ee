import { and, asc, gt, sql } from "drizzle-orm";
import type { Database } from "../base/database.ts";
import type { AtEpoch } from "../base/epoch-cache.ts";
import type { TenantId } from "../base/ids.ts";
import { readAtEpoch } from "../base/tenant-epoch.ts";
import type { AccessTier } from "./schemas.ts";
import { secrets } from "./tables.ts";

export interface StrictSecret {
  readonly path: string;
  readonly tier: Exclude<AccessTier, "standard">;
  /** The current one. */
  readonly version: number;
}

const ROWS_AT_ONCE = 1_000;

/**
 * A tenant's secrets above the standard tier, by path, from the primary, and the epoch they hold at or from after. Null
 * where there are more than `most`.
 */
export async function readStrictSecrets(
  db: Database,
  tenantId: TenantId,
  most: number,
): Promise<AtEpoch<readonly StrictSecret[] | null>> {
  const found: StrictSecret[] = [];
  let firstEpoch: number | null = null;
  for (let after = ""; ;) {
    const { epoch, value } = await readAtEpoch(db, tenantId, (primary) =>
      primary
        .select({ path: secrets.path, tier: secrets.accessTier, version: secrets.currentVersion })
        .from(secrets)
        // As it stands in the index of them, which is not used otherwise.
        .where(and(sql`access_tier <> 'standard' and deleted_at is null`, gt(secrets.path, after)))
        .orderBy(asc(secrets.path))
        .limit(ROWS_AT_ONCE),
    );
    firstEpoch ??= epoch;
    for (const { tier, ...row } of value) if (tier !== "standard") found.push({ ...row, tier });
    if (found.length > most) return { epoch: firstEpoch, value: null };
    const last = value.at(-1);
    if (last === undefined || value.length < ROWS_AT_ONCE) return { epoch: firstEpoch, value: found };
    after = last.path;
  }
}
