import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { readSecretUse } from "../connections/secret-use.ts";
import { readApprovalDelay } from "../vault/approval-delay.ts";
import { readStrictSecrets } from "../vault/strict-secrets.ts";
import { type Reached, reachOf } from "./reach.ts";

/** What is looked through for what scopes reach. */
const MAX_STRICT_SECRETS = 5_000;
const MAX_CONNECTIONS = 5_000;

/** What scopes reach of a tenant's secrets as they are now. */
export interface ReachedNow extends Reached {
  /** It holds at this epoch of the tenant's. */
  readonly epoch: number;
  /** How long what is critical of it waits after its last approval; 0 where nothing is. */
  readonly delaySeconds: number;
}

/** As `reachOf`, from the primary. */
export async function readReach(
  db: Database,
  tenantId: TenantId,
  scopes: readonly string[],
): Promise<ReachedNow> {
  const { epoch, value: strict } = await readStrictSecrets(db, tenantId, MAX_STRICT_SECRETS);
  const uses = strict?.length === 0 ? [] : await readSecretUse(db, tenantId, MAX_CONNECTIONS);
  const reached = reachOf(scopes, strict, uses);
  const critical = (reached.secrets ?? []).filter(({ tier }) => tier === "critical");
  const paths = critical.map(({ path }) => path);
  const delaySeconds = reached.tier === "critical" ? await readApprovalDelay(db, tenantId, paths) : 0;
  return { ...reached, epoch, delaySeconds };
}
