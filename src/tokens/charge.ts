import type { AuditEvent } from "../audit/event.ts";
import type { DeniedBy } from "../base/denied-by.ts";
import type { BudgetClaim } from "../budgets/claim.ts";
import type { HolderState, Recall } from "../budgets/lease.ts";
import type { BudgetId } from "../base/ids.ts";
import type { SpendableProof } from "../identity/dpop/presented.ts";
import type { Tally } from "./permission.ts";
import type { Rate } from "./schemas.ts";

/** An event as the caller knows it; the token's object gives it its id and time. */
export type EventDraft = Omit<AuditEvent, "id" | "timestamp">;

/** A token below the root of its line, with its own limits. Times are milliseconds since 1970. */
export interface LineMember {
  readonly tokenId: string;
  readonly maxUses: number | null;
  readonly rate: Rate | null;
  readonly expiresAt: number;
}

/** How often a token was charged; revoked, where it or one that it descends from is. */
export interface TokenState {
  readonly uses: number;
  readonly revoked: boolean;
}

/** A charge that is only asked about. */
export type PreviewRequest = Omit<ChargeRequest, "callId" | "event" | "outcomes">;

/** What a charge would come to right now, and how often each of the line was charged, the root first. */
export interface ChargePreview {
  readonly verdict: ChargeVerdict;
  readonly uses: readonly number[];
}

/** What one use of a token asks of its object. Times are milliseconds since 1970. */
export interface ChargeRequest {
  /** Drawn once per inbound request: asked again with the same one, the recorded verdict comes back. */
  readonly callId: string;
  readonly tokenId: string;
  readonly tenantId: string;
  /** Of a child, down to itself: the limits above are then those of the root, in whose object all of them live. */
  readonly line?: readonly LineMember[];
  /** The tenant's epoch on which the call was decided. */
  readonly epoch: number;
  /** The caller's canonical address; null: unknown, or one that anybody may have. */
  readonly ip: string | null;
  /** From the immutable grant. */
  readonly ipAllowlist: readonly string[];
  readonly maxUses: number | null;
  readonly rate: Rate | null;
  readonly expiresAt: number;
  readonly event: EventDraft;
  /** How many calls of the token through a connection may be under way, this one included. Left out: not counted. */
  readonly concurrency?: { readonly connection: string; readonly limit: number };
  /** Of a token that is bound to a key: good for one use. */
  readonly proof?: SpendableProof;
  /**
   * What the use adds to the sums of the token's permission: in the same step, or nothing at all. Keys are unique within
   * the object; `Admission` sees to that.
   */
  readonly tallies?: readonly Tally[];
  /** What the use reserves of the budgets that apply to it: all of it or nothing. */
  readonly budgets?: readonly BudgetClaim[];
  /** Of earlier calls of the token, as `settle` tells them. */
  readonly outcomes?: readonly CallOutcome[];
}

export type DenialReason =
  | "revoked"
  | "expired"
  | "address"
  | "proof"
  | "uses"
  | "rate"
  | "concurrency"
  | "tally"
  | "budget";

export type Denied =
  | {
      readonly kind: "denied";
      readonly reason: Exclude<DenialReason, "tally" | "budget">;
      readonly retryAfterSeconds?: number;
    }
  /** The sum of this key would go beyond its maximum. */
  | { readonly kind: "denied"; readonly reason: "tally"; readonly key: string }
  /** What the use reserves does not fit into this budget until it refills. */
  | {
      readonly kind: "denied";
      readonly reason: "budget";
      readonly budget: { readonly id: BudgetId; readonly name: string };
      /** Milliseconds since 1970; null: never. */
      readonly refillsAt: number | null;
      /** When to come back at the earliest; null: never. */
      readonly retryAfterSeconds: number | null;
    };

export type ChargeVerdict =
  /** Charged and durably recorded. `uses` counts this one. */
  | { readonly kind: "allowed"; readonly seq: number; readonly uses: number }
  | Denied
  /** Decided on an older epoch than this token has seen: nothing was written, decide again at `epoch` or later. */
  | { readonly kind: "stale"; readonly epoch: number }
  /** Cannot be recorded now (the ledger has been away too long): not charged, must not go on. */
  | { readonly kind: "unrecorded" };

/** What became of a charged call, known after the response has passed. */
export interface CallOutcome {
  readonly seq: number;
  /** The upstream's status, or the gateway's own where it answered itself. */
  readonly status: number;
  readonly durationMs: number;
  /** Bytes of the response body passed on. */
  readonly bytes: number;
  /** The gateway's error code, where it refused after charging or failed. */
  readonly error?: string;
  /** What it came to in the budgets that it reserved of; what is left out stays as reserved. */
  readonly costs?: readonly (readonly [budgetId: BudgetId, amount: number])[];
}

/** The part of the token's object that others call (durable-objects/scoped-token.ts). A child's is its root's. */
export interface TokenObject {
  charge(request: ChargeRequest): Promise<ChargeVerdict>;
  /** The verdict that `charge` would give; nothing is charged or recorded. */
  preview(request: PreviewRequest): Promise<ChargePreview>;
  /**
   * Records a refusal decided before charging; repeated ones are one event per reason and minute, with a count.
   * `expiresAt` is the object's, which is the root's. `by`: told apart by it, and told with it.
   */
  deny(
    tokenId: string,
    tenantId: string,
    expiresAt: number,
    reason: string,
    event: EventDraft,
    by?: DeniedBy,
  ): Promise<void>;
  /** Each is taken once, however often it is told. */
  settle(outcomes: readonly CallOutcome[]): Promise<void>;
  /** `child`: this one, and what descends from it. `expiresAt` is the object's. */
  revoke(
    tenantId: string,
    expiresAt: number,
    child?: { readonly tokenId: string; readonly expiresAt: number },
  ): Promise<void>;
  /** `line`: what descends from the root, down to the token asked for. */
  state(line?: readonly string[]): Promise<TokenState>;
  /** Gives back what is not spent of a shared budget; null: nothing was given back. For the budget's book. */
  recallBudget(recall: Recall): Promise<number | null>;
  /** What the token, and all that descends from it, has spent of a budget; null: nothing that it knows of. */
  budgetState(budgetId: BudgetId): Promise<HolderState | null>;
  /** A proof's one use that is not charged; false where it was used before. */
  spend(proof: SpendableProof): Promise<boolean>;
  /** Hands over what is left and forgets everything; true when nothing is left. For expired tokens. */
  close(): Promise<boolean>;
}
