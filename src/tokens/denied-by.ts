import type { DeniedBy } from "../base/denied-by.ts";
import type { ChargeVerdict } from "./charge.ts";

/** The rule that a charge was refused by; undefined where it was none of the tenant's. */
export function deniedBy(verdict: ChargeVerdict): DeniedBy | undefined {
  if (verdict.kind !== "denied") return undefined;
  switch (verdict.reason) {
    case "tally":
      // Below the permission, where it is the token's object that says it (`Admission`).
      return { constraint: verdict.key.slice(verdict.key.indexOf(".") + 1) };
    case "budget":
      return { budget_id: verdict.budget.id, budget_name: verdict.budget.name };
    default:
      return undefined;
  }
}
