import { and, asc, eq, inArray, lte, sql } from "drizzle-orm";
import type { Database } from "../base/database.ts";
import type { SecretId, TenantId, VersionId } from "../base/ids.ts";
import { DAY_MS, type VersionRetention } from "../base/tenant-settings.ts";
import { chunks } from "./secret-rows.ts";
import { secrets, secretVersions } from "./tables.ts";

/** Of one secret at a time: what is left is taken up by the next write or the sweep. */
const AT_ONCE = 100;

export interface OldVersion {
  readonly id: VersionId;
  readonly secretId: SecretId;
  readonly version: number;
}

/** From when on a version may go (milliseconds since 1970); null: not before there are newer ones. */
export function keptUntil(
  { version, createdAt }: { readonly version: number; readonly createdAt: number },
  currentVersion: number,
  { keep, days }: VersionRetention,
): number | null {
  return version > currentVersion - keep ? null : createdAt + days * DAY_MS;
}

/** The versions of these secrets that go with their next one. */
export async function outgrown(
  db: Database,
  tenantId: TenantId,
  secretIds: readonly SecretId[],
  { keep, days }: VersionRetention,
  now: number,
): Promise<readonly OldVersion[]> {
  const found: OldVersion[] = [];
  for (const part of chunks(secretIds)) {
    const rows = await db
      .of(tenantId)
      .select({
        id: secretVersions.id,
        secretId: secretVersions.secretId,
        version: secretVersions.version,
      })
      .from(secretVersions)
      .innerJoin(secrets, eq(secrets.id, secretVersions.secretId))
      .where(
        and(
          inArray(secretVersions.secretId, part),
          lte(secretVersions.version, sql`${secrets.currentVersion} + 1 - ${keep}`),
          lte(secretVersions.createdAt, now - days * DAY_MS),
        ),
      )
      .orderBy(asc(secretVersions.version))
      .limit(AT_ONCE);
    found.push(...rows);
  }
  return found;
}
