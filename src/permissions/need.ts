import type { SecretTier } from "../identity/approval-need.ts";
import type { PolicyRef } from "../policies/verdict.ts";

/** Who has to agree to a permission. */
export interface Need {
  /** So many people; 0: nobody. */
  readonly approvals: number;
  readonly delaySeconds: number;
  /** The strictest that its calls reach; null: it makes none. */
  readonly tier: SecretTier | null;
  /** Policies that asked for people. */
  readonly policies: readonly PolicyRef[];
  /** What it was decided on holds at this epoch of the tenant's. */
  readonly epoch: number;
  /** All that it rests on: where any of that changes, what people approved is void (attack 79). */
  readonly basis: Readonly<Record<string, unknown>>;
}
