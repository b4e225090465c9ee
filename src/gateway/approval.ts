import type { Claim } from "../approvals/desk.ts";
import type { ApprovalId } from "../base/ids.ts";
import { type ApprovalNotice, Problem } from "../base/problem.ts";
import { askedCall } from "./approval-call.ts";
import { approvalDenied, approvalRequired, notApprovable } from "./approval-problems.ts";
import { pace } from "./approval-pace.ts";
import type { AgentCall } from "./call.ts";
import type { Decided } from "./decide.ts";
import type { Gateway } from "./gateway.ts";
import { preferencesOf, type CallPreferences } from "./prefer.ts";

/** A refusal that waits for people, or was theirs. */
export function isAboutApproval(
  error: unknown,
): error is Problem & { readonly options: { readonly approval: ApprovalNotice } } {
  return error instanceof Problem && error.options.approval !== undefined;
}

/** Throws POLICY_DENIED for what people would have to approve and cannot. */
export function checkApprovable({ ask, draft }: Decided): void {
  if (ask !== null && draft.websocket) throw notApprovable(ask);
}

/** A clock that stands still does not hold a call for ever. */
const MAX_HOLDS = 8;
const AGAIN_MS = 1_000;

/**
 * The approval that one call uses up, where its policies want one. An approval is used up before the call is charged,
 * and so before it leaves; a gateway that dies in between has used it up for nothing, never twice.
 */
export class CallApproval {
  readonly #call: AgentCall;
  readonly #gateway: Gateway;
  readonly callId: string;
  readonly #preferences: CallPreferences;
  readonly #heldUntil: number;
  #held: { readonly id: ApprovalId; readonly digest: string } | null = null;
  #pending: ApprovalId | null = null;
  #holds = 0;
  /** How often it has given one back. */
  #returns = 0;

  /** Throws VALIDATION_ERROR where the caller's preferences cannot be read. */
  constructor(call: AgentCall, gateway: Gateway, callId: string) {
    this.#call = call;
    this.#gateway = gateway;
    this.callId = callId;
    this.#preferences = preferencesOf(call.fields);
    this.#heldUntil = gateway.clock() + (this.#preferences.waitSeconds ?? 0) * 1_000;
  }

  /** The approval that the call has used up; null: none. */
  get id(): ApprovalId | null {
    return this.#held?.id ?? null;
  }

  /**
   * Has the approval of exactly what was decided, if it needs one; gives another one back. Throws APPROVAL_REQUIRED,
   * APPROVAL_DENIED, RATE_LIMITED for an agent that asks without end, and what `CallApprovals.claim` throws.
   */
  async cover(decided: Decided): Promise<void> {
    const { ask } = decided;
    const asked = ask === null ? null : askedCall(this.#call, decided, ask);
    if (this.#held !== null && this.#held.digest !== asked?.digest) await this.giveBack();
    if (ask === null || asked === null || this.#held !== null) return;
    this.#pending = null;
    pace(asked.agentId, this.#gateway.clock());
    const claim = await this.#gateway.approvals.claim(asked, this.#useId);
    if (claim.kind === "granted") this.#held = { id: claim.approvalId, digest: asked.digest };
    else throw this.#refusal(claim, ask);
  }

  /** Whether a call that was charged may go on as it was decided since. */
  covers(decided: Decided): boolean {
    if (decided.ask === null) return true;
    return this.#held?.digest === askedCall(this.#call, decided, decided.ask).digest;
  }

  /**
   * Waits for the people whom `cover` has asked, as long as the caller would have the call held open. Null where the call
   * is to be decided anew; else what it is answered with: `refusal`, or RATE_LIMITED where too many are held already.
   */
  async hold(refusal: Problem): Promise<Problem | null> {
    const left = (): number => this.#heldUntil - this.#gateway.clock();
    if (this.#pending === null || left() <= 0 || this.#holds >= MAX_HOLDS) return refusal;
    // A desk that is away says so at once.
    if (this.#holds++ > 0) await scheduler.wait(Math.min(left(), AGAIN_MS));
    const { tenantId } = this.#call.grant;
    try {
      await this.#gateway.approvals.decided(tenantId, this.#pending, Math.max(1, left()));
    } catch (error) {
      if (error instanceof Problem && error.code === "RATE_LIMITED") return error;
      // Where the desk is away, asking it again says so.
    }
    return null;
  }

  /** The call surely did not leave: its approval may be used by another one. Never throws. */
  async giveBack(): Promise<void> {
    const held = this.#held;
    const useId = this.#useId;
    this.#held = null;
    if (held === null) return;
    this.#returns++;
    const { tenantId } = this.#call.grant;
    // Lost on its way, it leaves the approval used up, which allows less.
    await this.#gateway.approvals.release(tenantId, held.id, useId).catch(() => undefined);
  }

  /**
   * Under which name the desk has the claim: another one after each that was given back. What is given back can arrive
   * late, and must not free the same approval if this call has claimed it again meanwhile (attack 76).
   */
  get #useId(): string {
    return this.#returns === 0 ? this.callId : `${this.callId}.${this.#returns}`;
  }

  #refusal(claim: Exclude<Claim, { kind: "granted" }>, ask: NonNullable<Decided["ask"]>): Problem {
    if (claim.kind === "denied") return approvalDenied(claim);
    this.#pending = claim.approvalId;
    return approvalRequired(claim, ask, this.#preferences, this.#gateway.clock());
  }
}
