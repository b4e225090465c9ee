import { Problem } from "../base/problem.ts";
import { enforce, readsOf as readsOfPermission } from "../permissions/enforce.ts";
import type { RequestView } from "../policies/request-view.ts";
import {
  policyBy,
  type PolicyFacts,
  type PolicyReads,
  type PolicyRef,
  type PolicySet,
  type PolicyVerdict,
} from "../policies/verdict.ts";
import type { Grant } from "../tokens/grant.ts";
import type { GrantedPermission, Tally } from "../tokens/permission.ts";
import type { SealedSecret } from "../vault/vault.ts";
import { closed, isOpen } from "./authorize.ts";
import type { AgentCall } from "./call.ts";
import type { Route } from "./route.ts";

/** People have to answer before the call goes on. */
export interface Ask {
  /** All that want it, by id. */
  readonly policies: readonly PolicyRef[];
  readonly approvals: number;
  readonly delaySeconds: number;
}

/** Where people are asked, they look into all of it. */
export const ALL: PolicyReads = { body: true, query: true };
const NOTHING: PolicyReads = { body: false, query: false };

/** What looks into one call, before any of it is read. */
export interface Lookers {
  /** Null where no policy applies. */
  readonly policies: PolicySet | null;
  readonly reads: PolicyReads;
  /** The body's length is asked about. */
  readonly size: boolean;
}

const NOBODY: Lookers = { policies: null, reads: NOTHING, size: false };

export function lookersAt(set: PolicySet, slug: string, { permission }: Grant): Lookers {
  const ofPolicies = set.readsOf(slug);
  if (permission === null) {
    return ofPolicies === null ? NOBODY : { policies: set, reads: ofPolicies, size: false };
  }
  const own = readsOfPermission(permission);
  return {
    policies: ofPolicies === null ? null : set,
    reads: { body: own.body || ofPolicies?.body === true, query: own.query || ofPolicies?.query === true },
    size: permission.constraints.some(({ kind }) => kind === "max_size"),
  };
}

/** What policies are told of a call. */
export function factsOf(
  { grant, ip }: AgentCall,
  { slug, provider }: Route,
  view: RequestView,
  sealed: Readonly<Record<string, SealedSecret>>,
  now: number,
): PolicyFacts {
  return {
    subject: "calls",
    request: view,
    asked: null,
    agent: { id: grant.agentId, name: null, trustTier: null },
    token: {
      id: grant.tokenId,
      scopes: grant.scopes,
      tool: grant.tool,
      user: grant.user,
      context: grant.context,
      issuedAt: grant.issuedAt,
      expiresAt: grant.expiresAt,
    },
    connection: { slug, provider },
    tier: strictest(Object.values(sealed)),
    ip,
    now,
  };
}

const TIERS = ["critical", "sensitive", "standard"] as const;

export function strictest(sealed: readonly SealedSecret[]): PolicyFacts["tier"] {
  return TIERS.find((tier) => sealed.some((secret) => secret.tier === tier)) ?? null;
}

const NOBODY_AGREED: GrantedPermission["agreed"] = { approvals: 0, delaySeconds: 0 };

/**
 * What the verdict comes to: people who have to be asked, or null. Throws POLICY_DENIED, and SCOPE_DENIED where nothing
 * matched on a connection that lets nothing else through. A call that a permission covers has its people's answer,
 * where as many of them gave it, and waited as long, as the policies want.
 */
export function askedBy(
  verdict: PolicyVerdict,
  route: Route,
  view: RequestView,
  permission: Grant["permission"],
): Ask | null {
  switch (verdict.kind) {
    case "deny":
      throw denied(verdict, view);
    case "require_approval": {
      const { policies, approvals, delaySeconds } = verdict;
      const agreed = permission?.agreed ?? NOBODY_AGREED;
      const isAgreed = agreed.approvals >= approvals && agreed.delaySeconds >= delaySeconds;
      return isAgreed ? null : { policies, approvals, delaySeconds };
    }
    case "allow":
      return null;
    case "none": {
      if (isOpen(route)) return null;
      const { code, detail, why } = closed(route, view);
      throw new Problem(code, detail, { why });
    }
  }
}

function denied({ policy, cause }: Extract<PolicyVerdict, { kind: "deny" }>, { body }: RequestView): Problem {
  const said = policy.message ?? "Ask an admin of this tenant about the policy.";
  const by = policyBy(policy, cause);
  if (cause === "matched") {
    return new Problem("POLICY_DENIED", `The policy "${policy.name}" denies this call.`, { by, why: said });
  }
  const unread = body.kind === "unreadable" ? ` The body ${body.why}.` : "";
  return new Problem(
    "POLICY_DENIED",
    `The policy "${policy.name}" could not be evaluated for this call, which denies it.${unread}`,
    {
      by,
      why: `It looks at something that this call does not have, or not in the form it has to have. ${said}`,
    },
  );
}

/**
 * What the token's permission counts of a call; none without one. Throws PERMISSION_DENIED, and tells `onDenied` first
 * by which constraint.
 */
export function permittedBy(
  { permission }: Grant,
  view: RequestView,
  slug: string,
  onDenied: (constraint: string) => void,
): readonly Tally[] {
  if (permission === null) return NO_TALLIES;
  const enforced = enforce(permission, view, slug);
  if (enforced.kind === "ok") return enforced.tallies;
  onDenied(enforced.constraint);
  throw new Problem("PERMISSION_DENIED", enforced.why, {
    by: { constraint: enforced.constraint },
    why: `The constraint \`${enforced.constraint}\` of this token's permission is not met. Make the call that was permitted, or ask for another permission.`,
  });
}

const NO_TALLIES: readonly Tally[] = [];
