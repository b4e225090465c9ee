import type { AgentId, ApprovalId, MemberId, TokenId } from "../base/ids.ts";
import type { SecretTier } from "../identity/approval-need.ts";
import type { PolicyRef } from "../policies/verdict.ts";

/** A request for a token, one exact call, a one-time permission. */
export const CASE_KINDS = ["token", "call", "permission"] as const;
export type CaseKind = (typeof CASE_KINDS)[number];

export const CASE_STATUSES = ["pending", "approved", "consumed", "denied", "cancelled", "expired"] as const;
export type CaseStatus = (typeof CASE_STATUSES)[number];

/** How long people have to answer, and how long what they approved can be used from when it holds. */
export const ANSWERED_WITHIN_MS = 3_600_000;
export const USED_WITHIN_MS = 15 * 60_000;

/** What is asked for. */
export interface NewCase {
  readonly kind: CaseKind;
  readonly agentId: AgentId;
  /** Whose call it is; null: the agent itself asked. */
  readonly tokenId: TokenId | null;
  /** Through which connection, of a call. */
  readonly connection: string | null;
  /** SHA-256, hex, of all that is approved: what has the same is the same request. */
  readonly digest: string;
  /** What people are shown, as JSON. Holds no secret. */
  readonly payload: string;
  /** By so many different people, 1 or more. */
  readonly approvalsNeeded: number;
  /** So long after the last of them it holds: time to object. */
  readonly delaySeconds: number;
  /** The strictest tier that it reaches; null: does not apply. */
  readonly tier: SecretTier | null;
  /** Those that asked for it. */
  readonly policies: readonly PolicyRef[];
  /** For whom it is, as the token or the request says: they do not approve it. */
  readonly users: readonly string[];
}

export interface CastVote {
  readonly memberId: MemberId;
  readonly at: number;
  readonly comment: string | null;
  /** JSON of what is granted from this vote on; null: as asked. */
  readonly granted: string | null;
}

/** How it ended, where somebody ended it. */
export interface Ending {
  readonly actor: string;
  readonly reason: string | null;
}

/** One request for approval. All times are milliseconds since 1970. */
export interface Case extends NewCase {
  readonly id: ApprovalId;
  readonly ip: string | null;
  readonly requestId: string;
  readonly status: CaseStatus;
  /** Each by another person. */
  readonly votes: readonly CastVote[];
  readonly createdAt: number;
  /** Too late for an answer from then on. */
  readonly answerBy: number;
  /** While pending `answerBy`; approved: too late to be used; denied: the same may be asked for again. */
  readonly expiresAt: number;
  /** When people had answered, or it ended. */
  readonly decidedAt: number | null;
  /** Approved, it holds from then on. */
  readonly notBefore: number | null;
  /** Whether it was told that it holds. */
  readonly toldReady: boolean;
  readonly ending: Ending | null;
  readonly consumedAt: number | null;
  /** By which use. */
  readonly consumedBy: string | null;
  /** Up by one with every happening. */
  readonly revision: number;
  /** The latest moment that this case has seen: a clock that goes backwards shortens nothing. */
  readonly touchedAt: number;
}

/** What is done to a case. `look`: nothing, time alone. */
export type Act =
  | { readonly kind: "look" }
  | {
      readonly kind: "approve";
      readonly memberId: MemberId;
      readonly granted: string | null;
      readonly comment: string | null;
      readonly apartFrom: readonly MemberId[];
    }
  | { readonly kind: "deny" | "cancel"; readonly actor: string; readonly reason: string | null }
  | { readonly kind: "consume"; readonly useId: string; readonly entitled: readonly MemberId[] }
  /** `hasTwin`: the same request is open again as another case. */
  | { readonly kind: "release"; readonly useId: string; readonly hasTwin: boolean };

type HappeningType =
  | "requested"
  | "granted"
  | "ready"
  | "denied"
  | "cancelled"
  | "timed_out"
  | "consumed"
  | "released"
  | "reopened";

/** What came of it, for the ledger, for people who watch, and for those who are told. */
export interface Happening {
  readonly type: HappeningType;
  /** Of the case after it: with the case's id it names the happening. */
  readonly revision: number;
  readonly at: number;
  readonly context: Readonly<Record<string, string | number | boolean | null | readonly string[]>>;
}

export type Refusal = "over" | "answered" | "recheck" | "too_soon" | "quorum_lost";

export interface Step {
  readonly held: Case;
  readonly happened: readonly Happening[];
  /** Null: it was done, or had been done already. */
  readonly refusal: Refusal | null;
}

/** A new case: pending. `now` is the desk's clock. */
export function openCase(
  asked: NewCase,
  made: { readonly id: ApprovalId; readonly ip: string | null; readonly requestId: string },
  now: number,
): Step {
  const held: Case = {
    ...pickNew(asked),
    ...made,
    status: "pending",
    votes: [],
    createdAt: now,
    answerBy: now + ANSWERED_WITHIN_MS,
    expiresAt: now + ANSWERED_WITHIN_MS,
    decidedAt: null,
    notBefore: null,
    toldReady: false,
    ending: null,
    consumedAt: null,
    consumedBy: null,
    revision: 0,
    touchedAt: now,
  };
  return done(held, {}, "requested");
}

/** Whether people, or time, can still do something about it. */
export function isOpen({ status }: Case): boolean {
  return status === "pending" || status === "approved";
}

/** A case as it is at `now`, which may be later than what is written down. */
export function asOf(held: Case, now: number): Case {
  return advance(held, now).held;
}

/**
 * What becomes of a case. Pure: the only one that decides. First time is let to do what it does, then the act is.
 *
 *     pending ── enough approve ──▶ approved ── used, after its delay ──▶ consumed ── did not happen ──▶ approved
 *        ▲                             │
 *        └── a voter lost the right ───┤
 *     pending, approved ── one denies, one cancels, nobody in time ──▶ denied, cancelled, expired
 */
