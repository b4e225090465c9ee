import type { ApprovalId, TenantId, TokenId } from "../base/ids.ts";
import type { Agent } from "../identity/agent-rows.ts";
import type { IssueTerms, TokenAsker } from "./issue-terms.ts";
import type { TokenRequest } from "./schemas.ts";

/** A request for a token that people have to answer first. Times are milliseconds since 1970. */
export interface HeldRequest {
  readonly kind: "held";
  readonly approvalId: ApprovalId;
  readonly approvalsNeeded: number;
  /** When it is too late for an answer; approved: to be used. */
  readonly expiresAt: number;
  /** Approved, but not before; null: not yet approved. */
  readonly notBefore: number | null;
}

export type GateVerdict =
  /** Nobody has to be asked, as of that epoch of the tenant's: the token is of that one. */
  | { readonly kind: "free"; readonly epoch: number }
  /** People have approved it, and it is used up by this token: `release` where that is surely not issued. */
  | { readonly kind: "granted"; readonly epoch: number; readonly approvalId: ApprovalId }
  | HeldRequest;

/** What a request for a token rests on, beside the agent. */
export interface AskGround {
  /** The token that would be issued: what uses an approval up. */
  readonly tokenId: TokenId;
  /** The tenant's epoch that is decided on, or later. */
  readonly epoch: number;
  /** Null: the agent's key asked. */
  readonly terms: IssueTerms | null;
}

/** Whether people have to answer before a token is issued; `src/approvals` has it. */
export interface ApprovalGate {
  /**
   * Writes down what is held; asked the same again while that is open, answers the same. Throws POLICY_DENIED where a
   * policy denies it, APPROVAL_DENIED where people did.
   */
  ask(caller: TokenAsker, agent: Agent, request: TokenRequest, ground: AskGround): Promise<GateVerdict>;
  release(tenantId: TenantId, approvalId: ApprovalId, tokenId: TokenId): Promise<void>;
}
