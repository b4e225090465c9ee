import type { ApprovalId } from "../base/ids.ts";
import type { Agent } from "../identity/agents.ts";
import type { TokenRequest } from "./schemas.ts";
import type { TokenAsker } from "./tokens.ts";

/** A request for a token that people have to answer first. */
export interface HeldRequest {
  readonly kind: "held";
  readonly approvalId: ApprovalId;
  /** When it is too late for an answer, in milliseconds since 1970. */
  readonly expiresAt: number;
}

export type GateVerdict =
  /** Nobody has to be asked, as of that epoch of the tenant's: the token is of that one. */
  { readonly kind: "free"; readonly epoch: number } | HeldRequest;

/** Whether people have to answer before a token is issued; `src/approvals` has it. */
export interface ApprovalGate {
  /** Writes down what is held; asked the same again while that is open, answers the same. */
  ask(caller: TokenAsker, agent: Agent, request: TokenRequest): Promise<GateVerdict>;
}
