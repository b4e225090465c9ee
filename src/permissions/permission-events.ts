import type { AuditEvent, EventType } from "../audit/event.ts";
import type { Caller } from "../identity/caller.ts";
import type { PermissionRow } from "./permission-rows.ts";

type Happened = "requested" | "granted" | "denied" | "used" | "revoked" | "expired";

/** Who did it; null: time alone. */
export type Doer = Pick<Caller, "actor" | "request"> | null;

/** The line in the ledger for what became of a permission, which becomes so once: a repeat is the same line. */
export function permissionEvent(
  by: Doer,
  now: number,
  happened: Happened,
  row: Pick<PermissionRow, "id" | "agentId" | "action" | "resource">,
  context: AuditEvent["context"] = {},
): AuditEvent {
  const type: EventType = `permission.${happened}`;
  return {
    id: `${row.id}.${happened}`,
    event_type: type,
    resource_type: "permission",
    resource: row.id,
    actor: by?.actor ?? "system",
    ip_address: by?.request.ip ?? null,
    user_agent: by?.request.userAgent ?? null,
    outcome: happened === "denied" ? "denied" : "success",
    timestamp: new Date(now).toISOString(),
    context: {
      ...(by === null ? {} : { request_id: by.request.requestId }),
      agent_id: row.agentId,
      action: row.action,
      resource: row.resource,
      ...context,
    },
  };
}

/** What was asked for, and what of it is or would be granted. */
export function describePermission(row: Omit<PermissionRow, "tenantId">): AuditEvent["context"] {
  return {
    action_version: row.actionVersion,
    template: row.template,
    scope: row.scope,
    requested_scope: row.asked.scope,
    narrowed_fields: row.narrowedFields,
    max_uses: row.maxUses,
    ttl_seconds: row.ttlSeconds,
    approvals_needed: row.approvalsNeeded,
    delay_seconds: row.delaySeconds,
    digest: row.digest,
    context: row.context,
  };
}
