import type { AgentId } from "../base/ids.ts";
import type { AgentFacts } from "./policy-rows.ts";
import type { PolicySet } from "./verdict.ts";

/**
 * The set, told what its conditions ask about agents: whoever decides knows an agent by its id alone. One that is not
 * known stays so, which is an error in the conditions that ask.
 */
export function knowing(set: PolicySet, agents: ReadonlyMap<AgentId, AgentFacts>): PolicySet {
  return {
    readsOf: (slug) => set.readsOf(slug),
    decide(facts) {
      const known = agents.get(facts.agent.id);
      return set.decide(known === undefined ? facts : { ...facts, agent: { id: facts.agent.id, ...known } });
    },
  };
}
