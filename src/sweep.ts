import { AuditLog } from "./audit/audit.ts";
import { auditOutbox } from "./audit/tables.ts";
import { systemClock } from "./base/clock.ts";
import { type Database, openDatabase } from "./base/database.ts";
import type { Jurisdiction } from "./base/jurisdiction.ts";
import type { TenantId, TokenId } from "./base/ids.ts";
import { forgetKeys } from "./identity/idempotency/keys.ts";
import { GatedChanges } from "./identity/tenant-changes.ts";
import type { GateObject } from "./identity/leases.ts";
import { sweepPeople } from "./identity/sweep-people.ts";
import { gateOf, tokenObjectOf } from "./objects.ts";
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
 * themselves, and does to permissions and secrets what time does (expiry, purge, retention). Bounded; what is left, or
 * fails, is taken up the next time.
 */
export async function sweep(env: Env, waitUntil: (promise: Promise<unknown>) => void): Promise<void> {
  const db = openDatabase(env);
  const audit = new AuditLog(env.AUDIT_LEDGER, env.ENVIRONMENT);
  const gate = (tenantId: TenantId): GateObject => gateOf(env, tenantId);
  const changes = new GatedChanges({ db, gate, audit, waitUntil });
  const object = (tokenId: TokenId) => tokenObjectOf(env, tokenId);
  const flush = (tenantId: TenantId): Promise<void> => changes.flush(tenantId);
  const clock = systemClock;
  for (const jurisdiction of db.jurisdictions) {
    const steps: Readonly<Record<string, () => Promise<unknown>>> = {
      outbox: () => flushAll(db, jurisdiction, flush),
      keys: () => forgetKeys(db, jurisdiction, clock()),
      changes: () => changes.forgetSettled(clock() - CHANGES_KEPT_MS, jurisdiction),
      revoked: () => tellRevoked({ db, jurisdiction, clock, object }),
      people: () => sweepPeople({ db, jurisdiction, clock }),
      permissions: () => sweepPermissions({ db, jurisdiction, clock, flush }),
      tokens: () => closeExpired({ db, jurisdiction, audit, clock, object }),
      secrets: () => sweepSecrets({ db, jurisdiction, clock, flush }),
      reveals: () => sweepRevealGrants({ db, jurisdiction, clock, flush }),
    };
    for (const [name, step] of Object.entries(steps))
      await step().catch((error: unknown) => tell(name, error));
  }
}

/** What fails is taken up the next time, and holds up nothing else. */
function tell(step: string, error: unknown): void {
  const name = error instanceof Error ? error.name : "unknown";
  console.error(JSON.stringify({ at: "sweep", step, error: name }));
}

async function flushAll(
  db: Database,
  jurisdiction: Jurisdiction | null,
  flush: (tenantId: TenantId) => Promise<void>,
): Promise<void> {
  const waiting = await db
    .acrossTenants("events that wait in the outbox", jurisdiction)
    .selectDistinct({ tenantId: auditOutbox.tenantId })
    .from(auditOutbox)
    .limit(100);
  for (const { tenantId } of waiting) await flush(tenantId);
}
