import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { waitQuerySchema } from "../base/wait-query.ts";
import type { AgentCaller, MemberCaller } from "../identity/caller.ts";
import { clientUrl } from "../identity/dpop/presented.ts";
import type { Collected } from "./permissions.ts";
import {
  permissionListSchema,
  permissionSchema,
  permissionUsedSchema,
  permissionVerdictSchema,
} from "./responses.ts";
import {
  permissionListQuerySchema,
  permissionRequestSchema,
  permissionTokenSchema,
  permissionUseSchema,
} from "./schemas.ts";
import type { Standing } from "./standing.ts";

const endpoint = declareFor<Api>();
const tag = "Permissions";
const READERS = ["admin", "editor", "viewer", "auditor"] as const;
const WRITERS = ["admin", "editor"] as const;
const permissionParams = z.strictObject({ id: idSchema("permission") });

/** `/v1/permissions`: one-time approved actions, whose constraints the gateway holds each call against. */
export const permissionEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/permissions",
    operationId: "requestPermission",
    quota: "tokens",
    tag,
    summary: "Ask for permission to do one thing",
    description:
      "201 with the token where it is granted, 202 while people have to agree, 200 where they have denied it. The same request again meanwhile is the same one, and so is `GET /v1/permissions/{id}`: whichever comes first once it is approved has the token, once. With a proof in `DPoP` (RFC 9449) the token is bound to its key.",
    access: { agent: true },
    body: permissionRequestSchema,
    responses: { 200: permissionSchema, 201: permissionSchema, 202: permissionSchema },
    errors: ["NOT_FOUND", "SCOPE_DENIED", "POLICY_DENIED", "PERMISSION_DENIED", "TENANT_FROZEN", "CONFLICT"],
    handler: async ({ caller, body, c }) => {
      const { permissions, permissionStandings, proofs, refusedRequests } = c.get("services");
      const jkt = await proofs.keyOf(c.req.raw);
      const asked = {
        type: "permission.denied",
        action: body.action,
        asked_resource: body.resource,
      } as const;
      const collected = await refusedRequests.watch(caller, asked, () =>
        permissions.request(caller, body, jkt),
      );
      const standing = await standingOf(permissionStandings, collected);
      const status = collected.token !== null ? 201 : standing.status === "pending" ? 202 : 200;
      return c.json(render(standing, collected), status);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/permissions",
    operationId: "listPermissions",
    tag,
    summary: "The tenant's permissions, newest first; to an agent its own",
    access: { roles: READERS, agent: true },
    query: permissionListQuerySchema,
    responses: { 200: permissionListSchema },
    handler: async ({ caller, query, c }) => {
      const own = ownOf(caller);
      const { standings, nextCursor } = await c
        .get("services")
        .permissionStandings.list(caller.tenantId, own === null ? query : { ...query, agent: own });
      return c.json({ permissions: standings.map((each) => render(each)), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/permissions/{id}",
    operationId: "getPermission",
    tag,
    summary: "One permission; to its agent with the token, once it is approved and that once",
    access: { roles: READERS, agent: true },
    params: permissionParams,
    query: waitQuerySchema,
    responses: { 200: permissionSchema },
    errors: ["NOT_FOUND", "SCOPE_DENIED", "POLICY_DENIED", "TENANT_FROZEN", "CONFLICT"],
    handler: async ({ caller, params, query, c }) => {
      const { permissions, permissionStandings } = c.get("services");
      if (caller.kind === "member") {
        return c.json(render(await permissionStandings.get(caller.tenantId, null, params.id)));
      }
      const collected = await permissions.collect(caller, params.id, query.wait ?? 0);
      return c.json(render(await standingOf(permissionStandings, collected), collected));
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/permissions/{id}/verify",
    operationId: "verifyPermission",
    quota: "reads",
    idempotent: false,
    tag,
    summary: "Whether a token of the permission can be used right now; charges nothing",
    access: { agent: true },
    params: permissionParams,
    body: permissionTokenSchema,
    responses: { 200: permissionVerdictSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, body, c }) => {
      const { permissionStandings, permissionUses } = c.get("services");
      const grant = await permissionUses.identify(caller, params.id, body.token);
      // Whoever shows its token may see it; else only the agent that asked for it.
      const { tenantId, agentId } = caller;
      const standing = await permissionStandings.get(tenantId, grant === null ? agentId : null, params.id);
      const { row, status, usesLeft } = standing;
      return c.json({
        valid: grant !== null && status === "approved" && (usesLeft ?? 0) > 0,
        ...{ status, action: row.action, resource: row.resource, scope: row.scope },
        uses_left: usesLeft,
        expires_at: iso(row.expiresAt),
      });
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/permissions/{id}/use",
    operationId: "usePermission",
    tag,
    summary: "Use a permission outside of the gateway: one use is charged before it is answered",
    description:
      "Of actions without `calls`; through the gateway, the call itself is the use. `details` are held against the constraints. A token that is bound to a key takes a proof for this request in `DPoP`, with the token's `ath` (RFC 9449).",
    access: { agent: true },
    params: permissionParams,
    body: permissionUseSchema,
    responses: { 200: permissionUsedSchema },
    errors: ["CONFLICT", "PERMISSION_DENIED", "USES_EXHAUSTED", "ADDRESS_DENIED", "TENANT_FROZEN"],
    handler: async ({ caller, params, body, c }) => {
      const { permissionUses, permissionStandings, origin } = c.get("services");
      const { method, url, headers } = c.req.raw;
      const sent = { method, url: clientUrl(origin, url), proof: headers.get("dpop") };
      await permissionUses.use(caller, params.id, body, { ...c.get("request"), ...sent });
      const { row, usesLeft } = await permissionStandings.get(caller.tenantId, null, params.id);
      const left = usesLeft ?? 0;
      return c.json({ id: row.id, status: left > 0 ? "approved" : "used", uses_left: left });
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/permissions/{id}/revoke",
    operationId: "revokePermission",
    tag,
    summary: "End a permission, and its token with it; an agent its own",
    access: { roles: WRITERS, agent: true },
    params: permissionParams,
    responses: { 200: permissionSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) =>
      c.json(render(await c.get("services").permissionStandings.revoke(caller, params.id))),
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/permissions/{id}",
    operationId: "deletePermission",
    tag,
    summary: "The same as revoking it",
    access: { roles: WRITERS, agent: true },
    params: permissionParams,
    responses: { 204: null },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) => {
      await c.get("services").permissionStandings.revoke(caller, params.id);
      return c.body(null, 204);
    },
  }),
];

function ownOf(caller: MemberCaller | AgentCaller) {
  return caller.kind === "agent" ? caller.agentId : null;
}

interface Standings {
  of(row: Collected["row"]): Promise<Standing>;
}

/** Of one whose token was just handed out nobody has to be asked. */
async function standingOf(standings: Standings, { row, token }: Collected): Promise<Standing> {
  return token === null ? standings.of(row) : { row, status: "approved", usesLeft: row.maxUses };
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function render({ row, status, usesLeft }: Standing, collected?: Collected) {
  const token = collected?.token ?? null;
  return {
    ...{ id: row.id, status, agent_id: row.agentId, action: row.action, action_version: row.actionVersion },
    ...{ resource: row.resource, template: row.template, scope: row.scope },
    requested_scope: row.asked.scope,
    narrowed: row.narrowedFields.length > 0,
    narrowed_fields: row.narrowedFields,
    calls: row.granted.calls,
    ...{ max_uses: row.maxUses, uses_left: usesLeft, ttl_seconds: row.ttlSeconds, context: row.context },
    ...{ approval_id: row.approvalId, approvals_needed: row.approvalsNeeded, reason: row.reason },
    dpop_jkt: row.asked.jkt ?? null,
    token_id: row.collectedAt === null ? null : row.tokenId,
    ...(token === null ? {} : { token: token.reveal() }),
    requested_at: iso(row.createdAt),
    granted_at: row.collectedAt === null ? null : iso(row.collectedAt),
    expires_at: iso(row.expiresAt),
  };
}
