import { newId } from "../base/ids.ts";
import { Problem, type ProblemCode, renderProblem } from "../base/problem.ts";
import type { OpenSecrets } from "../credentials/kind.ts";
import type { Lease } from "../identity/leases.ts";
import { denialOf } from "../tokens/denial.ts";
import { findToken, unauthorized } from "./authenticate.ts";
import { type AgentCall, callEvent, withoutToken } from "./call.ts";
import { CallBody } from "./call-body.ts";
import { type Decided, decideCall } from "./decide.ts";
import { forward } from "./forward.ts";
import type { Gateway } from "./gateway.ts";
import { type Addressed, rewriter } from "./hosts.ts";
import { bodyOf, inject } from "./inject.ts";
import { redactorFor } from "./redactors.ts";
import { respond } from "./respond.ts";
import type { Target } from "./target.ts";

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
    info: { requestId, ip: client.address, userAgent: request.headers.get("user-agent") },
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
  readonly secrets: OpenSecrets;
  readonly seq: number;
}

async function passCall(call: AgentCall, gateway: Gateway, requestId: string): Promise<Response> {
  const { admission, clock, waitUntil } = gateway;
  const startedAt = clock();
  const { decided, secrets, seq } = await admit(call, gateway);
  const settle = (status: number, bytes: number, error?: string): void =>
    admission.settle(call.grant, {
      seq,
      status,
      durationMs: clock() - startedAt,
      bytes,
      ...(error === undefined ? {} : { error }),
    });
  try {
    const { route, draft, sealed } = decided;
    inject(draft, route, secrets);
    const upstream = await forward(draft.outgoing, bodyOf(draft), route, gateway.fetch);
    if (draft.websocket && upstream.webSocket) {
      settle(101, 0);
      return new Response(null, { status: 101, webSocket: upstream.webSocket });
    }
    const response = await respond(upstream, {
      method: call.method,
      redactor: redactorFor(route, sealed, secrets, clock()),
      rewrite: rewriter(route.destination, call.addressed.prefix),
      waitUntil,
      onEnd: ({ bytes, broken }) => settle(upstream.status, bytes, broken ? "BROKEN_OFF" : undefined),
    });
    // The provider's own id is the one that its support asks for.
    response.headers.set("x-valetkey-request-id", requestId);
    if (!response.headers.has("x-request-id")) response.headers.set("x-request-id", requestId);
    return response;
  } catch (error) {
    const code = error instanceof Problem ? error.code : "INTERNAL";
    settle(error instanceof Problem ? error.status : 500, 0, code);
    throw error;
  }
}

/** Decides and charges, again where the configuration moved meanwhile. */
async function admit(call: AgentCall, gateway: Gateway): Promise<Admitted> {
  const { admission, credentials } = gateway;
  const callId = newId("call");
  let epoch = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { lease, confirmation } = await leaseFor(call, gateway, epoch, round);
    const { decided, lease: decidedOn } = await decide(call, gateway, lease, confirmation);
    const { tenantId } = call.grant;
    if (!credentials.isWarm(decided.sealed)) await credentials.open(tenantId, decided.sealed);
    const opening = credentials.open(tenantId, decided.sealed);
    opening.catch(() => undefined);
    const event = callEvent(call, decided.route.destination.authority);
    const verdict = await admission.charge(call.grant, {
      callId,
      epoch: decidedOn.epoch,
      ip: call.ip,
      event,
    });
    if (verdict.kind === "stale") {
      ({ epoch } = verdict);
      continue;
    }
    if (verdict.kind !== "allowed") throw denialOf(verdict, unauthorized);
    if (confirmation === null || decidedOn !== lease)
      return { decided, secrets: await opening, seq: verdict.seq };
    return await confirmed(
      call,
      gateway,
      { decided, secrets: await opening, seq: verdict.seq },
      lease,
      confirmation,
    );
  }
  throw new Problem("UNAVAILABLE", "The configuration changed too often to decide this call. Try again.");
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
    gateway.admission.deny(call.grant, error.code, callEvent(call, null));
    throw error;
  }
}

/** A charge made under a lapsed lease goes on only if the fresh one says the same, or allows the call anew. */
async function confirmed(
  call: AgentCall,
  gateway: Gateway,
  admitted: Admitted,
  lease: Lease,
  confirmation: Promise<Lease>,
): Promise<Admitted> {
  const refuse = (error: unknown): never => {
    const { code, status } = error instanceof Problem ? error : new Problem("UNAVAILABLE", "");
    gateway.admission.settle(call.grant, { seq: admitted.seq, status, durationMs: 0, bytes: 0, error: code });
    throw error;
  };
  const fresh = await confirmation.catch(refuse);
  if (fresh.epoch === lease.epoch && fresh.frozen === lease.frozen) return admitted;
  const decided = await decideCall(gateway, call, fresh).catch(refuse);
  const secrets = await gateway.credentials.open(call.grant.tenantId, decided.sealed).catch(refuse);
  return { decided, secrets, seq: admitted.seq };
}

const TRANSIENT = new Set<string>([
  "RATE_LIMITED",
  "INTERNAL",
  "UPSTREAM_FAILED",
  "UNAVAILABLE",
  "UPSTREAM_TIMEOUT",
] satisfies ProblemCode[]);

/**
 * What SDKs that repeat a 409 or 5xx by themselves look at first (OpenAI's and Anthropic's, Stripe's): to repeat an
 * UPSTREAM_REFUSED would carry the call out again, and to no end.
 */
const NO_RETRY_HEADERS = ["x-should-retry", "stripe-should-retry"];

/** The gateway's own refusal, which an SDK's user can tell from the provider's by `X-Valetkey-Error`. */
export function refusal(error: unknown, requestId: string, accept: string | null): Response {
  const problem =
    error instanceof Problem
      ? error
      : new Problem("INTERNAL", "Something went wrong in the gateway; the request id finds it in the log.");
  if (problem !== error) {
    const name = error instanceof Error ? error.name : "unknown";
    const at = error instanceof Error ? (error.stack?.split("\n")[1]?.trim() ?? "") : "";
    console.error(JSON.stringify({ at: "gateway.proxy", request_id: requestId, error: name, where: at }));
  }
  const response = renderProblem(problem, requestId, accept);
  response.headers.set("x-valetkey-error", problem.code);
  if (!TRANSIENT.has(problem.code)) {
    for (const name of NO_RETRY_HEADERS) response.headers.set(name, "false");
  }
  return response;
}
