import type { AuditEvent } from "../audit/event.ts";
import type { Statement } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";

/** A tenant-wide revocation: every token issued at or before the change's epoch that matches is refused. */
export interface Watermark {
  readonly kind: "agent" | "secret" | "plaintext" | "connection" | "class" | "tenant";
  /**
   * Agent id; secret path (`secret`: whoever uses it, `plaintext`: whoever could read it); connection slug; a tier or
   * secret type; `"*"` for the tenant.
   */
  readonly key: string;
}

export interface Change {
  /** Run in one atomic D1 batch together with the epoch's step and the events. */
  readonly statements: readonly Statement[];
  /** At least one: no change without its line in the ledger. */
  readonly events: readonly AuditEvent[];
  readonly watermarks?: readonly Watermark[];
  readonly frozen?: boolean;
}

export interface ChangeResult {
  readonly epoch: number;
  /** Milliseconds since 1970 from which no call anywhere is decided on older configuration. */
  readonly effectiveAt: number;
}

/** How every room changes what a tenant has configured (design: "how a change reaches everyone"). */
export interface TenantChanges {
  /** Throws UNAVAILABLE if the gate cannot be reached: then nothing was changed. */
  apply(tenantId: TenantId, change: Change): Promise<ChangeResult>;
}
