import type { AgentId, ApprovalId, TenantId, TokenId } from "../base/ids.ts";
import type { RequestInfo } from "../base/request.ts";
import type { SecretTier } from "../identity/approval-need.ts";
import type { PolicyRef } from "../policies/verdict.ts";
import type { ShownCall } from "./shown-schema.ts";

/** One exact call that people have to answer. */
export interface AskedCall {
  readonly tenantId: TenantId;
  readonly agentId: AgentId;
  readonly tokenId: TokenId;
  /** SHA-256 of all that is approved, in hex: the same call again has the same. */
  readonly digest: string;
  readonly connection: string;
  readonly approvals: number;
  readonly delaySeconds: number;
  readonly policies: readonly PolicyRef[];
  /** The strictest tier among the secrets that it uses; null: it uses none. */
  readonly tier: SecretTier | null;
  /** On whose behalf it is made, as the token says: they do not approve it. */
  readonly users: readonly string[];
  /** From where, and of which request. */
  readonly info: RequestInfo;
  /** What people are shown (shown-schema.ts). Sealed before it is stored; asked for only where the request is new. */
  readonly shown: () => ShownCall;
}

/** What becomes of a call that needs people. */
export type Claim =
  /** Approved, and used up by this call id: asked again with the same one, the same. */
  | { readonly kind: "granted"; readonly approvalId: ApprovalId }
  | {
      readonly kind: "pending";
      readonly approvalId: ApprovalId;
      readonly approvalsNeeded: number;
      readonly expiresAt: number;
      /** Approved, but not before; null: not yet approved. */
      readonly notBefore: number | null;
    }
  /** It stays so until `expiresAt`: then the same may be asked for again. */
  | {
      readonly kind: "denied";
      readonly approvalId: ApprovalId;
      readonly reason: string | null;
      readonly expiresAt: number;
    };

/** What the gateway asks of approvals. Every method throws UNAVAILABLE where the desk does not answer. */
export interface CallApprovals {
  /**
   * Uses the approval of exactly this call up, or asks for one. The approvers must still be entitled: a vote of one who
   * is not any more does not count.
   */
  claim(asked: AskedCall, callId: string): Promise<Claim>;
  /** The call did not leave after all: the approval may be claimed again. */
  release(tenantId: TenantId, approvalId: ApprovalId, callId: string): Promise<void>;
  /** Resolves once it is decided (approved and its delay over, denied, expired, cancelled), or after `milliseconds`. */
  decided(tenantId: TenantId, approvalId: ApprovalId, milliseconds: number): Promise<void>;
}
