import type { AgentId, ApprovalId, MemberId, TenantId } from "../base/ids.ts";
import type { Case, CaseKind, CaseStatus, NewCase } from "./case.ts";
import type { SealedText } from "../vault/sealed-form.ts";

/** Who did something, and from where, for the ledger. */
export interface By {
  /** `member:mem_…`, `agent:agt_…` or `system`. */
  readonly actor: string;
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly requestId: string;
}

/** A case as it is asked for; `tenantId` must be the desk's. */
export interface AskedCase extends NewCase {
  readonly tenantId: TenantId;
  /** What people are shown beside the payload, sealed under `shownNameOf(digest)`; null: nothing more. */
  readonly sealed: SealedText | null;
  readonly by: By;
}

/** How a request stands. Times are milliseconds since 1970. */
export type Standing =
  /** Approved and its delay over: `consume` it, naming which of these voters are still entitled. */
  | { readonly kind: "ready"; readonly approvalId: ApprovalId; readonly voters: readonly MemberId[] }
  /** Used up by this very use already. `granted`: JSON of what was granted instead of what was asked; null: as asked. */
  | { readonly kind: "granted"; readonly approvalId: ApprovalId; readonly granted: string | null }
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
    }
  /** Nothing was written: the agent has as many open, or made within an hour, as it may have. */
  | { readonly kind: "crowded"; readonly most: number };

export type Consumed =
  | { readonly kind: "granted"; readonly approvalId: ApprovalId; readonly granted: string | null }
  /** `quorum_lost`: it is open again, without the votes of who is not entitled any more. */
  | { readonly kind: "refused"; readonly reason: "unknown" | "over" | "too_soon" | "quorum_lost" };

/** Too many wait already, of this agent or of the whole tenant: at most so many may. */
export interface Crowd {
  readonly kind: "crowded";
  readonly of: "agent" | "tenant";
  readonly most: number;
}

export type Decided = { readonly kind: "seen"; readonly held: Case } | { readonly kind: "unknown" } | Crowd;

/** How it stands with what is claimed again and again until people have answered. */
export type Claim = Extract<Standing, { kind: "granted" | "pending" | "denied" }>;

export interface Vote {
  readonly memberId: MemberId;
  /** What is granted instead of what was asked for, as JSON, checked to be no more than it; null: as it stands. */
  readonly granted: string | null;
  readonly comment: string | null;
  /** Voters whom this one was found to be another person than. */
  readonly apartFrom: readonly MemberId[];
}

export type Answered =
  | { readonly kind: "ok"; readonly held: Case }
  | { readonly kind: "unknown" }
  /** It does not wait for this any more. */
  | { readonly kind: "over"; readonly held: Case }
  /** The same person has answered, otherwise. */
  | { readonly kind: "answered"; readonly held: Case }
  /** Somebody voted meanwhile: look again whether these two are two. */
  | { readonly kind: "recheck"; readonly held: Case };

export interface CaseQuery {
  readonly status: CaseStatus | null;
  readonly kind: CaseKind | null;
  /** Older than this one; null: from the newest. */
  readonly before: readonly [createdAt: number, id: ApprovalId] | null;
  readonly limit: number;
}

/**
 * What a tenant's desk answers to (durable-objects/approval-desk.ts): its one writer of requests for approval. A use is
 * named by an id of whoever uses it up (a call's, a token's); asked again with the same one, the answer is the same.
 */
export interface DeskObject {
  /** How the same request stands; null: it is not open, `ask`. */
  find(agentId: AgentId, digest: string, useId: string): Promise<Standing | null>;
  /** The same, writing it down where it is not open. */
  ask(asked: AskedCase, useId: string): Promise<Standing>;
  /** Uses an approved one up. Only the votes of `entitled` count. */
  consume(id: ApprovalId, useId: string, entitled: readonly MemberId[]): Promise<Consumed>;
  /** What was used up by this use did not happen, and surely so: it may be used again. */
  release(id: ApprovalId, useId: string): Promise<void>;
  get(id: ApprovalId): Promise<{ readonly held: Case; readonly sealed: SealedText | null } | null>;
  /** Newest first. */
  list(query: CaseQuery): Promise<readonly Case[]>;
  approve(id: ApprovalId, vote: Vote, by: By): Promise<Answered>;
  deny(id: ApprovalId, reason: string, by: By): Promise<Answered>;
  cancel(id: ApprovalId, reason: string | null, by: By): Promise<Answered>;
  /**
   * The case once people have answered (`answered`), or once it can be used, too (`usable`: its delay is over), or as it
   * is after so many milliseconds.
   */
  decided(id: ApprovalId, until: "answered" | "usable", milliseconds: number): Promise<Decided>;
}

/** Under which name what people are shown is sealed. */
export function shownNameOf(digest: string): string {
  return `approval ${digest}`;
}
