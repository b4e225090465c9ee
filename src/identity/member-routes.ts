import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import {
  memberCreatedSchema,
  memberCredentialCreatedSchema,
  memberListSchema,
  memberSchema,
} from "./responses.ts";
import { emptySchema, memberCreateSchema, memberPatchSchema } from "./schemas.ts";
import type { TeamMember } from "./team-member.ts";

const endpoint = declareFor<Api>();
const tag = "Members";
const access = { roles: ["admin"] } as const;
const params = z.strictObject({ id: idSchema("member") });

/** `/v1/members`: admins say who belongs to the tenant. All of it counts from the next request on. */
export const memberEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/members",
    operationId: "createMember",
    tag,
    summary: "Invite a person, or make a credential for scripts",
    description:
      "A person is invited by address, which binds whoever first signs in with it verified, or by issuer and subject.",
    access,
    stepUp: true,
    body: memberCreateSchema,
    responses: { 201: memberCreatedSchema },
    errors: ["CONFLICT"],
    handler: async ({ caller, body, c }) => {
      const { member, credential } = await c.get("services").team.add(caller, body);
      return c.json(
        { ...render(member), ...(credential === null ? {} : { credential: credential.reveal() }) },
        201,
      );
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/members",
    operationId: "listMembers",
    tag,
    summary: "Who belongs to the tenant",
    access,
    query: pageSchema.strict(),
    responses: { 200: memberListSchema },
    handler: async ({ caller, query, c }) => {
      const { members, nextCursor } = await c.get("services").team.list(caller.tenantId, query);
      return c.json({ members: members.map(render), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/members/{id}",
    operationId: "getMember",
    tag,
    summary: "One member",
    access,
    params,
    responses: { 200: memberSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params: { id }, c }) =>
      c.json(render(await c.get("services").team.get(caller.tenantId, id))),
  }),

  endpoint({
    method: "PATCH",
    path: "/v1/members/{id}",
    operationId: "updateMember",
    tag,
    summary: "Change a member's role",
    description: "Nobody changes their own; the last admin stays one.",
    access,
    stepUp: true,
    params,
    body: memberPatchSchema,
    responses: { 200: memberSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id }, body, c }) =>
      c.json(render(await c.get("services").team.changeRole(caller, id, body.role))),
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/members/{id}",
    operationId: "deleteMember",
    tag,
    summary: "Remove a member, their sessions and credential",
    description: "The last admin stays.",
    access,
    stepUp: true,
    params,
    responses: { 204: null },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id }, c }) => {
      await c.get("services").team.remove(caller, id);
      return c.body(null, 204);
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/members/{id}/credentials",
    operationId: "rotateMemberCredential",
    tag,
    summary: "Rotate the credential of a script",
    description: "The old one ends at once.",
    access,
    stepUp: true,
    params,
    body: emptySchema,
    responses: { 201: memberCredentialCreatedSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id }, c }) => {
      const { member, credential } = await c.get("services").team.rotateCredential(caller, id);
      return c.json({ id, credential: credential.reveal(), rotate_by: time(member.rotateBy) }, 201);
    },
  }),
];

const time = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());

function render(member: TeamMember) {
  return {
    id: member.id,
    name: member.name,
    role: member.role,
    script: member.script,
    status: member.status,
    email: member.email,
    issuer: member.issuer,
    subject: member.subject,
    invited_at: time(member.invitedAt),
    invited_by: member.invitedBy,
    joined_at: time(member.joinedAt),
    credential_created_at: time(member.credentialCreatedAt),
    rotate_by: time(member.rotateBy),
    created_at: time(member.createdAt),
  };
}
