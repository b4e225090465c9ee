import { and, eq, isNotNull, isNull, lte, sql } from "drizzle-orm";
import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent, EventType } from "../audit/event.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Clock } from "../base/clock.ts";
import type { Database, Statement } from "../base/database.ts";
import { newId, type TenantId } from "../base/ids.ts";
import type { Jurisdiction } from "../base/jurisdiction.ts";
import { tenantRow } from "../base/tenant-epoch.ts";
import { DAY_MS, secretSettings } from "../base/tenant-settings.ts";
import type { SecretRow } from "./sealed-secret.ts";
import { eraseVersions, isConflict, purgeStatements, updateUnchanged } from "./secret-rows.ts";
import { secrets, secretVersions } from "./tables.ts";

const SECRETS_AT_ONCE = 100;
const VERSIONS_AT_ONCE = 500;

interface Parts {
  readonly db: Database;
  /** Whose secrets; null: those of tenants without one. */
  readonly jurisdiction: Jurisdiction | null;
  readonly clock: Clock;
  /** Brings a tenant's waiting events to the ledger. */
  readonly flush: (tenantId: TenantId) => Promise<void>;
}

/**
 * What time does to secrets: tells the ledger once of each that has expired, takes the versions of those out of D1
 * whose time to be restored is over, and single versions that their tenants keep no longer. None of it is what calls
 * are decided on. Bounded; what is left is taken up the next time.
 */
export async function sweepSecrets(parts: Parts): Promise<void> {
  const touched = new Set<TenantId>();
  for (const part of [recordExpired, purgeDeleted, pruneVersions]) {
    for (const tenantId of await part(parts)) touched.add(tenantId);
  }
  for (const tenantId of touched) await parts.flush(tenantId);
}

async function recordExpired({ db, clock, jurisdiction }: Parts): Promise<readonly TenantId[]> {
  const now = clock();
  const expired = await db
    .acrossTenants("secrets that have expired", jurisdiction)
    .select()
    .from(secrets)
    .where(
      and(
        isNotNull(secrets.expiresAt),
        isNull(secrets.expiryRecordedAt),
        lte(secrets.expiresAt, now),
        isNull(secrets.deletedAt),
      ),
    )
    .limit(SECRETS_AT_ONCE);
  for (const secret of expired) {
    const at = new Date(secret.expiresAt ?? now).toISOString();
    const event = swept(now, "secret.expired", secret.path, {
      version: secret.currentVersion,
      expired_at: at,
    });
    await write(db, secret.tenantId, [updateUnchanged(db, secret, { expiryRecordedAt: now })], event);
  }
  return expired.map(({ tenantId }) => tenantId);
}

async function purgeDeleted({ db, clock, jurisdiction }: Parts): Promise<readonly TenantId[]> {
  const now = clock();
  const due = await db
    .acrossTenants("deleted secrets that cannot be restored any more", jurisdiction)
    .select()
    .from(secrets)
    .where(and(isNotNull(secrets.purgeAt), lte(secrets.purgeAt, now), isNotNull(secrets.deletedAt)))
    .limit(SECRETS_AT_ONCE);
  for (const secret of due) {
    const event = swept(now, "secret.purged", secret.path, {
      secret_id: secret.id,
      version: secret.currentVersion,
      deleted_at: new Date(secret.deletedAt ?? now).toISOString(),
    });
    await write(db, secret.tenantId, purgeStatements(db, secret, now), event);
  }
  return due.map(({ tenantId }) => tenantId);
}

async function pruneVersions({ db, clock, jurisdiction }: Parts): Promise<readonly TenantId[]> {
  const now = clock();
  const kept = secretSettings(undefined).version_retention;
  const said = (what: "keep" | "days") =>
    sql`coalesce(json_extract(${tenantRow.settings}, ${`$.version_retention.${what}`}), ${kept[what]})`;
  const old = await db
    .acrossTenants("versions that their tenants keep no longer", jurisdiction)
    .select({
      id: secretVersions.id,
      version: secretVersions.version,
      path: secrets.path,
      secretId: secrets.id,
      tenantId: secrets.tenantId,
    })
    .from(secrets)
    .innerJoin(tenantRow, eq(tenantRow.id, secrets.tenantId))
    .innerJoin(secretVersions, eq(secretVersions.secretId, secrets.id))
    .where(
      and(
        lte(secretVersions.version, sql`${secrets.currentVersion} - ${said("keep")}`),
        lte(secretVersions.createdAt, sql`${now} - ${said("days")} * ${DAY_MS}`),
      ),
    )
    .limit(VERSIONS_AT_ONCE);
  const bySecret = new Map<string, typeof old>();
  for (const row of old) bySecret.set(row.secretId, [...(bySecret.get(row.secretId) ?? []), row]);
  for (const rows of bySecret.values()) {
    const [first] = rows;
    if (first === undefined) continue;
    const ids = rows.map(({ id }) => id);
    const versions = rows.map(({ version }) => version).toSorted((a, b) => a - b);
    const event = swept(now, "secret.pruned", first.path, { versions });
    await write(db, first.tenantId, eraseVersions(db, first.tenantId, ids), event);
  }
  return old.map(({ tenantId }) => tenantId);
}

/** All or nothing; where somebody changed the secret meanwhile nothing, and the next sweep looks again. */
async function write(
  db: Database,
  tenantId: TenantId,
  statements: readonly Statement[],
  event: AuditEvent,
): Promise<void> {
  const own = db.of(tenantId);
  try {
    await own.batch([own.insert(auditOutbox).values({ event: fitForOutbox(event) }), ...statements]);
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
}

function swept(
  now: number,
  eventType: Extract<EventType, `secret.${string}`>,
  path: SecretRow["path"],
  context: AuditEvent["context"],
): AuditEvent {
  return {
    id: newId("event"),
    event_type: eventType,
    resource_type: "secret",
    resource: path,
    actor: "system",
    ip_address: null,
    user_agent: null,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
    context,
  };
}
