import { AuditLog } from "./audit/audit.ts";
import { auditOutbox } from "./audit/tables.ts";
import { systemClock } from "./base/clock.ts";
import { openDatabase } from "./base/database.ts";
import type { TenantId, TokenId } from "./base/ids.ts";
import { objectIdFor } from "./base/object-ids.ts";
import { forgetKeys } from "./identity/idempotency/keys.ts";
import { GatedChanges } from "./identity/tenant-changes.ts";
import type { GateObject } from "./identity/leases.ts";
import { sweepPeople } from "./identity/sweep-people.ts";
import { sweepPermissions } from "./permissions/sweep.ts";
import { closeExpired } from "./tokens/expiry.ts";
import { tellRevoked } from "./tokens/revoked.ts";
import { sweepRevealGrants } from "./vault/reveal-ends.ts";
import { sweepSecrets } from "./vault/sweep-secrets.ts";

/** So long D1 tells which changes have landed; a gate asks within a minute where anybody calls. */
const CHANGES_KEPT_MS = 3_600_000;

/**
 * The housekeeping that cron starts: brings waiting events to the ledger, clears away the marks of changes that have
 * long landed, tells tokens' objects again what is revoked, closes expired tokens whose objects never closed
 * themselves, and does to secrets what time does (expiry, purge, retention). Bounded; what is left is taken up the next time.
 */
export async function sweep(env: Env, waitUntil: (promise: Promise<unknown>) => void): Promise<void> {
  const db = openDatabase(env);
  const audit = new AuditLog(env.AUDIT_LEDGER, env.ENVIRONMENT);
  const gate = (tenantId: TenantId): GateObject =>
    env.TENANT_GATE.get(objectIdFor(env.TENANT_GATE, env.ENVIRONMENT, tenantId));
  const changes = new GatedChanges({ db, gate, audit, waitUntil });
  const object = (tokenId: TokenId) =>
    env.SCOPED_TOKEN.get(objectIdFor(env.SCOPED_TOKEN, env.ENVIRONMENT, tokenId));
  for (const jurisdiction of db.jurisdictions) {
    const waiting = await db
      .acrossTenants("events that wait in the outbox", jurisdiction)
      .selectDistinct({ tenantId: auditOutbox.tenantId })
      .from(auditOutbox)
      .limit(100);
    for (const { tenantId } of waiting) await changes.flush(tenantId);
    await forgetKeys(db, jurisdiction, systemClock());
    await changes.forgetSettled(systemClock() - CHANGES_KEPT_MS, jurisdiction);
    await tellRevoked({ db, jurisdiction, clock: systemClock, object });
    await sweepPeople({ db, jurisdiction, clock: systemClock });
    await sweepPermissions({
      db,
      jurisdiction,
      clock: systemClock,
      flush: (tenantId) => changes.flush(tenantId),
    });
    await closeExpired({ db, jurisdiction, audit, clock: systemClock, object });
    await sweepSecrets({
      db,
      jurisdiction,
      clock: systemClock,
      flush: (tenantId) => changes.flush(tenantId),
    });
    await sweepRevealGrants({
      db,
      jurisdiction,
      clock: systemClock,
      flush: (tenantId) => changes.flush(tenantId),
    });
  }
}
