import type { AuditEvent } from "../audit/event.ts";
import type { AgentId } from "../base/ids.ts";
import type { MemberCaller } from "./caller.ts";
import { eventBy } from "./events.ts";

/** The line in the ledger for what a member did to an agent at `now` (milliseconds since 1970). */
export function agentEvent(
  caller: MemberCaller,
  now: number,
  type: Extract<AuditEvent["event_type"], `agent.${string}`>,
  agentId: AgentId,
  context: AuditEvent["context"],
): AuditEvent {
  return eventBy(caller, now, { event_type: type, resource_type: "agent", resource: agentId, context });
}
