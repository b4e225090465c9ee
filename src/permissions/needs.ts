import type { AtEpoch } from "../base/epoch-cache.ts";
import type { TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { ReachedNow } from "../approvals/read-reach.ts";
import type { Connection } from "../connections/connection.ts";
import type { Agent } from "../identity/agent-rows.ts";
import { approvalNeed } from "../identity/approval-need.ts";
import { policyBy, type PolicySet, type PolicyVerdict } from "../policies/verdict.ts";
import type { TokenAsker } from "../tokens/issue-terms.ts";
import type { Action } from "./action.ts";
import type { Need } from "./need.ts";
import { scopesOf } from "./permission-faces.ts";

export interface NeedsParts {
  readonly policies: { find(tenantId: TenantId, epoch: number): Promise<AtEpoch<PolicySet>> };
  readonly connections: {
    find(tenantId: TenantId, slug: string, epoch: number): Promise<AtEpoch<Connection | null>>;
  };
  /** `approvals/read-reach.ts` has it. */
  readonly reach: (tenantId: TenantId, scopes: readonly string[]) => Promise<ReachedNow>;
}

/** How many people a permission needs: what the action says, the policies, and the secrets that its calls use. */
export class Needs {
  readonly #parts: NeedsParts;

  constructor(parts: NeedsParts) {
    this.#parts = parts;
  }

  /**
   * The most that any of them asks for. Nobody is asked only where the action says so (`approvals: 0`), a policy allows
   * the request and its calls reach nothing that the agent could not have by itself. `asked` is what conditions see.
   * Throws POLICY_DENIED.
   */
  async of(
    caller: TokenAsker,
    agent: Agent,
    action: Action,
    asked: Readonly<Record<string, unknown>>,
    at: { readonly epoch: number; readonly now: number },
  ): Promise<Need> {
    const { tenantId } = caller;
    const [reached, policies, connection] = await Promise.all([
      action.calls && this.#parts.reach(tenantId, scopesOf(action)),
      this.#parts.policies.find(tenantId, at.epoch),
      action.calls && this.#parts.connections.find(tenantId, action.calls.connection, at.epoch),
    ]);
    const tier = reached?.tier ?? null;
    const verdict = policies.value.decide({
      ...{ subject: "permissions", request: null, asked, token: null },
      agent: { id: caller.agentId, name: agent.name, trustTier: agent.trustTier },
      connection: action.calls && { slug: action.calls.connection, provider: null },
      ...{ tier, ip: caller.request.ip, now: at.now },
    });
    if (verdict.kind === "deny") throw denied(verdict);
    const needed = approvalNeed(tier ?? "standard", agent.trustTier, reached?.delaySeconds ?? 0);
    const said = action.approvals > 0 || verdict.kind === "allow" ? action.approvals : 1;
    const isAsked = verdict.kind === "require_approval";
    const approvals = Math.max(said, needed.approvals, isAsked ? verdict.approvals : 0);
    const delaySeconds = Math.max(needed.delaySeconds, isAsked ? verdict.delaySeconds : 0);
    const asking = isAsked ? verdict.policies : [];
    return {
      ...{ approvals, delaySeconds, tier, policies: asking },
      epoch: Math.min(...[policies, reached, connection].flatMap((each) => each?.epoch ?? [])),
      basis: {
        agent: { updated_at: agent.updatedAt, trust_tier: agent.trustTier },
        action: { version: action.version, updated_at: action.updatedAt },
        tier,
        secrets: reached && describeSecrets(reached),
        connection: connection?.value ? [connection.value.id, connection.value.updatedAt] : null,
        policies: asking.map(({ id, version }) => [id, version]),
        ...{ approvals, delay_seconds: delaySeconds },
      },
    };
  }
}

/** Where there are too many to be told one by one, any change of what the tenant has configured counts. */
function describeSecrets({ secrets, epoch }: ReachedNow): unknown {
  return secrets?.map(({ path, tier, version }) => [path, tier, version]) ?? { epoch };
}

function denied({ policy, cause }: Extract<PolicyVerdict, { kind: "deny" }>): Problem {
  const how = cause === "error" ? " It could not be evaluated on this request, which denies." : "";
  return new Problem(
    "POLICY_DENIED",
    `The policy "${policy.name}" denies this request for a permission.${how}`,
    {
      by: policyBy(policy, cause),
      why: policy.message ?? "Ask for something else, or have an admin look at the policy.",
    },
  );
}
