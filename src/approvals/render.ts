import type { z } from "zod";
import { grantedLessSchema, permissionPayloadSchema } from "../tokens/permission-schemas.ts";
import type { TokenRequest } from "../tokens/schemas.ts";
import type { Case, CaseKind } from "./case.ts";
import type { approvalSchema, approvalStateSchema } from "./responses.ts";
import { callPayloadSchema } from "./shown-schema.ts";
import { grantedOf } from "./standing.ts";
import { readTokenPayload } from "./token-payload.ts";

type RenderedApproval = z.input<typeof approvalSchema>;
type RenderedState = z.input<typeof approvalStateSchema>;

/** A case as people see it, in lists and in the feed: without what is sealed. */
export function renderCase(held: Case): RenderedApproval {
  return {
    ...{ id: held.id, kind: held.kind, status: held.status },
    ...{ agent_id: held.agentId, token_id: held.tokenId, connection: held.connection },
    on_behalf_of: [...held.users],
    digest: held.digest,
    tier: held.tier,
    policies: held.policies.map(({ id, name, version, message }) => ({ id, name, version, message })),
    ...ASKED[held.kind](held.payload),
    granted: renderGranted(held),
    approvals_needed: held.approvalsNeeded,
    delay_seconds: held.delaySeconds,
    approvals: held.votes.length,
    votes: held.votes.map(({ memberId, at, comment }) => ({ member_id: memberId, at: iso(at), comment })),
    ended_by: held.ending?.actor ?? null,
    reason: held.ending?.reason ?? null,
    ip_address: held.ip,
    ...timesOf(held),
    consumed_at: isoOrNull(held.consumedAt),
  };
}

/** A case as the agent that asked is told of it. */
export function renderState(held: Case): RenderedState {
  return {
    approval_id: held.id,
    kind: held.kind,
    status: held.status,
    approvals: held.votes.length,
    approvals_needed: held.approvalsNeeded,
    reason: held.ending?.reason ?? null,
    ...timesOf(held),
  };
}

/** What the API calls a request for a token; policies see the same. */
export function renderTokenRequest(request: TokenRequest) {
  return {
    scopes: request.scopes,
    ttl_seconds: request.ttl,
    max_uses: request.max_uses ?? null,
    ip_allowlist: request.ip_allowlist,
    rate: request.rate ?? null,
    allow: request.allow ?? null,
    tool: request.tool ?? null,
    user: request.user ?? null,
    dpop_jkt: request.dpop_jkt ?? null,
    context: request.context,
  };
}

type Asked = Pick<RenderedApproval, "requested" | "reach" | "workload" | "call" | "permission">;

const NOTHING: Asked = { requested: null, reach: null, workload: null, call: null, permission: null };

const ASKED: Record<CaseKind, (payload: string) => Asked> = {
  token(payload) {
    const { request, reach, workload } = readTokenPayload(payload);
    const { secrets, shown, connections } = reach;
    return {
      ...NOTHING,
      requested: renderTokenRequest(request),
      reach: { secrets, shown: [...shown], connections: [...connections] },
      workload: workload === null ? null : { ...workload, claims: { ...workload.claims } },
    };
  },
  call: (payload) => ({ ...NOTHING, call: callPayloadSchema.parse(JSON.parse(payload)) }),
  permission: (payload) => ({ ...NOTHING, permission: permissionPayloadSchema.parse(JSON.parse(payload)) }),
};

function renderGranted(held: Case): RenderedApproval["granted"] {
  const granted = held.kind === "permission" ? grantedOf(held) : null;
  return granted === null ? null : grantedLessSchema.parse(JSON.parse(granted));
}

function timesOf(held: Case) {
  return {
    requested_at: iso(held.createdAt),
    expires_at: iso(held.expiresAt),
    decided_at: isoOrNull(held.decidedAt),
    not_before: isoOrNull(held.notBefore),
  };
}

function isoOrNull(at: number | null): string | null {
  return at === null ? null : iso(at);
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
