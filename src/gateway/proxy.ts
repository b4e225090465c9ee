import { newId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { inAllowlist } from "../base/address.ts";
import { LEASE_MS, type Lease } from "../identity/leases.ts";
import { denialOf } from "../tokens/denial.ts";
import { type Armed, arm, findArmed } from "./armed.ts";
import { findToken, unauthorized } from "./authenticate.ts";
import { type AgentCall, callEvent, withoutToken } from "./call.ts";
import { CallBody } from "./call-body.ts";
import { Deadline } from "./deadline.ts";
import { type Decided, decideCall } from "./decide.ts";
import { forward } from "./forward.ts";
import type { Gateway } from "./gateway.ts";
import { fieldOf } from "./headers.ts";
import { type Addressed, rewriter } from "./hosts.ts";
import { bodyOf, inject } from "./inject.ts";
import { refusal } from "./refusal.ts";
import { type Passed, respond } from "./respond.ts";
import type { Target } from "./target.ts";
import { bridge } from "./websocket.ts";

const MAX_ROUNDS = 4;

/** Who calls, as far as the platform tells. */
export interface ClientAddress {
  readonly address: string | null;
  /** The address is one that anybody's Worker has: it proves nothing (attack 62). */
  readonly shared: boolean;
}

/**
 * An agent's call to a provider: authenticate, resolve, authorize, charge beside obtaining the credential, inject,
 * forward, redact. Nothing leaves before its use is durably recorded, and the credential is attached last.
 */
export async function proxy(
  request: Request,
  target: Target,
  addressed: Addressed,
  client: ClientAddress,
  gateway: Gateway,
): Promise<Response> {
  const requestId = newId("request");
  try {
    const call = await authenticate(request, requestId, target, addressed, client, gateway);
    return await passCall(call, gateway, requestId);
  } catch (error) {
    return refusal(error, requestId, request.headers.get("accept"));
  }
}

async function authenticate(
  request: Request,
  requestId: string,
  target: Target,
  addressed: Addressed,
  client: ClientAddress,
  gateway: Gateway,
): Promise<AgentCall> {
  const fields = [...request.headers];
  const presented = findToken(fields, target);
  const claims = gateway.admission.verify(presented.token);
  if (claims === null) throw unauthorized();
  const grant = await gateway.admission.grant(claims);
  if (grant === null) throw unauthorized();
  return {
    request,
    fields,
    body: new CallBody(request),
    info: { requestId, ip: client.address, userAgent: fieldOf(fields, "user-agent") },
    ip: client.shared ? null : client.address,
    grant,
    presented,
    addressed,
    method: request.method,
    ...withoutToken(addressed, target, presented),
  };
}

interface Admitted {
  readonly decided: Decided;
  readonly armed: Armed;
  readonly seq: number;
}

async function passCall(call: AgentCall, gateway: Gateway, requestId: string): Promise<Response> {
  const { admission, clock, waitUntil } = gateway;
  const startedAt = clock();
  const deadline = new Deadline();
  const settle = (seq: number, status: number, bytes: number, error?: string): void =>
    admission.settle(call.grant, {
      seq,
      status,
      durationMs: clock() - startedAt,
      bytes,
      ...(error === undefined ? {} : { error }),
    });
  let charged: number | null = null;
  try {
    const admitted = await admit(call, gateway, deadline, (seq) => {
      charged = seq;
    });
    const { seq, armed } = admitted;
    const { route, draft } = admitted.decided;
    inject(draft, route, armed.secrets);
    const upstream = await forward(draft.outgoing, bodyOf(draft), route, gateway.fetch, deadline);
    if (draft.websocket && upstream.webSocket) {
      const onEnd = ({ bytes, broken }: Passed) => settle(seq, 101, bytes, broken ? "BROKEN_OFF" : undefined);
      return bridge(upstream.webSocket, upstream.headers, { redactor: armed.redactor, waitUntil, onEnd });
    }
    const response = await respond(upstream, {
      method: call.method,
      redactor: armed.redactor,
      rewrite: rewriter(route.destination, call.addressed.prefix),
      waitUntil,
      onEnd: ({ bytes, broken }) => settle(seq, upstream.status, bytes, broken ? "BROKEN_OFF" : undefined),
    });
    // The provider's own id is the one that its support asks for.
    response.headers.set("x-valetkey-request-id", requestId);
    if (!response.headers.has("x-request-id")) response.headers.set("x-request-id", requestId);
    return response;
  } catch (error) {
    const { status, code } = error instanceof Problem ? error : { status: 500, code: "INTERNAL" };
    if (charged !== null) settle(charged, status, 0, code);
    throw error;
  }
}

/** Decides and charges, again where the configuration moved meanwhile. `onCharge` is told at once. */
async function admit(
  call: AgentCall,
  gateway: Gateway,
  deadline: Deadline,
  onCharge: (seq: number) => void,
): Promise<Admitted> {
  const { admission, credentials, clock } = gateway;
  const { tenantId } = call.grant;
  const callId = newId("call");
  let epoch = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { lease, confirmation } = await leaseFor(call, gateway, epoch, round);
    const { decided, lease: decidedOn } = await decide(call, gateway, lease, confirmation);
    const { route, sealed, draft } = decided;
    const atHand = findArmed(route, sealed, clock());
    // A data key that is not at hand is obtained first: a key service that fails burns no use.
    if (atHand === null && !credentials.isWarm(sealed)) await credentials.open(tenantId, sealed);
    // Whatever took its time (a body, a key service) must not have outlived what the call was decided on.
    if (confirmation === null && hasLapsed(decidedOn, clock())) continue;
    const opening = atHand === null ? credentials.open(tenantId, sealed) : null;
    opening?.catch(() => undefined);
    const event = callEvent(call, draft.outgoing.path, route.destination.authority);
    const charge = { callId, epoch: decidedOn.epoch, ip: call.ip, event };
    const verdict = await admission.charge(call.grant, charge, (ms, work) => deadline.within(ms, work));
    if (verdict.kind === "stale") {
      ({ epoch } = verdict);
      continue;
    }
    if (verdict.kind !== "allowed") throw denialOf(verdict, unauthorized);
    const { seq } = verdict;
    onCharge(seq);
    const armed =
      atHand ?? arm(route, sealed, await (opening ?? credentials.open(tenantId, sealed)), clock());
    const awaited = decidedOn === lease ? confirmation : null;
    if (awaited === null && !hasLapsed(decidedOn, clock())) return { decided, armed, seq };
    const fresh = await (awaited ?? gateway.leases.ask(tenantId, gateway.waitUntil));
    return await confirmed(call, gateway, { decided, armed, seq }, decidedOn, fresh);
  }
  throw new Problem("UNAVAILABLE", "The configuration changed too often to decide this call. Try again.");
}

