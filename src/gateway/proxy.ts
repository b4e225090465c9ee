import { newId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Costs } from "../budgets/budget-set.ts";
import { admit, approvalFor } from "./admit.ts";
import { afterCut } from "./after-cut.ts";
import { findToken, unauthorized } from "./authenticate.ts";
import { type AgentCall, callOf, type ClientAddress } from "./call.ts";
import { Deadline } from "./deadline.ts";
import { forward } from "./forward.ts";
import type { Gateway } from "./gateway.ts";
import { type Addressed, rewriter } from "./hosts.ts";
import { bodyOf, inject } from "./inject.ts";
import { checkHeaders } from "./limits.ts";
import { Meter } from "./meter.ts";
import { Cut, OpenStream, type StreamParts } from "./open-streams.ts";
import { refusal } from "./refusal.ts";
import { type Passed, respond } from "./respond.ts";
import type { Target } from "./target.ts";
import { bridge } from "./websocket.ts";

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

async function passCall(call: AgentCall, gateway: Gateway, requestId: string): Promise<Response> {
  const { admission, clock, waitUntil } = gateway;
  const startedAt = clock();
  const deadline = new Deadline();
  const settle = (seq: number, status: number, bytes: number, error?: string, costs?: Costs): void =>
    admission.settle(call.grant, {
      seq,
      status,
      durationMs: clock() - startedAt,
      bytes,
      ...(error === undefined ? {} : { error }),
      ...(costs === undefined ? {} : { costs }),
    });
  const approval = await approvalFor(call, gateway);
  let charged: number | null = null;
  const reading: { meter: Meter | null } = { meter: null };
  let hasLeft = false;
  try {
    const admitted = await admit(call, gateway, approval, deadline, (seq, reservation) => {
      charged = seq;
      reading.meter = reservation === null ? null : new Meter(reservation);
    });
    const { seq, armed } = admitted;
    const { route, draft, targets } = admitted.decided;
    const open = (kind: StreamParts["kind"]): OpenStream =>
      new OpenStream({
        ...{ kind, grant: call.grant, targets, limits: route.limits },
        ...{ leases: gateway.leases, deadline, clock, waitUntil },
      });
    inject(draft, route, armed.secrets);
    const content = bodyOf(draft);
    const body = { content: reading.meter?.counted(content, draft.length) ?? content, length: draft.length };
    hasLeft = true;
    const upstream = await forward(draft.outgoing, body, route, gateway.fetch, deadline);
    const onEnd =
      (status: number) =>
      ({ bytes, error }: Passed): void =>
        settle(
          seq,
          status,
          bytes,
          error ?? undefined,
          reading.meter?.costs({ status, bytes, isWhole: error === null }),
        );
    if (draft.websocket && upstream.webSocket) {
      return bridge(upstream.webSocket, upstream.headers, {
        redactor: armed.redactor,
        waitUntil,
        stream: open("websocket"),
        onSent: (bytes) => reading.meter?.sent(bytes),
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
      meter: reading.meter,
    });
    // The provider's own id is the one that its support asks for.
    response.headers.set("x-valetkey-request-id", requestId);
    if (!response.headers.has("x-request-id")) response.headers.set("x-request-id", requestId);
    if (approval.id !== null) response.headers.set("x-valetkey-approval", approval.id);
    return response;
  } catch (thrown) {
    const error = thrown instanceof Cut ? afterCut(thrown) : thrown;
    const { status, code } = error instanceof Problem ? error : { status: 500, code: "INTERNAL" };
    const costs = hasLeft ? undefined : reading.meter?.nothing;
    if (charged !== null) settle(charged, status, 0, thrown instanceof Cut ? thrown.code : code, costs);
    if (!hasLeft) await approval.giveBack();
    throw error;
  }
}
