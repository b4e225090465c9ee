import type { AskedCall } from "../approvals/call-approvals.ts";
import { digestOfCall, type ExactCall } from "../approvals/digest.ts";
import { shownCall } from "../approvals/shown-call.ts";
import type { AgentCall } from "./call.ts";
import type { Decided } from "./decide.ts";
import { type Ask, strictest } from "./policing.ts";

/** The question to people about a call: what they are shown, and the digest, are of the same bytes. */
export function askedCall(call: AgentCall, decided: Decided, ask: Ask): AskedCall {
  const { grant, info } = call;
  const exact = exactCall(call, decided, ask);
  const { view, draft, route } = decided;
  const users = [grant.user, grant.context.user].filter((user) => typeof user === "string");
  return {
    ...{ tenantId: grant.tenantId, agentId: grant.agentId, tokenId: grant.tokenId },
    digest: digestOfCall(exact),
    connection: route.slug,
    ...ask,
    tier: strictest(Object.values(decided.sealed)),
    users: [...new Set(users)],
    info,
    shown: () => shownCall(exact, draft.outgoing.path, view.body.kind),
  };
}

function exactCall({ grant }: AgentCall, { route, draft, sealed }: Decided, ask: Ask): ExactCall {
  const { outgoing } = draft;
  const { scheme, authority, basePath } = route.destination;
  const { tool, user, context } = grant;
  return {
    ...{ tenantId: grant.tenantId, agentId: grant.agentId },
    purpose: { tool, user, context },
    connection: route,
    method: outgoing.method,
    ...{ scheme, authority, path: basePath + outgoing.path, query: outgoing.query },
    headers: outgoing.headers,
    // An announced body of no bytes and none at all are the same to whoever receives them.
    body: outgoing.body === null || outgoing.body.byteLength === 0 ? null : outgoing.body,
    secrets: sealed,
    ...ask,
  };
}