function hasLapsed(lease: Lease, now: number): boolean {
  return now - lease.askedAt >= LEASE_MS;
}

/**
 * The lease to decide under. Where it has lapsed, the last one serves for the time being and a fresh one is asked for
 * beside the charge: nothing leaves before that confirms it.
 */
async function leaseFor(
  call: AgentCall,
  gateway: Gateway,
  epoch: number,
  round: number,
): Promise<{ readonly lease: Lease; readonly confirmation: Promise<Lease> | null }> {
  const { leases, waitUntil } = gateway;
  const { tenantId } = call.grant;
  const current = leases.current(tenantId, waitUntil);
  if (current !== null && current.epoch >= epoch && round === 0)
    return { lease: current, confirmation: null };
  const asked = leases.ask(tenantId, waitUntil);
  const last = leases.last(tenantId);
  if (last === null || round > 0) return { lease: await asked, confirmation: null };
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
    if (call.info.ip === null) {
      throw new Problem("ADDRESS_DENIED", "The platform did not say which address this call comes from.");
    }
    return { decided: await decideCall(gateway, call, lease), lease };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // A refusal under a lapsed lease may be out of date.
    if (confirmation !== null) return decide(call, gateway, await confirmation, null);
    gateway.admission.deny(call.grant, error.code, callEvent(call, call.path, null));
    throw await unlessDead(call, gateway, error);
  }
}

/** What a token that could not be charged anyway is told instead of why its call was refused (attack 57). */
async function unlessDead(call: AgentCall, gateway: Gateway, refusal: Problem): Promise<Problem> {
  const { ipAllowlist } = call.grant;
  if (await gateway.admission.isRevoked(call.grant)) return unauthorized();
  const isElsewhere = ipAllowlist.length > 0 && (call.ip === null || !inAllowlist(call.ip, ipAllowlist));
  return isElsewhere ? denialOf({ kind: "denied", reason: "address" }, unauthorized) : refusal;
}

/** A charge made under a lapsed lease goes on only if the fresh one says the same, or allows the call anew. */
async function confirmed(
  call: AgentCall,
  gateway: Gateway,
  admitted: Admitted,
  decidedOn: Lease,
  fresh: Lease,
): Promise<Admitted> {
  if (fresh.version === decidedOn.version) return admitted;
  const decided = await decideCall(gateway, call, fresh);
  const { route, sealed } = decided;
  const now = gateway.clock();
  const atHand = findArmed(route, sealed, now);
  const armed =
    atHand ?? arm(route, sealed, await gateway.credentials.open(call.grant.tenantId, sealed), now);
  return { decided, armed, seq: admitted.seq };
}
