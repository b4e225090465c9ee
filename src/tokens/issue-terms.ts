import type { AgentCaller } from "../identity/caller.ts";

/** For whom a token is issued. */
export type TokenAsker = Pick<AgentCaller, "tenantId" | "agentId" | "actor" | "request">;

/** Which workload asks, and by which rule. */
export interface AskingWorkload {
  readonly trust_rule: string;
  readonly issuer: string;
  readonly subject: string;
  /** Those that the rule asks for. */
  readonly claims: Readonly<Record<string, string>>;
}

/** What goes beside a request for a token that was let in by something else than the agent's key. */
export interface IssueTerms {
  /** `updatedAt` of the agent on which it was let in. */
  readonly agentUpdatedAt: number;
  /** The token ends no later, in milliseconds since 1970. */
  readonly notAfter: number;
  /** Why it was let in, for the ledger. */
  readonly evidence: Readonly<Record<string, unknown>>;
  /** Who asks without the agent's key; people approve it for that one alone. */
  readonly workload: AskingWorkload | null;
}
