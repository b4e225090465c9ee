import { z } from "zod";
import { systemClock } from "../base/clock.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import type { Caller, MemberCaller } from "../identity/caller.ts";
import { keyWarnings } from "../identity/key-age.ts";
import type { Services } from "../services.ts";
import { callRuleSchema } from "../tokens/schemas.ts";
import type { RevealGrant } from "../vault/reveal-grants.ts";
import { renderGrant } from "../vault/reveal-routes.ts";
import { revealGrantSchema } from "../vault/reveal-schemas.ts";
import type { Api } from "./context.ts";

const endpoint = declareFor<Api>();

const meSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("member"),
    id: idSchema("member"),
    name: z.string(),
    role: z.enum(["admin", "editor", "viewer", "auditor"]),
    script: z.boolean().describe("A credential for scripts can manage and never approve."),
    sign_in: z
      .strictObject({
        method: z.enum(["oidc", "passkey", "id_token", "cloudflare_access"]),
        authenticated_at: z.iso.datetime().nullable(),
        session_id: idSchema("session").nullable(),
      })
      .nullable()
      .describe("How the person signed in; null for a credential."),
    rotate_by: z.iso.datetime().nullable().describe("When a script's credential should have been rotated."),
    tenant_id: idSchema("tenant"),
    counts: z.strictObject({ agents: z.int() }),
    notices: z
      .array(
        z.strictObject({
          type: z.enum(["reveal.requested", "reveal.granted"]),
          reveal_grant: revealGrantSchema,
        }),
      )
      .optional()
      .describe(
        "For admins and auditors: who asked to read plaintext within the last 24 hours. Newest first.",
      ),
  }),
  z.strictObject({
    kind: z.literal("agent"),
    id: idSchema("agent"),
    name: z.string(),
    key_id: idSchema("agentKey"),
    key_warnings: z.array(z.string()).describe("Such as that the key is 90 days old."),
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

async function describe(
  caller: Caller,
  { agents, team, revealGrants }: Services,
): Promise<Record<string, unknown>> {
  const tenant = { tenant_id: caller.tenantId };
  switch (caller.kind) {
    case "member": {
      const { rotateBy } = await team.get(caller.tenantId, caller.memberId);
      return {
        kind: "member",
        id: caller.memberId,
        name: caller.name,
        role: caller.role,
        script: caller.script,
        sign_in: describeSignIn(caller),
        rotate_by: rotateBy === null ? null : new Date(rotateBy).toISOString(),
        ...tenant,
        counts: { agents: await agents.count(caller.tenantId) },
        ...(isTold(caller) ? { notices: (await revealGrants.notices(caller.tenantId)).map(notice) } : {}),
      };
    }
    case "agent": {
      const { agent, keys } = await agents.get(caller.tenantId, caller.agentId);
      const key = keys.find(({ id }) => id === caller.keyId);
      return {
        kind: "agent",
        id: agent.id,
        name: agent.name,
        key_id: caller.keyId,
        key_warnings: key === undefined ? [] : keyWarnings(key, systemClock()),
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

function describeSignIn({ signIn }: MemberCaller): Record<string, unknown> | null {
  if (signIn === undefined) return null;
  const { method, authenticatedAt: at, sessionId } = signIn;
  return {
    method,
    authenticated_at: at === null ? null : new Date(at).toISOString(),
    session_id: sessionId,
  };
}

const isTold = ({ role }: MemberCaller): boolean => role === "admin" || role === "auditor";

function notice(grant: RevealGrant) {
  return {
    type: grant.startsAt === null ? "reveal.requested" : "reveal.granted",
    reveal_grant: renderGrant(grant),
  };
}
