import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { secretPathSchema } from "../base/secret-path.ts";
import { renderPlaintext } from "./render.ts";
import { secretValueSchema } from "./responses.ts";
import type { RevealGrant } from "./reveal-grants.ts";
import {
  revealGrantCreateSchema,
  revealGrantListSchema,
  revealGrantSchema,
  revealSchema,
} from "./reveal-schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Secrets";
const REVEALERS = ["admin", "editor"] as const;
const params = z.strictObject({ id: idSchema("revealGrant") });

/** How people read plaintext: `/v1/reveal-grants`, and the reading itself. */
export const revealEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/reveal-grants",
    operationId: "createRevealGrant",
    tag,
    summary: "Ask to read plaintext for at most an hour, with a reason",
    description:
      "Every admin is told. While it is active you do not read the trail. What covers a critical secret is `pending` until another admin approves it.",
    access: { roles: REVEALERS, person: true },
    stepUp: true,
    vetted: true,
    body: revealGrantCreateSchema,
    responses: { 201: revealGrantSchema },
    errors: ["SECRET_NOT_FOUND"],
    handler: async ({ caller, body, c }) =>
      c.json(renderGrant(await c.get("services").revealGrants.create(caller, body)), 201),
  }),

  endpoint({
    method: "GET",
    path: "/v1/reveal-grants",
    operationId: "listRevealGrants",
    tag,
    summary: "Who may, and could, read plaintext: for editors, their own grants",
    access: { roles: ["admin", "editor", "auditor"] },
    query: pageSchema.strict(),
    responses: { 200: revealGrantListSchema },
    handler: async ({ caller, query, c }) => {
      const { grants, nextCursor } = await c.get("services").revealGrants.list(caller, query);
      return c.json({ reveal_grants: grants.map(renderGrant), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/reveal-grants/{id}/approve",
    operationId: "approveRevealGrant",
    tag,
    summary: "Be the second person: the grant begins now",
    description: "Nobody approves their own, nor that of one whom they let in within the last 24 hours.",
    access: { roles: ["admin"], person: true },
    stepUp: true,
    vetted: true,
    params,
    body: z.strictObject({}),
    responses: { 200: revealGrantSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id }, c }) =>
      c.json(renderGrant(await c.get("services").revealGrants.approve(caller, id))),
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/reveal-grants/{id}",
    operationId: "endRevealGrant",
    tag,
    summary: "End a grant: yours, or as an admin anybody's",
    access: { roles: REVEALERS },
    params,
    responses: { 204: null },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params: { id }, c }) => {
      await c.get("services").revealGrants.end(caller, id);
      return c.body(null, 204);
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/secrets/{+path}/reveal",
    operationId: "revealSecret",
    tag,
    summary: "Read a secret's value, under a grant",
    access: { roles: REVEALERS, person: true },
    stepUp: true,
    vetted: true,
    // A kept answer would be plaintext that outlives the grant.
    idempotent: false,
    params: z.strictObject({ path: secretPathSchema }),
    body: revealSchema,
    responses: { 200: secretValueSchema },
    errors: ["REVEAL_DENIED", "SECRET_NOT_FOUND", "SECRET_EXPIRED", "APPROVAL_REQUIRED"],
    handler: async ({ caller, params: { path }, body: { version }, c }) => {
      const { found, value, at } = await c.get("services").revealGrants.reveal(caller, path, version);
      return c.json(renderPlaintext(found.secret, found.sealed, value, at));
    },
  }),
];

/** A grant as answers have it. */
export function renderGrant(grant: RevealGrant) {
  const time = (at: number | null) => (at === null ? null : new Date(at).toISOString());
  return {
    id: grant.id,
    member_id: grant.memberId,
    path: grant.pattern,
    reason: grant.reason,
    ttl_seconds: grant.ttlSeconds,
    status: grant.status,
    requested_at: time(grant.requestedAt),
    starts_at: time(grant.startsAt),
    expires_at: time(grant.expiresAt),
    approved_by: grant.approvedBy,
    ended_at: time(grant.endedAt),
    ended_by: grant.endedBy,
  };
}
