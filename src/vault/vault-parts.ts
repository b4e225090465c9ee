import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import type { TenantChanges } from "../identity/changes.ts";
import type { KeyProvider } from "./kms/key-provider.ts";

/** What the vault and the rooms of it are made from. */
export interface VaultParts {
  readonly db: Database;
  readonly keys: KeyProvider;
  readonly changes: TenantChanges;
  readonly clock: Clock;
  readonly waitUntil: (promise: Promise<unknown>) => void;
  /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
  readonly onEvents: (tenantId: TenantId) => void;
}
