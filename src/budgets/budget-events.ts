import { changedMembers } from "../audit/changed-members.ts";
import type { AuditEvent } from "../audit/event.ts";
import { newId } from "../base/ids.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { Budget } from "./budget.ts";
import { renderAmount } from "./render.ts";

/** The line in the ledger for what a member did to a budget at `now` (milliseconds since 1970). */
export function budgetEvent(
  caller: MemberCaller,
  now: number,
  type: "budget.created" | "budget.updated" | "budget.deleted",
  budget: Budget,
  context: AuditEvent["context"],
): AuditEvent {
  return {
    id: newId("event"),
    ...{ event_type: type, resource_type: "budget", resource: budget.id },
    context: { ...context, request_id: caller.request.requestId },
    actor: caller.actor,
    ip_address: caller.request.ip,
    user_agent: caller.request.userAgent,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
  };
}

/** All that a budget says, as the API has it, the long part last: the ledger keeps about 8 KB. */
export function describeBudget(budget: Budget): Readonly<Record<string, unknown>> {
  return {
    name: budget.name,
    scope: budget.scope,
    measure: budget.measure,
    limit: renderAmount(budget, budget.limit),
    currency: budget.currency,
    period: budget.period,
    enabled: budget.enabled,
    max_bytes_per_call: budget.maxBytesPerCall,
    prices: budget.prices,
  };
}

/** The members that differ, as they were and as they are. */
export function describeChange(before: Budget, after: Budget): Readonly<Record<string, unknown>> {
  return { name: after.name, ...changedMembers(describeBudget(before), describeBudget(after)) };
}
