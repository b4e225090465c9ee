import type { CallApprovals } from "../approvals/call-approvals.ts";
import type { AtEpoch } from "../base/epoch-cache.ts";
import type { Clock } from "../base/clock.ts";
import type { TenantId } from "../base/ids.ts";
import type { BudgetSet } from "../budgets/budget-set.ts";
import type { Connection } from "../connections/connection.ts";
import type { DestinationRules } from "../connections/destination.ts";
import type { Credentials } from "../credentials/obtain.ts";
import type { Leases } from "../identity/leases.ts";
import type { PolicySet } from "../policies/verdict.ts";
import type { Admission } from "../tokens/admission.ts";
import type { SealedSecret } from "../vault/vault.ts";
import type { Fetch } from "./forward.ts";
import type { HostMap } from "./hosts.ts";

/** What the call path works with; made by the composition root. */
export interface Gateway {
  readonly admission: Admission;
  readonly leases: Leases;
  readonly connections: {
    find(tenantId: TenantId, slug: string, epoch: number): Promise<AtEpoch<Connection | null>>;
  };
  readonly vault: {
    sealed(tenantId: TenantId, path: string, epoch: number): Promise<AtEpoch<SealedSecret | null>>;
  };
  readonly policies: {
    /** A tenant's policies at `epoch` or later. At hand, it asks nobody. */
    find(tenantId: TenantId, epoch: number): Promise<AtEpoch<PolicySet>>;
  };
  readonly budgets: {
    /** A tenant's budgets at `epoch` or later. At hand, it asks nobody. */
    find(tenantId: TenantId, epoch: number): Promise<AtEpoch<BudgetSet>>;
  };
  readonly approvals: CallApprovals;
  readonly credentials: Credentials;
  readonly hosts: HostMap;
  readonly rules: DestinationRules;
  /** Under which clients know the host that the call came in by, `https://host[:port]`. */
  readonly origin: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}
