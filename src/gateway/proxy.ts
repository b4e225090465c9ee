import { proofRefused } from "../base/bearer.ts";
import { newId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { inAllowlist } from "../base/address.ts";
import { DEFAULT_LIMITS } from "../connections/limits.ts";
import type { SpendableProof } from "../identity/dpop/presented.ts";
import { LEASE_MS, type Lease } from "../identity/leases.ts";
import { denialOf } from "../tokens/denial.ts";
import { afterCut } from "./after-cut.ts";
import { type Armed, arm, findArmed } from "./armed.ts";
import { findToken, unauthorized } from "./authenticate.ts";
import { type AgentCall, callEvent, callOf, type ClientAddress } from "./call.ts";
import { Deadline } from "./deadline.ts";
import { type Decided, decideCall } from "./decide.ts";
import { forward } from "./forward.ts";
import type { Gateway } from "./gateway.ts";
import { type Addressed, rewriter } from "./hosts.ts";
import { bodyOf, inject } from "./inject.ts";
import { checkHeaders } from "./limits.ts";
import { Cut, OpenStream, type StreamParts } from "./open-streams.ts";
import { checkProof, isProofDue } from "./proof.ts";
import { refusal } from "./refusal.ts";
import { type Passed, respond } from "./respond.ts";
import type { Target } from "./target.ts";
import { bridge } from "./websocket.ts";

const MAX_ROUNDS = 4;

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
  checkHeaders(fields);
  const presented = findToken(fields, target);
  const claims = gateway.admission.verify(presented.token);
  if (claims === null) throw unauthorized();
  const grant = await gateway.admission.grant(claims);
  if (grant === null) throw unauthorized();
  return callOf({ request, fields, requestId, client, grant, presented, addressed, target });
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
    const { route, draft, targets } = admitted.decided;
    const open = (kind: StreamParts["kind"]): OpenStream =>
      new OpenStream({
        ...{ kind, grant: call.grant, targets, limits: route.limits },
        ...{ leases: gateway.leases, deadline, clock, waitUntil },
      });
    inject(draft, route, armed.secrets);
    const body = { content: bodyOf(draft), length: draft.length };
    const upstream = await forward(draft.outgoing, body, route, gateway.fetch, deadline);
    const onEnd =
      (status: number) =>
      ({ bytes, error }: Passed): void =>
        settle(seq, status, bytes, error ?? undefined);
    if (draft.websocket && upstream.webSocket) {
      return bridge(upstream.webSocket, upstream.headers, {
        redactor: armed.redactor,
        waitUntil,
        stream: open("websocket"),
        onEnd: onEnd(101),
      });
    }
    const response = await respond(upstream, {
      method: call.method,
      redactor: armed.redactor,
      rewrite: rewriter(route.destination, call.addressed.prefix),
      limits: route.limits,
      waitUntil,
      open: () => open("body"),
      onEnd: onEnd(upstream.status),
    });
    // The provider's own id is the one that its support asks for.
    response.headers.set("x-valetkey-request-id", requestId);
    if (!response.headers.has("x-request-id")) response.headers.set("x-request-id", requestId);
    return response;
  } catch (thrown) {
    const error = thrown instanceof Cut ? afterCut(thrown) : thrown;
    const { status, code } = error instanceof Problem ? error : { status: 500, code: "INTERNAL" };
    if (charged !== null) settle(charged, status, 0, thrown instanceof Cut ? thrown.code : code);
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
  const proof = isProofDue(call) ? await proven(call, gateway) : null;
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
    const concurrency = {
      connection: route.slug,
      limit: route.limits.concurrent_calls ?? DEFAULT_LIMITS.concurrent_calls,
    };
    const charge = {
      ...{ callId, epoch: decidedOn.epoch, ip: call.ip, event, concurrency },
      ...(proof === null ? null : { proof }),
    };
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
    return { decided: await decideCall(gateway, call, lease), lease };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // A refusal under a lapsed lease may be out of date.
    if (confirmation !== null) return decide(call, gateway, await confirmation, null);
    gateway.admission.deny(call.grant, error.code, callEvent(call, call.path, null));
    throw await unlessDead(call, gateway, error);
  }
}

/** The proof that a call is charged with. A refusal is recorded, and says nothing to a dead token. */
async function proven(call: AgentCall, gateway: Gateway): Promise<SpendableProof | null> {
  const verdict = await checkProof(call, gateway);
  if (verdict.kind === "ok") return verdict.proof;
  gateway.admission.deny(call.grant, `proof_${verdict.reason}`, callEvent(call, call.path, null));
  throw await unlessDead(call, gateway, proofRefused());
}

/** What a token that could not be charged anyway is told instead of why its call was refused (attack 57). */
export async function unlessDead(call: AgentCall, gateway: Gateway, refusal: Problem): Promise<Problem> {
  const { ipAllowlist } = call.grant;
  if (await gateway.admission.isRevoked(call.grant)) return unauthorized();
  const isElsewhere = ipAllowlist.length > 0 && (call.ip === null || !inAllowlist(call.ip, ipAllowlist));
  return isElsewhere ? denialOf({ kind: "denied", reason: "address" }, unauthorized) : refusal;
}

/**
 * A charge made under a lapsed lease goes on only if one that is good at the end says the same, or allows the call
 * anew: the charge, or deciding, can have outlived the fresh one as well.
 */
async function confirmed(
  call: AgentCall,
  gateway: Gateway,
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
    const { route, sealed } = decided;
    const now = gateway.clock();
    const atHand = findArmed(route, sealed, now);
    const armed =
      atHand ?? arm(route, sealed, await gateway.credentials.open(call.grant.tenantId, sealed), now);
    [admitted, decidedOn] = [{ decided, armed, seq: charged.seq }, fresh];
  }
  throw new Problem("UNAVAILABLE", "The configuration changed too often to decide this call. Try again.");
}
