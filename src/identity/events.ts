import type { AuditEvent } from "../audit/event.ts";
import { newId } from "../base/ids.ts";
import type { Caller } from "./caller.ts";

type What = Pick<AuditEvent, "event_type" | "resource_type" | "resource" | "context">;

/** The line in the ledger for what a caller did at `now` (milliseconds since 1970). */
export function eventBy(caller: Pick<Caller, "actor" | "request">, now: number, what: What): AuditEvent {
  return {
    id: newId("event"),
    ...what,
    actor: caller.actor,
    ip_address: caller.request.ip,
    user_agent: caller.request.userAgent,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
  };
}
