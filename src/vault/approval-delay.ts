import { isNotNull } from "drizzle-orm";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { APPROVAL_DELAY_SECONDS } from "../base/tenant-settings.ts";
import { namespaceSettings } from "./tables.ts";

/**
 * How long what reaches secrets at these paths waits after its last approval, in seconds: of each the nearest namespace
 * that says so, of all the longest. From the primary.
 */
export async function readApprovalDelay(
  db: Database,
  tenantId: TenantId,
  paths: readonly string[],
): Promise<number> {
  const rows = await db
    .of(tenantId)
    .onPrimary()
    .select({ namespace: namespaceSettings.namespace, seconds: namespaceSettings.approvalDelaySeconds })
    .from(namespaceSettings)
    .where(isNotNull(namespaceSettings.approvalDelaySeconds));
  const settings = new Map(rows.map(({ namespace, seconds }) => [namespace, seconds ?? 0]));
  // Of how many there is no telling: whichever is longest.
  if (paths.length === 0) return Math.max(APPROVAL_DELAY_SECONDS, ...settings.values());
  return Math.max(...paths.map((path) => nearest(settings, path)));
}

function nearest(settings: ReadonlyMap<string, number>, path: string): number {
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    const seconds = settings.get(path.slice(0, end));
    if (seconds !== undefined) return seconds;
  }
  return APPROVAL_DELAY_SECONDS;
}
