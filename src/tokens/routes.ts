import { Hono } from "hono";
import { z } from "zod";
import type { ApiEnv } from "../api/context.ts";
import { type AgentId, idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import { readQuery } from "../base/query.ts";
import { check, readBody, readJson } from "../base/request.ts";
import { respondChange } from "../base/respond-change.ts";
import type { AgentCaller, Authentication, MemberCaller } from "../identity/caller.ts";
import type { Watermark } from "../identity/changes.ts";
import { type BulkRevocation, bulkRevocationSchema, tokenRequestSchema } from "./schemas.ts";
import type { IndexedToken } from "./tokens.ts";

const tokenIdSchema = idSchema("token");
const listSchema = pageSchema.strict();
const introspectionSchema = z.strictObject({
  token: z.string().min(1).max(4096),
  token_type_hint: z.string().optional(),
});

/** `/v1/tokens`: agents ask for tokens and see their own; members see and revoke all. */
export function tokenRoutes(): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();

  routes.post("/", async (c) => {
    const caller = await c.get("auth").agent();
    const request = await readJson(c.req.raw, tokenRequestSchema);
    const { token, grant } = await c.get("services").tokens.issue(caller, request);
    return c.json({ token: token.reveal(), token_id: grant.tokenId, expires_at: iso(grant.expiresAt) }, 201);
  });

  routes.get("/", async (c) => {
    const caller = await ownerOrMember(c.get("auth"), ["admin", "editor", "viewer"]);
    const page = readQuery(c.req.raw, listSchema);
    const { tokens, nextCursor } = await c.get("services").tokens.list(caller.tenantId, ownOf(caller), page);
    return c.json({ tokens: tokens.map(render), next_cursor: nextCursor });
  });

  routes.post("/revoke", async (c) => {
    const caller = await c.get("auth").member("admin", "editor");
    const target = await readJson(c.req.raw, bulkRevocationSchema);
    const watermark = watermarkFor(target);
    const result = await c.get("services").tokens.revokeAll(caller, watermark);
    return respondChange(c, { revoked: { [watermark.kind]: watermark.key } }, result);
  });

  routes.get("/:id", async (c) => {
    const caller = await ownerOrMember(c.get("auth"), ["admin", "editor", "viewer"]);
    const { tokens } = c.get("services");
    const token = await tokens.get(caller.tenantId, ownOf(caller), check(tokenIdSchema, c.req.param("id")));
    const { uses, revoked } = await tokens.uses(token.tokenId);
    return c.json({ ...render(token), uses, revoked: revoked || token.revokedAt !== null });
  });

  routes.delete("/:id", async (c) => {
    const caller = await ownerOrMember(c.get("auth"), ["admin", "editor"]);
    await c.get("services").tokens.revoke(caller, check(tokenIdSchema, c.req.param("id")));
    return c.body(null, 204);
  });

  return routes;
}

/**
 * `POST /oauth/introspect` (RFC 7662): a token's state, without charging it. For members and agents of the token's own
 * tenant; anything else is `{"active": false}`, whatever the reason.
 */
export function introspectionRoutes(): Hono<ApiEnv> {
  return new Hono<ApiEnv>().post("/", async (c) => {
    const caller = await ownerOrMember(c.get("auth"), ["admin", "editor", "viewer"]);
    const { token } = await readIntrospection(c.req.raw);
    const { tokens, tokenUses } = c.get("services");
    const grant = await tokenUses.identify(token).catch((error: unknown) => {
      if (error instanceof Problem && error.status < 500) return null;
      throw error;
    });
    const own = ownOf(caller);
    if (grant === null || grant.tenantId !== caller.tenantId || (own !== null && grant.agentId !== own)) {
      return c.json({ active: false });
    }
    const { uses } = await tokens.uses(grant.tokenId);
    if (grant.maxUses !== null && uses >= grant.maxUses) return c.json({ active: false });
    return c.json({
      active: true,
      scope: grant.scopes.join(" "),
      client_id: grant.agentId,
      sub: grant.agentId,
      token_type: "Bearer",
      jti: grant.tokenId,
      iat: Math.floor(grant.issuedAt / 1000),
      exp: Math.floor(grant.expiresAt / 1000),
      uses,
      max_uses: grant.maxUses,
    });
  });
}

function watermarkFor(target: BulkRevocation): Watermark {
  if ("agent" in target) return { kind: "agent", key: target.agent };
  if ("secret" in target) return { kind: "secret", key: target.secret };
  if ("connection" in target) return { kind: "connection", key: target.connection };
  if ("class" in target) return { kind: "class", key: target.class };
  return { kind: "tenant", key: "*" };
}

/** RFC 7662 §2.1 sends a form; JSON is taken as well. */
async function readIntrospection(request: Request): Promise<{ token: string }> {
  if (!request.headers.get("content-type")?.startsWith("application/x-www-form-urlencoded")) {
    return readJson(request, introspectionSchema);
  }
  const form = new URLSearchParams(new TextDecoder().decode(await readBody(request, 16_384)));
  return check(introspectionSchema, Object.fromEntries(form));
}

async function ownerOrMember(
  auth: Authentication,
  roles: readonly MemberCaller["role"][],
): Promise<MemberCaller | AgentCaller> {
  const caller = await auth.caller();
  return caller.kind === "agent" ? caller : auth.member(...roles);
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
    scopes: token.scopes,
    ip_allowlist: token.ipAllowlist,
    max_uses: token.maxUses,
    rate: token.rate,
    allow: token.allow,
    tool: token.tool,
    user: token.user,
    context: token.context,
    issued_at: iso(token.issuedAt),
    expires_at: iso(token.expiresAt),
    revoked_at: token.revokedAt === null ? null : iso(token.revokedAt),
  };
}
