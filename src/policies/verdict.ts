import type { DeniedBy } from "../base/denied-by.ts";
import type { AgentId, PolicyId, TokenId } from "../base/ids.ts";
import type { RequestView } from "./request-view.ts";

export const POLICY_EFFECTS = ["allow", "deny", "require_approval"] as const;
export type PolicyEffect = (typeof POLICY_EFFECTS)[number];

/** What a policy is asked about: a call through a connection, a request for a token, a request for a permission. */
export const POLICY_SUBJECTS = ["calls", "tokens", "permissions"] as const;
export type PolicySubject = (typeof POLICY_SUBJECTS)[number];

/** One version of a policy; what it says to the agent. */
export interface PolicyRef {
  readonly id: PolicyId;
  readonly name: string;
  readonly version: number;
  readonly message: string | null;
}

/** The policy, as the trail tells that it refused. */
export function policyBy({ id, name, version }: PolicyRef, cause: PolicyCause): DeniedBy {
  return { policy_id: id, policy_name: name, policy_version: version, policy_cause: cause };
}

type PolicyCause = Extract<DeniedBy, { policy_id: PolicyId }>["policy_cause"];

export type PolicyVerdict =
  /** Nothing matched: the connection's default holds. */
  | { readonly kind: "none" }
  | { readonly kind: "allow"; readonly policy: PolicyRef }
  /** `error`: it could not be evaluated, which denies. */
  | { readonly kind: "deny"; readonly policy: PolicyRef; readonly cause: "matched" | "error" }
  | {
      readonly kind: "require_approval";
      /** All that matched, by id. */
      readonly policies: readonly PolicyRef[];
      /** The most that one of them asks for. */
      readonly approvals: number;
      readonly delaySeconds: number;
    };

/** What a condition may look at; what does not apply to the subject is null. Times are milliseconds since 1970. */
export interface PolicyFacts {
  readonly subject: PolicySubject;
  /** A call. */
  readonly request: RequestView | null;
  /** What was asked for, of the other two: as the API has it, in snake case. */
  readonly asked: Readonly<Record<string, unknown>> | null;
  readonly agent: { readonly id: AgentId; readonly name: string | null; readonly trustTier: string | null };
  readonly token: {
    readonly id: TokenId;
    readonly scopes: readonly string[];
    readonly tool: string | null;
    readonly user: string | null;
    readonly context: Readonly<Record<string, string | undefined>>;
    readonly issuedAt: number;
    readonly expiresAt: number;
  } | null;
  readonly connection: { readonly slug: string; readonly provider: string | null } | null;
  /** The strictest tier among the secrets used or reached. */
  readonly tier: "standard" | "sensitive" | "critical" | null;
  readonly ip: string | null;
  readonly now: number;
}

/** Which parts of a call the policies that apply to it look into: the rest need not be read. */
export interface PolicyReads {
  readonly body: boolean;
  readonly query: boolean;
}

/** A tenant's policies, compiled, at one epoch. Pure. */
export interface PolicySet {
  /** Of the policies on calls that may apply to this one (connection, before any condition); null: none do. */
  readsOf(slug: string): PolicyReads | null;
  decide(facts: PolicyFacts): PolicyVerdict;
}
