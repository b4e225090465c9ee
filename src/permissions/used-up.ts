import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import type { Grant } from "../tokens/grant.ts";
import { permissionEvent } from "./permission-events.ts";
import { getPermission, movePermission } from "./permission-rows.ts";

/**
 * Writes down that the last use of a permission was charged: its token's object forgets when it expires. Where this fails
 * it is written when somebody looks.
 */
export async function noteUsedUp(
  parts: {
    readonly db: Database;
    readonly clock: Clock;
    readonly onEvents: (tenantId: TenantId) => void;
  },
  { permission, tenantId, agentId }: Grant,
): Promise<void> {
  if (permission === null) return;
  const { db, clock, onEvents } = parts;
  try {
    const row = await getPermission(db, tenantId, agentId, permission.permissionId);
    // Outside of the gateway each use has had its line.
    const isTold = permission.calls === null;
    const event = isTold ? null : permissionEvent(null, clock(), "used", row, { max_uses: row.maxUses });
    await movePermission(db, row, ["approved"], { status: "used" }, event);
    onEvents(tenantId);
  } catch {
    console.error(JSON.stringify({ at: "permissions.used-up", tenant: tenantId, error: "left for later" }));
  }
}
