import { changedMembers } from "../audit/changed-members.ts";
import type { AuditEvent } from "../audit/event.ts";
import { newId, type PolicyId } from "../base/ids.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { PolicyContent } from "./tables.ts";

/** The line in the ledger for what a member did to a policy at `now` (milliseconds since 1970). */
export function policyEvent(
  caller: MemberCaller,
  now: number,
  type: "policy.created" | "policy.changed" | "policy.deleted",
  policy: { readonly id: PolicyId; readonly version: number },
  context: AuditEvent["context"],
): AuditEvent {
  return {
    id: newId("event"),
    ...{ event_type: type, resource_type: "policy", resource: policy.id },
    context: { version: policy.version, ...context, request_id: caller.request.requestId },
    actor: caller.actor,
    ip_address: caller.request.ip,
    user_agent: caller.request.userAgent,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
  };
}

/** All that a policy says, as the API has it, what decides first: the ledger keeps about 8 KB. */
export function describePolicy(policy: PolicyContent): Readonly<Record<string, unknown>> {
  return {
    name: policy.name,
    effect: policy.effect,
    on: policy.on,
    enabled: policy.enabled,
    condition: policy.condition,
    approvals: policy.approvals,
    delay_seconds: policy.delaySeconds,
    connections: policy.connections,
    message: policy.message,
    description: policy.description,
  };
}

/** The members that differ, as they were and as they are. */
export function describeChange(
  before: PolicyContent,
  after: PolicyContent,
): Readonly<Record<string, unknown>> {
  return { name: after.name, ...changedMembers(describePolicy(before), describePolicy(after)) };
}
