import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor, FORM_MEDIA, JSON_MEDIA } from "../base/endpoint.ts";
import { type AgentId, idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import { respondChange } from "../base/respond-change.ts";
import type { AgentCaller, MemberCaller } from "../identity/caller.ts";
import type { Watermark } from "../identity/changes.ts";
import {
  heldRequestSchema,
  introspectionAnswerSchema,
  issuedTokenSchema,
  revokedSchema,
  tokenListSchema,
  tokenStateSchema,
} from "./responses.ts";
import {
  type BulkRevocation,
  bulkRevocationSchema,
  introspectionSchema,
  tokenRequestSchema,
} from "./schemas.ts";
import type { IndexedToken } from "./tokens.ts";

const endpoint = declareFor<Api>();
const tag = "Tokens";
const READERS = ["admin", "editor", "viewer"] as const;
const WRITERS = ["admin", "editor"] as const;
const tokenParams = z.strictObject({ id: idSchema("token") });

/** `/v1/tokens`: agents ask for tokens and see their own; members see and revoke all. */
export const tokenEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/tokens",
    operationId: "issueToken",
    quota: "tokens",
    tag,
    summary: "Ask for a scoped token",
    access: { agent: true },
    body: tokenRequestSchema,
    description:
      "What reaches secrets above the standard tier waits for people: 202, and `GET /v1/approvals/agent/{id}` tells what became of it. The same request again meanwhile is the same one; once people have approved it, and its delay is over, it is answered with the token, once.",
    responses: { 201: issuedTokenSchema, 202: heldRequestSchema },
    errors: ["SCOPE_DENIED", "CONFLICT", "POLICY_DENIED", "APPROVAL_DENIED"],
    handler: async ({ caller, body, c }) => {
      const { tokens, proofs, refusedRequests } = c.get("services");
      const dpop_jkt = boundTo(body.dpop_jkt, await proofs.keyOf(c.req.raw));
      const answer = await refusedRequests.watch(caller, { type: "token.denied", scopes: body.scopes }, () =>
        tokens.request(caller, { ...body, dpop_jkt }),
      );
      if (answer.kind === "held") {
        const { approvalId, approvalsNeeded, expiresAt, notBefore } = answer;
        const held = {
          requires_approval: true,
          approval_id: approvalId,
          status_url: `/v1/approvals/agent/${approvalId}`,
          approvals_needed: approvalsNeeded,
          expires_at: iso(expiresAt),
          not_before: notBefore === null ? null : iso(notBefore),
        };
        return c.json(held, 202);
      }
      const { token, grant } = answer;
      return c.json(
        {
          ...{ token: token.reveal(), token_id: grant.tokenId, expires_at: iso(grant.expiresAt) },
          ...(grant.jkt === null ? {} : { token_type: "DPoP" }),
        },
        201,
      );
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/tokens",
    operationId: "listTokens",
    tag,
    summary: "The tenant's tokens; to an agent its own",
    access: { roles: READERS, agent: true },
    query: pageSchema.strict(),
    responses: { 200: tokenListSchema },
    handler: async ({ caller, query, c }) => {
      const { tokens, nextCursor } = await c
        .get("services")
        .tokens.list(caller.tenantId, ownOf(caller), query);
      return c.json({ tokens: tokens.map(render), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/tokens/revoke",
    operationId: "revokeTokens",
    tag,
    summary: "Revoke every token of an agent, a secret, a connection, a class, or all",
    access: { roles: WRITERS },
    body: bulkRevocationSchema,
    responses: { 200: revokedSchema },
    change: true,
    handler: async ({ caller, body, c }) => {
      const watermark = watermarkFor(body);
      const result = await c.get("services").tokens.revokeAll(caller, watermark);
      return respondChange(c, { revoked: { [watermark.kind]: watermark.key } }, result);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/tokens/{id}",
    operationId: "getToken",
    tag,
    summary: "One token, with how often it was used",
    access: { roles: READERS, agent: true },
    params: tokenParams,
    responses: { 200: tokenStateSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) => {
      const { tokens } = c.get("services");
      const token = await tokens.get(caller.tenantId, ownOf(caller), params.id);
      const { uses, revoked } = await tokens.uses(token);
      return c.json({ ...render(token), uses, revoked: revoked || token.revokedAt !== null });
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/tokens/{id}",
    operationId: "revokeToken",
    tag,
    summary: "Revoke a token, effective on its next call",
    access: { roles: WRITERS, agent: true },
    params: tokenParams,
    responses: { 204: null },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) => {
      await c.get("services").tokens.revoke(caller, params.id);
      return c.body(null, 204);
    },
  }),

  endpoint({
    method: "POST",
    path: "/oauth/introspect",
    operationId: "introspectToken",
    quota: "reads",
    tag,
    summary: "A token's state, without charging it (RFC 7662)",
    description:
      'For members and agents of the token\'s own tenant; anything else is `{"active": false}`, whatever the reason.',
    access: { roles: READERS, agent: true },
    body: introspectionSchema,
    // RFC 7662 §2.1 sends a form; JSON is taken as well.
    bodyMedia: [FORM_MEDIA, JSON_MEDIA],
    responses: { 200: introspectionAnswerSchema },
    handler: async ({ caller, body, c }) => {
      const { tokens, tokenUses } = c.get("services");
      const grant = await tokenUses.identify(body.token).catch((error: unknown) => {
        if (error instanceof Problem && error.status < 500) return null;
        throw error;
      });
      const own = ownOf(caller);
      if (grant === null || grant.tenantId !== caller.tenantId || (own !== null && grant.agentId !== own)) {
        return c.json({ active: false });
      }
      const { uses } = await tokens.uses(grant);
      if (grant.maxUses !== null && uses >= grant.maxUses) return c.json({ active: false });
      return c.json({
        active: true,
        scope: grant.scopes.join(" "),
        client_id: grant.agentId,
        sub: grant.agentId,
        ...(grant.jkt === null
          ? { token_type: "Bearer" as const }
          : { token_type: "DPoP" as const, cnf: { jkt: grant.jkt } }),
        jti: grant.tokenId,
        iat: Math.floor(grant.issuedAt / 1000),
        exp: Math.floor(grant.expiresAt / 1000),
        uses,
        max_uses: grant.maxUses,
      });
    },
  }),
];

/** The key that a token will be bound to, by name or by proof; both must mean the same. */
function boundTo(named: string | undefined, proven: string | null): string | undefined {
  if (named === undefined || proven === null || named === proven) return named ?? proven ?? undefined;
  throw new Problem("VALIDATION_ERROR", "`dpop_jkt` is not the thumbprint of the key in the DPoP proof.");
}

function watermarkFor(target: BulkRevocation): Watermark {
  if ("agent" in target) return { kind: "agent", key: target.agent };
  if ("secret" in target) return { kind: "secret", key: target.secret };
  if ("connection" in target) return { kind: "connection", key: target.connection };
  if ("class" in target) return { kind: "class", key: target.class };
  return { kind: "tenant", key: "*" };
}

function ownOf(caller: MemberCaller | AgentCaller): AgentId | null {
  return caller.kind === "agent" ? caller.agentId : null;
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function render(token: IndexedToken) {
  return {
    token_id: token.tokenId,
    agent_id: token.agentId,
    parent_id: token.ancestors.at(-1)?.tokenId ?? null,
    root_id: token.ancestors[0]?.tokenId ?? null,
    scopes: token.scopes,
    ip_allowlist: token.ipAllowlist,
    max_uses: token.maxUses,
    rate: token.rate,
    allow: token.allow,
    tool: token.tool,
    user: token.user,
    dpop_jkt: token.jkt,
    context: token.context,
    issued_at: iso(token.issuedAt),
    expires_at: iso(token.expiresAt),
    revoked_at: token.revokedAt === null ? null : iso(token.revokedAt),
  };
}
