import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { MemberCaller } from "./caller.ts";
import { sessionListSchema } from "./responses.ts";
import { emptySchema } from "./schemas.ts";
import type { Session } from "./sessions.ts";

const endpoint = declareFor<Api>();
const tag = "Sessions";
const EVERYBODY = ["admin", "editor", "viewer", "auditor"] as const;
const whose = {
  member_id: idSchema("member").optional().describe("Another member's, for admins. Left out: your own."),
};

/** `/v1/sessions`, and signing out. */
export const sessionEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/sessions",
    operationId: "listSessions",
    tag,
    summary: "Where you are signed in",
    access: { roles: EVERYBODY },
    query: pageSchema.extend(whose).strict(),
    responses: { 200: sessionListSchema },
    handler: async ({ caller, query, c }) => {
      const { sessions, nextCursor } = await c
        .get("services")
        .sessions.list(caller.tenantId, memberOf(caller, query.member_id), query);
      const current = caller.signIn?.sessionId;
      return c.json({
        sessions: sessions.map((session) => ({ ...render(session), current: session.id === current })),
        next_cursor: nextCursor,
      });
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/sessions",
    operationId: "endSessions",
    tag,
    summary: "End all your sessions, or all of a member's",
    access: { roles: EVERYBODY },
    query: z.strictObject(whose),
    responses: { 204: null },
    handler: async ({ caller, query, c }) => {
      await c.get("services").sessions.endAll(caller, memberOf(caller, query.member_id));
      return c.body(null, 204);
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/sessions/{id}",
    operationId: "endSession",
    tag,
    summary: "End one session",
    access: { roles: EVERYBODY },
    params: z.strictObject({ id: idSchema("session") }),
    responses: { 204: null },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) => {
      await c.get("services").sessions.end(caller, params.id);
      return c.body(null, 204);
    },
  }),

  endpoint({
    method: "POST",
    path: "/auth/sign-out",
    operationId: "signOut",
    tag,
    summary: "End the browser's session and remove its cookie",
    access: { roles: EVERYBODY },
    body: emptySchema,
    responses: { 204: null },
    handler: async ({ caller, c }) => {
      const { sessions } = c.get("services");
      const id = caller.signIn?.sessionId ?? null;
      if (id !== null) await sessions.end(caller, id);
      c.header("set-cookie", sessions.cookie.clear());
      return c.body(null, 204);
    },
  }),
];

function memberOf(
  caller: MemberCaller,
  named: MemberCaller["memberId"] | undefined,
): MemberCaller["memberId"] {
  if (named === undefined || named === caller.memberId || caller.role === "admin")
    return named ?? caller.memberId;
  throw new Problem("ROLE_DENIED", "Another member's sessions are for a member with the role admin.");
}

function render(session: Session) {
  const time = (at: number) => new Date(at).toISOString();
  return {
    id: session.id,
    member_id: session.memberId,
    method: session.method,
    authenticated_at: session.authenticatedAt === null ? null : time(session.authenticatedAt),
    ip_address: session.ip,
    user_agent: session.userAgent,
    created_at: time(session.createdAt),
    last_seen_at: time(session.lastSeenAt),
    expires_at: time(session.expiresAt),
  };
}