export function step(before: Case, act: Act, now: number): Step {
  const { held, happened } = advance(before, now);
  const next = apply(held, act, Math.max(now, held.touchedAt));
  return { ...next, happened: [...happened, ...next.happened] };
}

function apply(held: Case, act: Act, at: number): Step {
  switch (act.kind) {
    case "look":
      return same(held, null);
    case "approve":
      return approve(held, act, at);
    case "deny":
    case "cancel":
      return end(held, act, at);
    case "consume":
      return consume(held, act, at);
    case "release":
      return release(held, act, at);
  }
}

function approve(held: Case, act: Extract<Act, { kind: "approve" }>, at: number): Step {
  const { memberId, granted, comment, apartFrom } = act;
  const isOver = held.status === "denied" || held.status === "cancelled" || held.status === "expired";
  const earlier = held.votes.find((vote) => vote.memberId === memberId);
  if (earlier !== undefined && !isOver) {
    // Two clicks of one person are one (attack 77).
    return same(held, granted === null || granted === earlier.granted ? null : "answered");
  }
  if (held.status !== "pending") return same(held, "over");
  if (held.votes.some((vote) => !apartFrom.includes(vote.memberId))) return same(held, "recheck");
  const stands = granted ?? held.votes.at(-1)?.granted ?? null;
  const votes = [...held.votes, { memberId, at, comment, granted: stands }];
  const context = { member_id: memberId, comment, approvals: votes.length, granted_less: stands !== null };
  if (votes.length < held.approvalsNeeded) {
    return done({ ...held, votes, touchedAt: at }, context, "granted");
  }
  const notBefore = at + held.delaySeconds * 1_000;
  const approved: Case = {
    ...held,
    status: "approved",
    votes,
    decidedAt: at,
    notBefore,
    expiresAt: notBefore + USED_WITHIN_MS,
    touchedAt: at,
  };
  const voted = done(approved, context, "granted");
  return after(voted, tellReady(voted.held, at));
}

function end(
  held: Case,
  { kind, actor, reason }: Extract<Act, { kind: "deny" | "cancel" }>,
  at: number,
): Step {
  if (!isOpen(held)) return same(held, "over");
  const status = kind === "deny" ? "denied" : "cancelled";
  const ended: Case = { ...held, status, decidedAt: at, ending: { actor, reason }, touchedAt: at };
  return done(ended, { reason }, status);
}

function consume(held: Case, { useId, entitled }: Extract<Act, { kind: "consume" }>, at: number): Step {
  if (held.status === "consumed" && held.consumedBy === useId) return same(held, null);
  if (held.status !== "approved" || held.notBefore === null) return same(held, "over");
  if (at < held.notBefore) return same(held, "too_soon");
  const counting = held.votes.filter(({ memberId }) => entitled.includes(memberId));
  if (counting.length >= held.approvalsNeeded) {
    const used: Case = { ...held, status: "consumed", consumedAt: at, consumedBy: useId, touchedAt: at };
    return done(used, { use: useId }, "consumed");
  }
  const withdrawn = held.votes.filter((vote) => !counting.includes(vote)).map(({ memberId }) => memberId);
  const reopened: Case = {
    ...held,
    status: "pending",
    votes: counting,
    expiresAt: held.answerBy,
    decidedAt: null,
    notBefore: null,
    toldReady: false,
    touchedAt: at,
  };
  const step = done(reopened, { withdrawn, approvals: counting.length }, "reopened");
  return { ...after(step, advance(step.held, at)), refusal: "quorum_lost" };
}

function release(held: Case, { useId, hasTwin }: Extract<Act, { kind: "release" }>, at: number): Step {
  if (held.status !== "consumed" || held.consumedBy !== useId) return same(held, null);
  if (hasTwin) return same(held, "over");
  const open: Case = { ...held, status: "approved", consumedAt: null, consumedBy: null, touchedAt: at };
  const step = done(open, { use: useId }, "released");
  return after(step, advance(step.held, at));
}

/** What time alone does. */
function advance(held: Case, now: number): Step {
  const at = Math.max(now, held.touchedAt);
  if (!isOpen(held)) return same(held, null);
  if (at >= held.expiresAt) {
    const late: Case = { ...held, status: "expired", decidedAt: held.expiresAt, touchedAt: at };
    return done(late, { was: held.status }, "timed_out");
  }
  return tellReady(held, at);
}

function tellReady(held: Case, at: number): Step {
  if (held.status !== "approved" || held.toldReady || held.notBefore === null || at < held.notBefore) {
    return same(held, null);
  }
  return done({ ...held, toldReady: true, touchedAt: at }, {}, "ready");
}

function done(held: Case, context: Happening["context"], type: Happening["type"]): Step {
  const revision = held.revision + 1;
  const happening = { type, revision, at: held.touchedAt, context };
  return { held: { ...held, revision }, happened: [happening], refusal: null };
}

function same(held: Case, refusal: Refusal | null): Step {
  return { held, happened: [], refusal };
}

function after(first: Step, second: Step): Step {
  return { ...second, happened: [...first.happened, ...second.happened] };
}

function pickNew(asked: NewCase): NewCase {
  const { kind, agentId, tokenId, connection, digest, payload, tier, policies, users } = asked;
  const { approvalsNeeded, delaySeconds } = asked;
  return {
    ...{ kind, agentId, tokenId, connection, digest, payload, tier, policies, users },
    ...{ approvalsNeeded: Math.max(1, approvalsNeeded), delaySeconds: Math.max(0, delaySeconds) },
  };
}
