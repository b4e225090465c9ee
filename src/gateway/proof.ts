import { checkPresented, clientUrl, type PresentedVerdict } from "../identity/dpop/presented.ts";
import type { AgentCall } from "./call.ts";
import type { Gateway } from "./gateway.ts";
import { fieldOf } from "./headers.ts";

/** Whether a call has more to show than its token: one bound to a key does, and whatever comes by `DPoP` says so. */
export function isProofDue({ grant, presented }: AgentCall): boolean {
  return grant.jkt !== null || presented.dpop === true;
}

/**
 * Whether the sender of a call holds the key that its token is bound to (attack 58). The proof names the URL as the
 * client sees it: the gateway's host and `/proxy/{connection}/…`, or a connection's own host.
 */
export function checkProof(call: AgentCall, gateway: Gateway): Promise<PresentedVerdict> {
  const { presented, grant, fields, method, request } = call;
  const { place } = presented;
  const isOwn = place.in === "header" && place.name === "x-valetkey-token";
  const url = clientUrl(gateway.origin, request.url);
  const scheme = presented.dpop ? "dpop" : isOwn ? "own" : "bearer";
  const shown = { token: presented.token, scheme, proof: fieldOf(fields, "dpop"), method, url } as const;
  return checkPresented(shown, grant.jkt, gateway.clock());
}
