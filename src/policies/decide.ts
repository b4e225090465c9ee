import { type Activation, type Condition, holds } from "./condition.ts";
import type { Policy } from "./policy.ts";
import type { PolicyRef, PolicyVerdict } from "./verdict.ts";

/** A policy that may apply, ready to be asked. */
export interface ReadyPolicy {
  readonly policy: Policy;
  readonly ref: PolicyRef;
  /** Null: always. `broken`: what is stored is no condition any more; asking it is an error. */
  readonly condition: Condition | "broken" | null;
}

/** The policies that may apply, each kind in order of id. */
export interface ReadyPolicies {
  readonly deny: readonly ReadyPolicy[];
  readonly require_approval: readonly ReadyPolicy[];
  readonly allow: readonly ReadyPolicy[];
}

/**
 * An explicit deny wins, then require_approval, then allow. A policy that cannot be evaluated denies, requires
 * approval, and allows nothing (fail closed).
 */
export function decide(ready: ReadyPolicies, activation: Activation): PolicyVerdict {
  return (
    denied(ready.deny, activation) ??
    approvalRequired(ready.require_approval, activation) ??
    allowed(ready.allow, activation) ?? { kind: "none" }
  );
}

type Answer = "yes" | "no" | "error";

function ask({ condition, policy }: ReadyPolicy, activation: Activation): Answer {
  if (condition === null) return "yes";
  if (condition === "broken") return "error";
  const result = holds(condition, policy.effect, activation);
  if (result.kind === "error") return "error";
  return result.value ? "yes" : "no";
}

/** One that matched says more to the agent than one that could not be evaluated. */
function denied(policies: readonly ReadyPolicy[], activation: Activation): PolicyVerdict | null {
  let failed: ReadyPolicy | null = null;
  for (const policy of policies) {
    const answer = ask(policy, activation);
    if (answer === "yes") return { kind: "deny", policy: policy.ref, cause: "matched" };
    if (answer === "error") failed ??= policy;
  }
  return failed === null ? null : { kind: "deny", policy: failed.ref, cause: "error" };
}

function approvalRequired(policies: readonly ReadyPolicy[], activation: Activation): PolicyVerdict | null {
  const asking = policies.filter((policy) => ask(policy, activation) !== "no");
  if (asking.length === 0) return null;
  return {
    kind: "require_approval",
    policies: asking.map(({ ref }) => ref),
    approvals: Math.max(...asking.map(({ policy }) => policy.approvals)),
    delaySeconds: Math.max(...asking.map(({ policy }) => policy.delaySeconds)),
  };
}

function allowed(policies: readonly ReadyPolicy[], activation: Activation): PolicyVerdict | null {
  const policy = policies.find((candidate) => ask(candidate, activation) === "yes");
  return policy === undefined ? null : { kind: "allow", policy: policy.ref };
}
