import { proofRefused } from "../base/bearer.ts";
import { type ApprovalId, newId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { isReserved, type Reservation } from "../budgets/budget-set.ts";
import { DEFAULT_LIMITS } from "../connections/limits.ts";
import type { SpendableProof } from "../identity/dpop/presented.ts";
import { LEASE_MS, type Lease } from "../identity/leases.ts";
import type { EventDraft } from "../tokens/charge.ts";
import { denialOf } from "../tokens/denial.ts";
import { deniedBy } from "../tokens/denied-by.ts";
import { CallApproval, checkApprovable, isAboutApproval } from "./approval.ts";
import { type Armed, arm, findArmed } from "./armed.ts";
import { unauthorized } from "./authenticate.ts";
import { type AgentCall, callEvent } from "./call.ts";
import type { Deadline } from "./deadline.ts";
import { type Decided, decideCall } from "./decide.ts";
import { proven, refused } from "./denied.ts";
import type { Gateway } from "./gateway.ts";
import { isProofDue } from "./proof.ts";

const MAX_ROUNDS = 4;

/** A call that may leave: decided, charged, its credential at hand. */
export interface Admitted {
  readonly decided: Decided;
  readonly armed: Armed;
  readonly seq: number;
}

/** What the call needs of people; a refusal of how it asks for that is recorded. */
export async function approvalFor(call: AgentCall, gateway: Gateway): Promise<CallApproval> {
  try {
    const callId = newId("call");
    return new CallApproval(call, gateway, callId);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw await refused(call, gateway, error);
  }
}

/**
 * Decides, waits for people where the caller would have it so, and charges. `onCharge` is told at once. What people have
 * to answer first, or have denied, is a refusal like others: recorded, with the approval.
 */
export async function admit(
  call: AgentCall,
  gateway: Gateway,
  approval: CallApproval,
  deadline: Deadline,
  onCharge: (seq: number, reservation: Reservation | null) => void,
): Promise<Admitted> {
  const proof = isProofDue(call) ? await proven(call, gateway) : null;
  for (let isAgain = false; ; isAgain = true) {
    try {
      return await decideAndCharge(call, gateway, { approval, proof, isAgain, deadline, onCharge });
    } catch (error) {
      if (!isAboutApproval(error)) throw error;
      const refusal = await approval.hold(error);
      if (refusal === null) continue;
      const event = withApproval(callEvent(call, call.path, null), error.options.approval.id);
      gateway.admission.deny(call.grant, refusal.code, event);
      throw refusal;
    }
  }
}

interface Admitting {
  readonly approval: CallApproval;
  readonly proof: SpendableProof | null;
  /** The call was held open: it is decided as if it came now. */
  readonly isAgain: boolean;
  readonly deadline: Deadline;
  readonly onCharge: (seq: number, reservation: Reservation | null) => void;
}

/** Again where the configuration moved meanwhile. */
async function decideAndCharge(
  call: AgentCall,
  gateway: Gateway,
  { approval, proof, isAgain, deadline, onCharge }: Admitting,
): Promise<Admitted> {
  const { admission, credentials, clock } = gateway;
  const { tenantId } = call.grant;
  let epoch = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { lease, confirmation } = await leaseFor(call, gateway, epoch, isAgain || round > 0);
    const { decided, lease: decidedOn } = await decide(call, gateway, lease, confirmation);
    const needsPeople = decided.ask !== null || approval.id !== null;
    // Nobody is asked, and no approval used up, for what was decided on may be out of date.
    if (needsPeople && confirmation !== null && decidedOn === lease) {
      await confirmation;
      continue;
    }
    const { route, sealed, draft, tallies, reservation } = decided;
    const atHand = findArmed(route, sealed, clock());
    // A data key that is not at hand is obtained first: a key service that fails burns no use.
    if (atHand === null && !credentials.isWarm(sealed)) await credentials.open(tenantId, sealed);
    // Whatever took its time (a body, a key service) must not have outlived what the call was decided on.
    if (confirmation === null && hasLapsed(decidedOn, clock())) continue;
    const concurrency = {
      connection: route.slug,
      limit: route.limits.concurrent_calls ?? DEFAULT_LIMITS.concurrent_calls,
    };
    const drawn = {
      ...{ epoch: decidedOn.epoch, ip: call.ip, concurrency },
      ...(tallies.length === 0 ? null : { tallies }),
      ...(reservation === null ? null : { budgets: reservation.claims }),
    };
    const event = callEvent(call, draft.outgoing.path, route.destination.authority);
    if (needsPeople) {
      // People are asked only for what could go on at once if they agreed, and never by a token that is dead.
      const { verdict } = await admission.preview(call.grant, drawn);
      if (verdict.kind === "stale") {
        ({ epoch } = verdict);
        continue;
      }
      if (verdict.kind === "denied") admission.deny(call.grant, verdict.reason, event, deniedBy(verdict));
      if (verdict.kind !== "allowed") throw denialOf(verdict, unauthorized);
      await covered(call, gateway, approval, decided);
      if (hasLapsed(decidedOn, clock())) continue;
    }
    // One that was held open can have outlived its proof: then nothing remembers that it was used.
    if (isAgain && proof !== null && proof.expiresAt <= clock()) throw proofRefused();
    const opening = atHand === null ? credentials.open(tenantId, sealed) : null;
    opening?.catch(() => undefined);
    const charge = {
      ...{ ...drawn, callId: approval.callId, event: withApproval(event, approval.id) },
      ...(proof === null ? null : { proof }),
    };
    const verdict = await admission.charge(call.grant, charge, (ms, work) => deadline.within(ms, work));
    if (verdict.kind === "stale") {
      ({ epoch } = verdict);
      continue;
    }
    const awaited = decidedOn === lease ? confirmation : null;
    if (verdict.kind === "denied" && verdict.reason === "budget" && awaited !== null) {
      // Refused by a limit that may be out of date.
      const { version, epoch: newest } = await awaited;
      epoch = newest;
      if (version !== decidedOn.version) continue;
    }
    if (verdict.kind !== "allowed") throw denialOf(verdict, unauthorized);
    const { seq } = verdict;
    onCharge(seq, reservation);
    const armed =
      atHand ?? arm(route, sealed, await (opening ?? credentials.open(tenantId, sealed)), clock());
    if (awaited === null && !hasLapsed(decidedOn, clock())) return { decided, armed, seq };
    const fresh = await (awaited ?? gateway.leases.ask(tenantId, gateway.waitUntil));
    return await confirmed(call, gateway, approval, { decided, armed, seq }, decidedOn, fresh);
  }
  throw new Problem("UNAVAILABLE", "The configuration changed too often to decide this call. Try again.");
}

