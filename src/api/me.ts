import { z } from "zod";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import type { Caller } from "../identity/caller.ts";
import type { Services } from "../services.ts";
import { callRuleSchema } from "../tokens/schemas.ts";
import type { Api } from "./context.ts";

const endpoint = declareFor<Api>();

const meSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("member"),
    id: idSchema("member"),
    name: z.string(),
    role: z.enum(["admin", "editor", "viewer", "auditor"]),
    script: z.boolean().describe("A credential for scripts can manage and never approve."),
    tenant_id: idSchema("tenant"),
    counts: z.strictObject({ agents: z.int() }),
  }),
  z.strictObject({
    kind: z.literal("agent"),
    id: idSchema("agent"),
    name: z.string(),
    key_id: idSchema("agentKey"),
    allowed_namespaces: z.array(z.string()),
    allowed_scopes: z.array(z.string()),
    ip_allowlist: z.array(z.string()),
    tenant_id: idSchema("tenant"),
  }),
  z.strictObject({
    kind: z.literal("token"),
    id: idSchema("token"),
    agent_id: idSchema("agent"),
    scopes: z.array(z.string()),
    ip_allowlist: z.array(z.string()),
    max_uses: z.int().nullable(),
    allow: z.array(callRuleSchema).nullable(),
    tool: z.string().nullable(),
    user: z.string().nullable(),
    expires_at: z.iso.datetime(),
    tenant_id: idSchema("tenant"),
  }),
]);

export const meEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/me",
    operationId: "getMe",
    tag: "Deployment",
    summary: "Who the credential's holder is and what it may do",
    description: "Charges a token nothing.",
    access: "any",
    responses: { 200: meSchema },
    handler: async ({ caller, c }) => c.json(await describe(caller, c.get("services"))),
  }),
];

async function describe(caller: Caller, { agents }: Services): Promise<Record<string, unknown>> {
  const tenant = { tenant_id: caller.tenantId };
  switch (caller.kind) {
    case "member":
      return {
        kind: "member",
        id: caller.memberId,
        name: caller.name,
        role: caller.role,
        script: caller.script,
        ...tenant,
        counts: { agents: await agents.count(caller.tenantId) },
      };
    case "agent": {
      const { agent } = await agents.get(caller.tenantId, caller.agentId);
      return {
        kind: "agent",
        id: agent.id,
        name: agent.name,
        key_id: caller.keyId,
        allowed_namespaces: agent.allowedNamespaces,
        allowed_scopes: agent.allowedScopes,
        ip_allowlist: agent.ipAllowlist,
        ...tenant,
      };
    }
    case "token": {
      const { grant } = caller;
      return {
        kind: "token",
        id: grant.tokenId,
        agent_id: grant.agentId,
        scopes: grant.scopes,
        ip_allowlist: grant.ipAllowlist,
        max_uses: grant.maxUses,
        allow: grant.allow,
        tool: grant.tool,
        user: grant.user,
        expires_at: new Date(grant.expiresAt).toISOString(),
        ...tenant,
      };
    }
  }
}
