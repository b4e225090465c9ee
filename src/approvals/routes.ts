import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { requireOwnPage } from "../base/same-origin.ts";
import { renderCase } from "./render.ts";
import { approvalDetailSchema, approvalListSchema, approvalSchema } from "./responses.ts";
import { approvalListQuerySchema, approveSchema, cancelSchema, denySchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Approvals";
/** Nobody else answers: no credential for scripts, no agent, no token (attack 80). */
const PEOPLE = { roles: ["admin", "editor"], person: true } as const;
const params = z.strictObject({ id: idSchema("approval") });

/** `/v1/approvals`: what waits for people, and their answers. */
export const approvalEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/approvals",
    operationId: "listApprovals",
    tag,
    summary: "Requests that wait for people, or did, newest first",
    access: PEOPLE,
    query: approvalListQuerySchema,
    responses: { 200: approvalListSchema },
    handler: async ({ caller, query: { status = null, kind = null, ...page }, c }) => {
      const { approvals, nextCursor } = await c
        .get("services")
        .approvals.list(caller.tenantId, { status, kind }, page);
      return c.json({ approvals: approvals.map(renderCase), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/approvals/feed",
    operationId: "watchApprovals",
    tag,
    summary: "What happens to requests for approval, as it happens",
    description:
      'A WebSocket. Each message is `{"type": "approval.requested", "approval": {…}}`, of any event of an approval; the first is `feed.opened`, with `until` when it ends: after 15 minutes, with code 4001. Open it again then, and read the list for what happened in between. Code 4003: whoever watches may not any more, and was told nothing since. `ping` is answered with `pong`.',
    access: PEOPLE,
    responses: { 101: null },
    errors: ["VALIDATION_ERROR", "CSRF_REFUSED"],
    handler: async ({ caller, c }) => {
      const { approvals, origin } = c.get("services");
      const { raw } = c.req;
      // Browsers send cookies with a WebSocket that any page opens.
      if (!raw.headers.has("authorization")) requireOwnPage(raw, origin);
      if (raw.headers.get("upgrade")?.toLowerCase() !== "websocket") {
        throw new Problem("VALIDATION_ERROR", "This is a WebSocket: ask for one with `Upgrade: websocket`.");
      }
      return approvals.feed(caller);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/approvals/{id}",
    operationId: "getApproval",
    tag,
    summary: "One request, with what there is to look at before answering it",
    access: PEOPLE,
    params,
    responses: { 200: approvalDetailSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params: { id }, c }) => {
      const { held, shown } = await c.get("services").approvals.get(caller.tenantId, id);
      return c.json({ ...renderCase(held), shown });
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/approvals/{id}/approve",
    operationId: "approve",
    tag,
    summary: "Approve exactly this request",
    description:
      "A second time by the same person is the first. What takes two takes two people: neither who asked, nor for whom it is, nor two accounts of one.",
    access: PEOPLE,
    stepUp: true,
    vetted: true,
    params,
    body: approveSchema,
    responses: { 200: approvalSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id }, body, c }) =>
      c.json(renderCase(await c.get("services").approvals.approve(caller, id, body))),
  }),

  endpoint({
    method: "POST",
    path: "/v1/approvals/{id}/deny",
    operationId: "deny",
    tag,
    summary: "Deny a request, and say why",
    description: "One denial suffices, also while the delay of what was approved runs.",
    access: PEOPLE,
    params,
    body: denySchema,
    responses: { 200: approvalSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id }, body, c }) =>
      c.json(renderCase(await c.get("services").approvals.deny(caller, id, body.reason))),
  }),

  endpoint({
    method: "POST",
    path: "/v1/approvals/{id}/cancel",
    operationId: "cancelApproval",
    tag,
    summary: "Take a request back, also while the delay of what was approved runs",
    access: PEOPLE,
    params,
    body: cancelSchema,
    responses: { 200: approvalSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id }, body, c }) =>
      c.json(renderCase(await c.get("services").approvals.cancel(caller, id, body.reason ?? null))),
  }),
];