/** As `approval.cover`; that the agent asks for too much is recorded. */
async function covered(
  call: AgentCall,
  gateway: Gateway,
  approval: CallApproval,
  decided: Decided,
): Promise<void> {
  try {
    await approval.cover(decided);
  } catch (error) {
    // The others are recorded where they are final, or say that nothing is known.
    const isTooMuch = error instanceof Problem && ["CONFLICT", "RATE_LIMITED"].includes(error.code);
    throw isTooMuch ? await refused(call, gateway, error) : error;
  }
}

function withApproval(event: EventDraft, id: ApprovalId | null): EventDraft {
  return id === null ? event : { ...event, context: { ...event.context, approval_id: id } };
}

function hasLapsed(lease: Lease, now: number): boolean {
  const age = now - lease.askedAt;
  return age < 0 || age >= LEASE_MS;
}

/**
 * The lease to decide under. Where it has lapsed, the last one serves for the time being and a fresh one is asked for
 * beside the charge: nothing leaves before that confirms it.
 */
async function leaseFor(
  call: AgentCall,
  gateway: Gateway,
  epoch: number,
  isFreshDue: boolean,
): Promise<{ readonly lease: Lease; readonly confirmation: Promise<Lease> | null }> {
  const { leases, waitUntil } = gateway;
  const { tenantId } = call.grant;
  const current = leases.current(tenantId, waitUntil);
  if (current !== null && current.epoch >= epoch && !isFreshDue)
    return { lease: current, confirmation: null };
  const asked = leases.ask(tenantId, waitUntil);
  const last = leases.last(tenantId);
  if (last === null || isFreshDue) return { lease: await asked, confirmation: null };
  asked.catch(() => undefined);
  return { lease: last, confirmation: asked };
}

async function decide(
  call: AgentCall,
  gateway: Gateway,
  lease: Lease,
  confirmation: Promise<Lease> | null,
): Promise<{ readonly decided: Decided; readonly lease: Lease }> {
  try {
    const decided = await decideCall(gateway, call, lease);
    checkApprovable(decided);
    return { decided, lease };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // A refusal under a lapsed lease may be out of date.
    if (confirmation !== null) return decide(call, gateway, await confirmation, null);
    throw await refused(call, gateway, error);
  }
}

/**
 * A charge made under a lapsed lease goes on only if one that is good at the end says the same, or allows the call
 * anew: the charge, or deciding, can have outlived the fresh one as well. Where people would have to answer anything else
 * than what it was charged with, it does not go on: they are asked when it comes again.
 */
async function confirmed(
  call: AgentCall,
  gateway: Gateway,
  approval: CallApproval,
  charged: Admitted,
  chargedOn: Lease,
  confirmation: Lease,
): Promise<Admitted> {
  let [admitted, decidedOn, fresh] = [charged, chargedOn, confirmation];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (hasLapsed(fresh, gateway.clock())) {
      fresh = await gateway.leases.ask(call.grant.tenantId, gateway.waitUntil);
    }
    if (fresh.version === decidedOn.version) return admitted;
    const decided = await decideCall(gateway, call, fresh);
    if (!approval.covers(decided) || !isReserved(decided.reservation, charged.decided.reservation)) break;
    const { route, sealed } = decided;
    const now = gateway.clock();
    const atHand = findArmed(route, sealed, now);
    const armed =
      atHand ?? arm(route, sealed, await gateway.credentials.open(call.grant.tenantId, sealed), now);
    [admitted, decidedOn] = [{ decided, armed, seq: charged.seq }, fresh];
  }
  throw new Problem("UNAVAILABLE", "The configuration changed too often to decide this call. Try again.");
}
