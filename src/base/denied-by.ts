import type { BudgetId, PolicyId } from "./ids.ts";

/**
 * Which of a tenant's rules refused something, as its event in the trail says beside the reason: ids and names, never a
 * secret, nor anything of what was asked for.
 */
export type DeniedBy =
  | {
      readonly policy_id: PolicyId;
      readonly policy_name: string;
      readonly policy_version: number;
      /** `unapprovable`: it wants people to approve what nobody can. */
      readonly policy_cause: "matched" | "error" | "unapprovable";
    }
  /** Of a permission, by its name; `calls`: the calls that it covers. */
  | { readonly constraint: string }
  | { readonly budget_id: BudgetId; readonly budget_name: string };
