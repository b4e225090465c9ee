import { AuditLog } from "./audit/audit.ts";
import { auditOutbox } from "./audit/tables.ts";
import { systemClock } from "./base/clock.ts";
import { openDatabase } from "./base/database.ts";
import type { TenantId } from "./base/ids.ts";
import { GatedChanges } from "./identity/tenant-changes.ts";
import type { GateObject } from "./identity/leases.ts";
import { closeExpired } from "./tokens/expiry.ts";

/**
 * The housekeeping that cron starts: brings waiting events to the ledger, and closes expired tokens whose objects
 * never closed themselves. Bounded; what is left is taken up the next time.
 */
export async function sweep(env: Env, waitUntil: (promise: Promise<unknown>) => void): Promise<void> {
  const db = openDatabase(env.DB);
  const audit = new AuditLog(env.AUDIT_LEDGER);
  const gate = (tenantId: TenantId): GateObject => env.TENANT_GATE.get(env.TENANT_GATE.idFromName(tenantId));
  const changes = new GatedChanges({ db, gate, audit, waitUntil });
  const waiting = await db.selectDistinct({ tenantId: auditOutbox.tenantId }).from(auditOutbox).limit(100);
  for (const { tenantId } of waiting) await changes.flush(tenantId);
  await closeExpired({
    db,
    audit,
    clock: systemClock,
    object: (tokenId) => env.SCOPED_TOKEN.get(env.SCOPED_TOKEN.idFromName(tokenId)),
  });
}
