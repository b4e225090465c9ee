import { Activation, compileCondition, holds } from "./condition.ts";
import type { Policy } from "./policy.ts";
import { policySetOf } from "./set.ts";
import type { PolicyEffect, PolicyFacts, PolicySet, PolicyVerdict } from "./verdict.ts";

/** Notices where something is looked at that is not known of a call. */
export class Tripwire {
  touched = false;

  /** For what is not known: throws, which is an error in the condition that looks. */
  get unknown(): never {
    this.touched = true;
    throw new Error("This is not known of the call.");
  }
}

/** A call, as much as is known of it. */
export interface TriedCall {
  readonly slug: string;
  /** Names that a condition cannot look at without asking for what is not known. */
  readonly unknownNames: readonly string[];
  facts(tripwire: Tripwire): PolicyFacts;
}

/** What one policy says of a call. */
export type Answer =
  | { readonly kind: "matched" | "passed" | "undecidable" }
  | { readonly kind: "error"; readonly error: string };

/** What policies say of a call together; `undecidable`: it depends on what is not known. */
export interface Outcome {
  readonly verdict: PolicyVerdict | { readonly kind: "undecidable" };
  /** In the order in which they were given, those that passed left out. */
  readonly answers: readonly { readonly policy: Policy; readonly answer: Answer }[];
}

/** Steps (cost.ts) of all conditions on all calls of a trial. */
const MAX_STEPS = 20_000_000;

/** Which verdict another cannot change. */
const STRENGTH = { none: 0, allow: 1, require_approval: 2, deny: 3 } as const satisfies Record<
  PolicyVerdict["kind"] | PolicyEffect,
  number
>;

const MATCHED: Answer = { kind: "matched" };
const PASSED: Answer = { kind: "passed" };
const UNDECIDABLE: Answer = { kind: "undecidable" };

/** Thrown where a trial takes too many steps. */
export class TooCostly extends Error {}

/** Tries policies on calls: pure, bounded in all, and never a guess at what is not known of a call. */
export class Trials {
  readonly #alone = new Map<Policy, PolicySet>();
  readonly #together = new Map<readonly Policy[], PolicySet>();
  #steps = MAX_STEPS;

  /** The outcomes of one call under each of some sets of policies. Throws TooCostly. */
  outcomes(call: TriedCall, sets: readonly (readonly Policy[])[]): readonly Outcome[] {
    const answers = new Map<Policy, Answer>();
    return sets.map((policies) => {
      const found = policies.flatMap((policy) => {
        const answer = answers.get(policy) ?? this.#ask(policy, call);
        answers.set(policy, answer);
        return answer.kind === "passed" ? [] : [{ policy, answer }];
      });
      return { verdict: this.#verdict(policies, found, call), answers: found };
    });
  }

  #ask(policy: Policy, call: TriedCall): Answer {
    const { condition } = policy;
    if (policy.on !== "calls" || !policy.enabled || !this.#applies(policy, call.slug)) return PASSED;
    if (condition === null) return MATCHED;
    if (call.unknownNames.some((name) => new RegExp(`\\b${name}\\b`).test(condition))) return UNDECIDABLE;
    const compilation = compileCondition(condition, policy.on);
    if (compilation.kind === "faults") return { kind: "error", error: compilation.faults[0].message };
    const tripwire = new Tripwire();
    const activation = new Activation(call.facts(tripwire));
    const before = activation.meter.left;
    const result = holds(compilation.condition, policy.effect, activation);
    this.#steps -= before - activation.meter.left;
    if (this.#steps < 0) throw new TooCostly();
    if (tripwire.touched) return UNDECIDABLE;
    if (result.kind === "error") return { kind: "error", error: result.error };
    return result.value ? MATCHED : PASSED;
  }

  #applies(policy: Policy, slug: string): boolean {
    const set = this.#alone.get(policy) ?? policySetOf([policy]);
    this.#alone.set(policy, set);
    return set.readsOf(slug) !== null;
  }

  /** As calls are decided, by those that can be; unless one of the others could say otherwise. */
  #verdict(policies: readonly Policy[], found: Outcome["answers"], call: TriedCall): Outcome["verdict"] {
    const open = found.filter(({ answer }) => answer.kind === "undecidable").map(({ policy }) => policy);
    const set =
      open.length === 0 ? this.#setOf(policies) : policySetOf(policies.filter((one) => !open.includes(one)));
    const verdict = set.decide(call.facts(new Tripwire()));
    const isOpen = open.some(({ effect }) => STRENGTH[effect] > STRENGTH[verdict.kind]);
    return isOpen ? { kind: "undecidable" } : verdict;
  }

  #setOf(policies: readonly Policy[]): PolicySet {
    const set = this.#together.get(policies) ?? policySetOf(policies);
    this.#together.set(policies, set);
    return set;
  }
}

/**
 * Whether a call would be decided otherwise; null where that cannot be told. `otherwise`: what holds where no policy
 * matches, null where that is not known.
 */
export function isChanged(now: Outcome, draft: Outcome, otherwise: "allow" | "deny" | null): boolean | null {
  const [was, is] = [now.verdict, draft.verdict];
  // The same have spoken, in the same way, whatever it is.
  const asOne = ({ answers }: Outcome) => answers.map(({ policy }) => policy);
  const [some, others] = [asOne(now), asOne(draft)];
  if (some.length === others.length && some.every((policy, index) => policy === others[index])) return false;
  if (was.kind === "undecidable" || is.kind === "undecidable") return null;
  const kindOf = ({ kind }: PolicyVerdict) => (kind === "none" ? (otherwise ?? kind) : kind);
  if (kindOf(was) !== kindOf(is)) return true;
  if (was.kind !== "require_approval" || is.kind !== "require_approval") return false;
  return was.approvals !== is.approvals || was.delaySeconds !== is.delaySeconds;
}
