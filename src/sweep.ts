import { AuditLog } from "./audit/audit.ts";
import { auditOutbox } from "./audit/tables.ts";
import { systemClock } from "./base/clock.ts";
import { openDatabase } from "./base/database.ts";
import type { TenantId, TokenId } from "./base/ids.ts";
import { GatedChanges } from "./identity/tenant-changes.ts";
import type { GateObject } from "./identity/leases.ts";
import { closeExpired } from "./tokens/expiry.ts";
import { tellRevoked } from "./tokens/revoked.ts";

/** So long D1 tells which changes have landed; a gate asks within a minute where anybody calls. */
const CHANGES_KEPT_MS = 3_600_000;

/**
 * The housekeeping that cron starts: brings waiting events to the ledger, clears away the marks of changes that have
 * long landed, tells tokens' objects again what is revoked, and closes expired tokens whose objects never closed
 * themselves. Bounded; what is left is taken up the next time.
 */
export async function sweep(env: Env, waitUntil: (promise: Promise<unknown>) => void): Promise<void> {
  const db = openDatabase(env.DB);
  const audit = new AuditLog(env.AUDIT_LEDGER);
  const gate = (tenantId: TenantId): GateObject => env.TENANT_GATE.get(env.TENANT_GATE.idFromName(tenantId));
  const changes = new GatedChanges({ db, gate, audit, waitUntil });
  const waiting = await db.selectDistinct({ tenantId: auditOutbox.tenantId }).from(auditOutbox).limit(100);
  for (const { tenantId } of waiting) await changes.flush(tenantId);
  await changes.forgetSettled(systemClock() - CHANGES_KEPT_MS);
  const object = (tokenId: TokenId) => env.SCOPED_TOKEN.get(env.SCOPED_TOKEN.idFromName(tokenId));
  await tellRevoked({ db, clock: systemClock, object });
  await closeExpired({ db, audit, clock: systemClock, object });
}
