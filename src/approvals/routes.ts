import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import type { Approval } from "./approvals.ts";
import { approvalListSchema, approvalStateSchema } from "./responses.ts";
import { approvalListQuerySchema, approvalWaitQuerySchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Approvals";

/** `/v1/approvals`: people see what waits for them, agents what became of what they asked for. */
export const approvalEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/approvals",
    operationId: "listApprovals",
    tag,
    summary: "Requests that wait for people, or did, newest first",
    access: { roles: ["admin", "editor"], person: true },
    query: approvalListQuerySchema,
    responses: { 200: approvalListSchema },
    handler: async ({ caller, query: { status, ...page }, c }) => {
      const { approvals, nextCursor } = await c.get("services").approvals.list(caller.tenantId, status, page);
      return c.json({ approvals: approvals.map(render), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/approvals/agent/{id}",
    operationId: "getOwnApproval",
    tag,
    summary: "What became of a request that had to wait for people",
    access: { agent: true },
    params: z.strictObject({ id: idSchema("approval") }),
    query: approvalWaitQuerySchema,
    responses: { 200: approvalStateSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, query, c }) => {
      const { approvals } = c.get("services");
      const { tenantId, agentId } = caller;
      const approval = await approvals.wait(tenantId, agentId, params.id, query.wait ?? 0);
      return c.json({
        approval_id: approval.id,
        ...times(approval),
        status: approval.status,
        reason: approval.votes.find(({ decision }) => decision === "deny")?.reason ?? null,
      });
    },
  }),
];

function render(approval: Approval) {
  const { request, reach } = approval;
  return {
    id: approval.id,
    status: approval.status,
    agent_id: approval.agentId,
    requested: {
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
    },
    digest: approval.digest,
    tier: approval.tier,
    reach,
    approvals_needed: approval.approvalsNeeded,
    delay_seconds: approval.delaySeconds,
    approvals: approval.votes.filter(({ decision }) => decision === "approve").length,
    ip_address: approval.ip,
    ...times(approval),
  };
}

function times(approval: Approval) {
  const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
  return {
    requested_at: iso(approval.createdAt),
    expires_at: iso(approval.expiresAt),
    decided_at: iso(approval.decidedAt),
    not_before: iso(approval.notBefore),
  };
}
