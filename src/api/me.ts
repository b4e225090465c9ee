import { Hono } from "hono";
import type { Caller } from "../identity/caller.ts";
import type { Services } from "../services.ts";
import type { ApiEnv } from "./context.ts";

/** `GET /v1/me`: who the credential's holder is and what it may do. Charges a token nothing. */
export function meRoutes(): Hono<ApiEnv> {
  return new Hono<ApiEnv>().get("/", async (c) =>
    c.json(await describe(await c.get("auth").caller(), c.get("services"))),
  );
}

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
