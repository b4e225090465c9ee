import { BoundedCache } from "../base/cache.ts";
import { matchesGlob } from "../base/glob.ts";
import { Activation, compileCondition } from "./condition.ts";
import { decide, type ReadyPolicies, type ReadyPolicy } from "./decide.ts";
import type { Policy } from "./policy.ts";
import type { PolicyEffect, PolicyFacts, PolicyReads, PolicySet, PolicySubject } from "./verdict.ts";

/** A tenant's policies, ready to be asked. */
export interface ReadyPolicySet extends PolicySet {
  /** Whether a condition looks at more of an agent than its id. */
  readonly readsAgents: boolean;
}

/** What may apply to one subject, or to calls through one connection. */
interface Applicable {
  readonly ready: ReadyPolicies;
  /** Null where there is nothing. */
  readonly reads: PolicyReads | null;
}

const CONNECTIONS_KEPT = 1_000;

/**
 * The stored policies as a set. Conditions are compiled when they are first needed and kept in the isolate by their
 * text; a call touches only those whose globs match its connection.
 */
export function policySetOf(policies: readonly Policy[]): ReadyPolicySet {
  const enabled = policies
    .filter((policy) => policy.enabled)
    .toSorted((one, other) => (one.id < other.id ? -1 : 1));
  const byConnection = new BoundedCache<string, Applicable>(CONNECTIONS_KEPT);
  const bySubject = new Map<PolicySubject, Applicable>();

  function ofConnection(slug: string): Applicable {
    const known = byConnection.get(slug);
    if (known !== undefined) return known;
    const made = applicableOf(enabled.filter((policy) => policy.on === "calls" && covers(policy, slug)));
    byConnection.set(slug, made);
    return made;
  }

  function ofSubject(subject: PolicySubject): Applicable {
    const known = bySubject.get(subject);
    if (known !== undefined) return known;
    const made = applicableOf(enabled.filter((policy) => policy.on === subject));
    bySubject.set(subject, made);
    return made;
  }

  return {
    get readsAgents() {
      return enabled.some((policy) => {
        const { condition } = readyPolicy(policy);
        return condition !== null && condition !== "broken" && condition.reads.agent;
      });
    },
    readsOf: (slug) => ofConnection(slug).reads,
    decide(facts: PolicyFacts) {
      const { ready, reads } = applicableTo(facts);
      return reads === null ? { kind: "none" } : decide(ready, new Activation(facts));
    },
  };

  function applicableTo({ subject, connection }: PolicyFacts): Applicable {
    if (subject !== "calls") return ofSubject(subject);
    if (connection === null) throw new Error("A call is decided on without its connection.");
    return ofConnection(connection.slug);
  }
}

function covers({ connections }: Policy, slug: string): boolean {
  return connections.length === 0 || connections.some((glob) => matchesGlob(glob, slug));
}

function applicableOf(policies: readonly Policy[]): Applicable {
  const all = policies.map(readyPolicy);
  const of = (effect: PolicyEffect) => all.filter(({ policy }) => policy.effect === effect);
  return {
    ready: { deny: of("deny"), require_approval: of("require_approval"), allow: of("allow") },
    reads: all.length === 0 ? null : { body: all.some(readsBody), query: all.some(readsQuery) },
  };
}

function readsBody({ condition }: ReadyPolicy): boolean {
  return condition !== null && condition !== "broken" && condition.reads.body;
}

function readsQuery({ condition }: ReadyPolicy): boolean {
  return condition !== null && condition !== "broken" && condition.reads.query;
}

function readyPolicy(policy: Policy): ReadyPolicy {
  const { id, name, version, message } = policy;
  return { policy, ref: { id, name, version, message }, condition: conditionOf(policy) };
}

function conditionOf({ condition, on }: Policy): ReadyPolicy["condition"] {
  if (condition === null) return null;
  const compilation = compileCondition(condition, on);
  return compilation.kind === "condition" ? compilation.condition : "broken";
}
