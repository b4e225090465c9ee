import { canonicalJson } from "../audit/canonical-json.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { sha256Hex } from "../base/digest.ts";
import type { ApprovalId, TenantId, TokenId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Agent } from "../identity/agent-rows.ts";
import { approvalNeed } from "../identity/approval-need.ts";
import type { Policies } from "../policies/policies.ts";
import { policyBy, type PolicyRef, type PolicyVerdict } from "../policies/verdict.ts";
import type { ApprovalGate, AskGround, GateVerdict } from "../tokens/approval-gate.ts";
import type { TokenRequest } from "../tokens/schemas.ts";
import type { TokenAsker } from "../tokens/issue-terms.ts";
import type { AskedCase } from "./desk.ts";
import type { Desks } from "./desks.ts";
import { readReach, type ReachedNow } from "./read-reach.ts";
import { NOTHING_REACHED, type Reached } from "./reach.ts";
import { renderTokenRequest } from "./render.ts";
import { writeTokenPayload } from "./token-payload.ts";

/** What reaches no secret is of any time: it needs nobody, whatever changes meanwhile. */
const NOTHING: ReachedNow = { ...NOTHING_REACHED, epoch: Number.MAX_SAFE_INTEGER, delaySeconds: 0 };

/** Digests of other things begin otherwise. */
const DOMAIN = "valetkey/approved-token/1";

/** By how many people, after how long, and by whose word. */
interface Need {
  readonly approvals: number;
  readonly delaySeconds: number;
  readonly policies: readonly PolicyRef[];
}

/** Which requests for tokens wait for people: by what they reach, by the agent's trust, and by policies. */
export class TokenApprovals implements ApprovalGate {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #desks: Pick<Desks, "claim" | "release">;
  readonly #policies: Pick<Policies, "find">;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    readonly desks: Pick<Desks, "claim" | "release">;
    readonly policies: Pick<Policies, "find">;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#desks = parts.desks;
    this.#policies = parts.policies;
  }

  /** Throws POLICY_DENIED, APPROVAL_DENIED; CONFLICT where 20 of the agent's are open; UNAVAILABLE. */
  async ask(
    caller: TokenAsker,
    agent: Agent,
    request: TokenRequest,
    ground: AskGround,
  ): Promise<GateVerdict> {
    const { tenantId, agentId } = caller;
    const { scopes } = request;
    const reached = reachesSecrets(scopes) ? await readReach(this.#db, tenantId, scopes) : NOTHING;
    const { epoch } = reached;
    const verdict = await this.#asPolicies(caller, agent, request, reached, ground.epoch);
    const need = needOf(agent, request, reached, verdict);
    if (need.approvals === 0) return { kind: "free", epoch };
    const digest = digestOf(caller, agent, request, reached, ground, need);
    const claim = await this.#desks.claim({ tenantId, agentId, digest }, ground.tokenId, async () =>
      caseOf(caller, request, reached, ground, need, digest),
    );
    switch (claim.kind) {
      case "granted":
        return { kind: "granted", epoch, approvalId: claim.approvalId };
      case "pending":
        return { ...claim, kind: "held" };
      case "denied":
        throw denied(claim.approvalId, claim.reason, claim.expiresAt);
    }
  }

  release(tenantId: TenantId, approvalId: ApprovalId, tokenId: TokenId): Promise<void> {
    return this.#desks.release(tenantId, approvalId, tokenId);
  }

  /** Throws POLICY_DENIED. */
  async #asPolicies(
    { tenantId, request: { ip } }: TokenAsker,
    { id, name, trustTier }: Agent,
    request: TokenRequest,
    { tier }: Reached,
    epoch: number,
  ): Promise<PolicyVerdict> {
    const { value: policies } = await this.#policies.find(tenantId, epoch);
    const verdict = policies.decide({
      ...{ subject: "tokens", request: null, token: null, connection: null },
      asked: renderTokenRequest(request),
      agent: { id, name, trustTier },
      ...{ tier, ip, now: this.#clock() },
    });
    if (verdict.kind !== "deny") return verdict;
    const { policy, cause } = verdict;
    const how = cause === "error" ? " It could not be evaluated on this request, which denies." : "";
    throw new Problem("POLICY_DENIED", `The policy "${policy.name}" denies this request for a token.${how}`, {
      by: policyBy(policy, cause),
      why: policy.message ?? "Ask for less, or have an admin look at the policy.",
    });
  }
}

/** The most that anything asks for. */
function needOf(
  { trustTier }: Agent,
  { scopes }: TokenRequest,
  { tier, delaySeconds }: ReachedNow,
  verdict: PolicyVerdict,
): Need {
  // An agent that nobody trusts is asked for whatever it reaches: what its scopes match is also made tomorrow.
  const own = reachesSecrets(scopes)
    ? approvalNeed(tier, trustTier, delaySeconds)
    : { approvals: 0, delaySeconds: 0 };
  if (verdict.kind !== "require_approval") return { ...own, policies: [] };
  return {
    approvals: Math.max(own.approvals, verdict.approvals),
    delaySeconds: Math.max(own.delaySeconds, verdict.delaySeconds),
    policies: verdict.policies,
  };
}

function reachesSecrets(scopes: readonly string[]): boolean {
  return scopes.some((scope) => scope !== "namespaces:read");
}

function caseOf(
  caller: TokenAsker,
  request: TokenRequest,
  { tier, reach }: Reached,
  { terms }: AskGround,
  { approvals, delaySeconds, policies }: Need,
  digest: string,
): AskedCase {
  const { tenantId, agentId, actor, request: info } = caller;
  const users = [request.user, request.context.user].filter((user) => user !== undefined);
  return {
    ...{ tenantId, kind: "token", agentId, tokenId: null, connection: null, digest, sealed: null },
    payload: writeTokenPayload({ request, reach, workload: terms?.workload ?? null }),
    ...{ approvalsNeeded: approvals, delaySeconds, tier, policies, users: [...new Set(users)] },
    by: { actor, ip: info.ip, userAgent: info.userAgent, requestId: info.requestId },
  };
}

/**
 * Of what is asked for, the reason given included, by whom, and of all that the answer rests on: where any of that
 * changes, it is another request (attack 79).
 */
function digestOf(
  { tenantId, agentId }: TokenAsker,
  { updatedAt, trustTier }: Agent,
  request: TokenRequest,
  { tier, secrets, connections, epoch }: ReachedNow,
  { terms }: AskGround,
  { approvals, delaySeconds, policies }: Need,
): string {
  return sha256Hex(
    canonicalJson({
      domain: DOMAIN,
      ...{ tenant: tenantId, agent: agentId, request },
      workload: terms?.workload ?? null,
      basis: {
        agent: { updated_at: updatedAt, trust_tier: trustTier },
        tier,
        // Too many to be told one by one: any change of what the tenant has configured counts.
        secrets:
          secrets === null ? { epoch } : secrets.map(({ path, tier: of, version }) => [path, of, version]),
        connections: connections.map(({ slug, updatedAt: at }) => [slug, at]),
        policies: policies.map(({ id, version }) => [id, version]),
        ...{ approvals, delay_seconds: delaySeconds },
      },
    }),
  );
}

function denied(id: ApprovalId, reason: string | null, expiresAt: number): Problem {
  const until = new Date(expiresAt).toISOString();
  return new Problem("APPROVAL_DENIED", `A person has denied this${reason === null ? "." : `: ${reason}`}`, {
    why: `Ask for something else. The same can be asked for again from ${until} on.`,
    approvalId: id,
  });
}
