import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent } from "../audit/event.ts";
import type { TenantId } from "../base/ids.ts";
import type { Notice, NoticeData } from "../notifications/notice.ts";
import type { Case, Happening } from "./case.ts";
import type { By } from "./desk.ts";
import { callPayloadSchema } from "./shown-schema.ts";
import { readTokenPayload } from "./token-payload.ts";

/** Something that happened to a request for approval, and how it is then. */
export interface Announcement {
  readonly tenantId: TenantId;
  readonly held: Case;
  readonly happening: Happening;
  /** Null: time alone did it. */
  readonly by: By | null;
}

type AnnouncedType = `approval.${Happening["type"]}`;

export function typeOf({ type }: Happening): AnnouncedType {
  return `approval.${type}`;
}

/** The same for every repeat: what is told twice is known by it. */
function idOf({ held, happening }: Announcement): string {
  return `${held.id}.${happening.revision}`;
}

/** Its line in the ledger; null for what only time has told (that a delay is over). */
export function auditEventOf(announcement: Announcement): AuditEvent | null {
  const { held, happening, by } = announcement;
  if (happening.type === "ready") return null;
  return fitForOutbox({
    id: idOf(announcement),
    event_type: `approval.${happening.type}`,
    resource_type: "approval",
    resource: held.id,
    actor: by?.actor ?? "system",
    ip_address: by?.ip ?? null,
    user_agent: by?.userAgent ?? null,
    outcome: "success",
    timestamp: iso(happening.at),
    context: {
      request_id: by?.requestId ?? held.requestId,
      ...(happening.type === "requested" ? requested(held) : {}),
      ...happening.context,
      ...{ agent_id: held.agentId, kind: held.kind, digest: held.digest },
      ...(held.notBefore === null ? {} : { not_before: iso(held.notBefore) }),
    },
  });
}

/** What the ledger tells of a request when it is made. */
function requested(held: Case): Readonly<Record<string, unknown>> {
  const { tier, approvalsNeeded, delaySeconds, connection, tokenId, policies } = held;
  return {
    ...contextOf(held),
    tier,
    approvals_needed: approvalsNeeded,
    delay_seconds: delaySeconds,
    expires_at: iso(held.expiresAt),
    ...(connection === null ? {} : { connection }),
    ...(tokenId === null ? {} : { token_id: tokenId }),
    ...(policies.length === 0 ? {} : { policies: policies.map(({ id, version }) => `${id} v${version}`) }),
  };
}

function contextOf({ kind, payload }: Case): Readonly<Record<string, unknown>> {
  switch (kind) {
    case "token": {
      const { request, reach, workload } = readTokenPayload(payload);
      return {
        ...request.context,
        secrets: reach.secrets,
        connections: reach.connections,
        ...(workload === null ? {} : { workload }),
        scopes: request.scopes,
      };
    }
    case "call":
      return callPayloadSchema.parse(JSON.parse(payload));
    case "permission":
      return { permission: JSON.parse(payload) as unknown };
  }
}

/** What receivers outside are told: enough to know that somebody has to look, and nothing of what is in it. */
export function noticeOf(announcement: Announcement): Notice {
  const { tenantId, held, happening } = announcement;
  const data: NoticeData = {
    approval_id: held.id,
    kind: held.kind,
    status: held.status,
    agent_id: held.agentId,
    connection: held.connection,
    tier: held.tier,
    approvals: held.votes.length,
    approvals_needed: held.approvalsNeeded,
    expires_at: iso(held.expiresAt),
    not_before: held.notBefore === null ? null : iso(held.notBefore),
    reason: held.ending?.reason ?? null,
    token_id: held.tokenId,
  };
  return { id: idOf(announcement), tenantId, type: typeOf(happening), at: happening.at, data };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
