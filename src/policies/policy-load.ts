import type { AtEpoch } from "../base/epoch-cache.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { knowing } from "./policy-agents.ts";
import { type PoliciesRead, readPolicies } from "./policy-rows.ts";
import type { Policy } from "./policy.ts";
import { policySetOf } from "./set.ts";
import type { PolicySet } from "./verdict.ts";

/** What an isolate keeps of a tenant. */
export interface LoadedPolicies extends PolicySet {
  readonly policies: readonly Policy[];
  readonly compiled: Compiled;
}

interface Compiled {
  readonly set: PolicySet;
  /** Whether a condition looks at more of an agent than its id. */
  readonly readsAgents: boolean;
}

/** Most tenants' calls are decided on this. */
const NONE: Compiled = {
  set: { readsOf: () => null, decide: () => ({ kind: "none" }) },
  readsAgents: false,
};

/** A tenant's policies as they are now. `held`: what was at hand, of which is kept what is the same. */
export async function loadPolicies(
  db: Database,
  tenantId: TenantId,
  held: LoadedPolicies | undefined,
): Promise<AtEpoch<LoadedPolicies>> {
  const read = await readPolicies(db, tenantId, held?.compiled.readsAgents ?? false);
  const compiled = compiledOf(read, held);
  if (!compiled.readsAgents || read.agents !== null) return loaded(read, compiled);
  const again = await readPolicies(db, tenantId, true);
  return loaded(again, compiledOf(again, { policies: read.policies, compiled }));
}

/** Most changes of a tenant's configuration are about something else: what is the same is not compiled again. */
function compiledOf(
  { policies }: PoliciesRead,
  held: Pick<LoadedPolicies, "policies" | "compiled"> | undefined,
): Compiled {
  if (policies.length === 0) return NONE;
  if (held !== undefined && areSame(held.policies, policies)) return held.compiled;
  const set = policySetOf(policies);
  // Conditions are compiled when a call first needs them: only those that can have to do with agents are by this.
  const mayRead = policies.filter(({ condition }) => condition?.includes("agent"));
  return { set, readsAgents: mayRead.length > 0 && policySetOf(mayRead).readsAgents };
}

function loaded({ epoch, policies, agents }: PoliciesRead, compiled: Compiled): AtEpoch<LoadedPolicies> {
  const set = agents === null ? compiled.set : knowing(compiled.set, agents);
  const value = {
    policies,
    compiled,
    readsOf: set.readsOf.bind(set),
    decide: set.decide.bind(set),
  };
  return { epoch, value };
}

/** Both by id. What a policy says is another at another version. */
function areSame(some: readonly Policy[], others: readonly Policy[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ id, version }, index) => others[index]?.id === id && others[index]?.version === version)
  );
}
