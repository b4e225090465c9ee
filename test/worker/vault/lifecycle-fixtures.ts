import { eq } from "drizzle-orm";
import { auditOutbox } from "../../../src/audit/tables.ts";
import type { TenantId } from "../../../src/base/ids.ts";
import type { StoredSecretSettings } from "../../../src/base/tenant-settings.ts";
import type { Role } from "../../../src/identity/caller.ts";
import { tenants } from "../../../src/identity/tables.ts";
import { sweepSecrets } from "../../../src/vault/sweep-secrets.ts";
import { secretVersions } from "../../../src/vault/tables.ts";
import { database, db, door, memberOf, openVault, tokenOf } from "./fixtures.ts";

export const DAY = 86_400_000;

/** A tenant with settings of its own, doors for whoever calls, and the sweep of its hour. */
export async function openLife(settings: StoredSecretSettings = {}, reveal: "allow" | "deny" = "deny") {
  const opened = await openVault({ reveal });
  const { tenantId, time, vault } = opened;
  await db
    .update(tenants)
    .set({ settings: { reveal, ...settings } })
    .where(eq(tenants.id, tenantId));
  return {
    ...opened,
    as: (role: Role) => door(vault, memberOf(tenantId, role)),
    with: (...scopes: string[]) => door(vault, tokenOf(tenantId, ...scopes)),
    sweep: () =>
      sweepSecrets({ db: database, jurisdiction: null, clock: () => time.now, flush: async () => {} }),
    events: () => eventsOf(tenantId),
    /** Every sealed version that D1 has of this tenant. */
    sealed: () => db.select().from(secretVersions).where(eq(secretVersions.tenantId, tenantId)),
  };
}

async function eventsOf(tenantId: TenantId) {
  const rows = await db.select().from(auditOutbox).where(eq(auditOutbox.tenantId, tenantId));
  return rows.map(({ event }) => event);
}
