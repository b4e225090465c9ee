import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { waitQuerySchema } from "../base/wait-query.ts";
import type { AgentCaller, TokenCaller } from "../identity/caller.ts";
import { renderState } from "./render.ts";
import { approvalStateSchema } from "./responses.ts";
import { cancelSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Approvals";
const params = z.strictObject({ id: idSchema("approval") });

/** `/v1/approvals/agent`: what became of what an agent asked for. */
export const ownApprovalEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/approvals/agent/{id}",
    operationId: "getOwnApproval",
    tag,
    summary: "What became of a request that had to wait for people",
    description: "For the agent's key, or a scoped token of that agent; the token is not charged.",
    access: { agent: true, token: true },
    params,
    query: waitQuerySchema,
    responses: { 200: approvalStateSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params: { id }, query, c }) => {
      const { approvals } = c.get("services");
      const { agentId } = whose(caller);
      return c.json(renderState(await approvals.wait(caller.tenantId, agentId, id, query.wait ?? 0)));
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/approvals/agent/{id}/cancel",
    operationId: "cancelOwnApproval",
    tag,
    summary: "Take back a request of one's own",
    description: "For the agent's key; a scoped token takes back what its own calls asked for.",
    access: { agent: true, token: true },
    params,
    body: cancelSchema,
    responses: { 200: approvalStateSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id }, body, c }) => {
      const { approvals } = c.get("services");
      return c.json(renderState(await approvals.cancelOwn(caller, whose(caller), id, body.reason ?? null)));
    },
  }),
];

function whose(caller: AgentCaller | TokenCaller) {
  if (caller.kind === "agent") return { agentId: caller.agentId, tokenId: null };
  return { agentId: caller.grant.agentId, tokenId: caller.grant.tokenId };
}
