import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import type { Jurisdiction } from "../base/jurisdiction.ts";
import { permissionEvent } from "./permission-events.ts";
import { lateRows, movePermission } from "./permission-rows.ts";

const AT_ONCE = 200;

/** For cron: permissions that time has ended. Bounded; what is left is taken up the next time. */
export async function sweepPermissions(parts: {
  readonly db: Database;
  readonly jurisdiction: Jurisdiction | null;
  readonly clock: Clock;
  readonly flush: (tenantId: TenantId) => Promise<void>;
}): Promise<void> {
  const { db, jurisdiction, clock, flush } = parts;
  const late = await lateRows(db, jurisdiction, clock(), AT_ONCE);
  for (const [tenantId, rows] of Map.groupBy(late, (row) => row.tenantId)) {
    for (const row of rows) {
      const to = { status: "expired", decidedAt: row.decidedAt ?? row.expiresAt } as const;
      await movePermission(
        db,
        row,
        ["pending", "approved"],
        to,
        permissionEvent(null, row.expiresAt, "expired", row),
      );
    }
    await flush(tenantId);
  }
}
