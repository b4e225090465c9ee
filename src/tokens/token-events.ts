import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent } from "../audit/event.ts";
import { newId, type TokenId } from "../base/ids.ts";
import type { Caller } from "../identity/caller.ts";

/** The line in the ledger for what became of a token at `now` (milliseconds since 1970), by whoever asked for it. */
export function tokenEvent(
  { actor, request }: Pick<Caller, "actor" | "request">,
  now: number,
  tokenId: TokenId,
  eventType: "token.issued" | "token.revoked",
  context: AuditEvent["context"],
): AuditEvent {
  return fitForOutbox({
    id: newId("event"),
    event_type: eventType,
    resource_type: "token",
    resource: tokenId,
    actor,
    ip_address: request.ip,
    user_agent: request.userAgent,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
    context: { request_id: request.requestId, ...context },
  });
}
