import type { AuditEvent, EventType } from "../audit/event.ts";
import { newId } from "../base/ids.ts";
import type { MemberCaller, TokenCaller } from "../identity/caller.ts";

/** The line in the ledger for what a caller did to a secret, a namespace or a class, at `now` (milliseconds since 1970). */
export function secretEvent(
  caller: MemberCaller | TokenCaller,
  now: number,
  eventType: Extract<EventType, `${"secret" | "namespace" | "class"}.${string}`>,
  path: string,
  context: Readonly<Record<string, unknown>>,
): AuditEvent {
  const behind = caller.kind === "token" ? { ...caller.grant.context, token_id: caller.grant.tokenId } : {};
  return {
    id: newId("event"),
    event_type: eventType,
    resource_type: resourceTypeOf(eventType),
    resource: path,
    actor: caller.actor,
    ip_address: caller.request.ip,
    user_agent: caller.request.userAgent,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
    context: { ...behind, ...context, request_id: caller.request.requestId },
  };
}

function resourceTypeOf(eventType: EventType): "secret" | "namespace" | "class" {
  if (eventType.startsWith("secret.")) return "secret";
  return eventType.startsWith("class.") ? "class" : "namespace";
}
