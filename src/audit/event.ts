/** What can happen, as `resource.action`. Clients filter by these names: they are stable. */
export const EVENT_TYPES = [
  "secret.created",
  "secret.updated",
  "secret.read",
  "secret.used",
  "secret.rotated",
  "secret.rolled_back",
  "secret.imported",
  "secret.deleted",
  "secret.expired",
  "secret.restored",
  "secret.purged",
  "secret.pruned",
  "secret.exported",
  "class.rotated",
  "namespace.updated",
  "namespace.reset",
  "token.issued",
  "token.used",
  "token.denied",
  "token.revoked",
  "token.expired",
  "connection.called",
  "connection.completed",
  "connection.denied",
  "connection.created",
  "connection.updated",
  "connection.deleted",
  "approval.requested",
  "approval.granted",
  "approval.denied",
  "approval.cancelled",
  "approval.timed_out",
  "approval.consumed",
  "approval.released",
  "approval.reopened",
  "agent.created",
  "agent.updated",
  "agent.disabled",
  "agent.deleted",
  "agent.key_created",
  "agent.key_revoked",
  "member.created",
  "member.invited",
  "member.joined",
  "member.credential_rotated",
  "member.removed",
  "member.role_changed",
  "member.enrolment_created",
  "passkey.created",
  "passkey.deleted",
  "reveal.requested",
  "reveal.granted",
  "reveal.ended",
  "session.started",
  "session.ended",
  "identity_provider.created",
  "identity_provider.updated",
  "identity_provider.deleted",
  "tenant.created",
  "tenant.updated",
  "tenant.frozen",
  "tenant.unfrozen",
  "budget.created",
  "budget.updated",
  "budget.deleted",
  "budget.threshold",
  "budget.exceeded",
  "policy.created",
  "policy.changed",
  "policy.deleted",
  "action.created",
  "action.updated",
  "action.deleted",
  "permission.requested",
  "permission.granted",
  "permission.denied",
  "permission.used",
  "permission.revoked",
  "permission.expired",
  "key.rotated",
  "audit.exported",
  "webhook.created",
  "webhook.updated",
  "webhook.deleted",
  "webhook.disabled",
  "webhook.replayed",
  "anomaly.detected",
] as const;

export const RESOURCE_TYPES = [
  "secret",
  "class",
  "namespace",
  "token",
  "connection",
  "agent",
  "member",
  "session",
  "passkey",
  "reveal_grant",
  "identity_provider",
  "tenant",
  "approval",
  "policy",
  "budget",
  "action",
  "permission",
  "key",
  "webhook",
  "audit",
] as const;

export type EventType = (typeof EVENT_TYPES)[number];
export type ResourceType = (typeof RESOURCE_TYPES)[number];

/**
 * One line of a tenant's ledger, as its producer hands it in. Nothing in it may hold a secret.
 *
 * What becomes of a call after its event was handed over is an event of its own, `connection.completed`, whose
 * `context.outcome_of` names the first one: rows are never updated.
 */
export interface AuditEvent {
  /** 1 to 200 visible ASCII characters. The ledger keeps one of each: `{token id}.{seq}` for a token, else `evt_…`. */
  readonly id: string;
  readonly event_type: EventType;
  readonly resource_type: ResourceType;
  /** A path, slug or id. */
  readonly resource: string;
  /** `agent:agt_…`, `member:mem_…` or `system`. */
  readonly actor: string;
  readonly ip_address: string | null;
  readonly user_agent: string | null;
  readonly outcome: "success" | "denied" | "error";
  /** When it happened by the producer's clock: ISO 8601 in UTC with milliseconds. */
  readonly timestamp: string;
  /** What else there is to know (token_id, method, path, status, duration_ms, reason …): JSON values, about 8 KB. */
  readonly context: Readonly<Record<string, unknown>>;
}

/** An event with its place in the ledger: `seq` from 1 without gaps, `hash` over its predecessor's hash and itself. */
export interface StoredEvent extends AuditEvent {
  readonly seq: number;
  readonly hash: string;
}
