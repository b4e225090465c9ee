import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { respondChange } from "../base/respond-change.ts";
import type { PolicyVersionRow } from "./policy-rows.ts";
import type { Policy } from "./policy.ts";
import { policyListSchema, policySchema, policyVersionsSchema, templateListSchema } from "./responses.ts";
import { policyCreateSchema, policyPatchSchema, rollbackSchema } from "./schemas.ts";
import type { PolicyContent } from "./tables.ts";
import { describeTemplates } from "./templates.ts";

const endpoint = declareFor<Api>();
const tag = "Policies";
const WRITERS = ["admin", "editor"] as const;
const READERS = ["admin", "editor", "viewer", "auditor"] as const;
const policyParams = z.strictObject({ id: idSchema("policy") });

const LOOSENING =
  "What lets through calls that a policy refuses or asks people about takes a person with a sign-in of at most 5 minutes; for a person, so does a policy that allows.";

/** `/v1/policies`: admins and editors manage them, everybody sees them. */
export const policyEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/policies",
    operationId: "createPolicy",
    tag,
    summary: "Make a policy, of your own or of a template",
    description: LOOSENING,
    access: { roles: WRITERS },
    idempotent: true,
    body: policyCreateSchema,
    responses: { 201: policySchema },
    errors: ["CONFLICT", "STEP_UP_REQUIRED"],
    change: true,
    handler: async ({ caller, body, c }) => {
      const { policy, change } = await c.get("services").policies.create(caller, body);
      return respondChange(c, render(policy), change, 201);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/policies",
    operationId: "listPolicies",
    tag,
    summary: "All policies, by name",
    access: { roles: READERS },
    query: pageSchema.strict(),
    responses: { 200: policyListSchema },
    handler: async ({ caller, query, c }) => {
      const { policies, nextCursor } = await c.get("services").policies.list(caller.tenantId, query);
      return c.json({ policies: policies.map(render), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/policies/templates",
    operationId: "listPolicyTemplates",
    tag,
    summary: "Templates of common policies",
    access: { roles: READERS },
    responses: { 200: templateListSchema },
    handler: ({ c }) => c.json({ templates: describeTemplates() }),
  }),

  endpoint({
    method: "GET",
    path: "/v1/policies/{id}",
    operationId: "getPolicy",
    tag,
    summary: "One policy",
    access: { roles: READERS },
    params: policyParams,
    responses: { 200: policySchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) =>
      c.json(render(await c.get("services").policies.get(caller.tenantId, params.id))),
  }),

  endpoint({
    method: "PATCH",
    path: "/v1/policies/{id}",
    operationId: "updatePolicy",
    tag,
    summary: "Change a policy; what it is on stays",
    description: LOOSENING,
    access: { roles: WRITERS },
    idempotent: true,
    params: policyParams,
    body: policyPatchSchema,
    responses: { 200: policySchema },
    errors: ["NOT_FOUND", "CONFLICT", "STEP_UP_REQUIRED"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const { policy, change } = await c.get("services").policies.update(caller, params.id, body);
      return respondChange(c, render(policy), change);
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/policies/{id}",
    operationId: "deletePolicy",
    tag,
    summary: "Delete a policy; its versions stay",
    description: LOOSENING,
    access: { roles: WRITERS },
    idempotent: true,
    params: policyParams,
    responses: { 204: null },
    errors: ["NOT_FOUND", "CONFLICT", "STEP_UP_REQUIRED"],
    change: true,
    handler: async ({ caller, params, c }) =>
      respondChange(c, null, await c.get("services").policies.remove(caller, params.id)),
  }),

  endpoint({
    method: "GET",
    path: "/v1/policies/{id}/versions",
    operationId: "listPolicyVersions",
    tag,
    summary: "What a policy said, version by version",
    description: "Also of a policy that is deleted.",
    access: { roles: READERS },
    params: policyParams,
    query: pageSchema.strict(),
    responses: { 200: policyVersionsSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, query, c }) => {
      const { policies } = c.get("services");
      const { versions, nextCursor } = await policies.versions(caller.tenantId, params.id, query);
      return c.json({ versions: versions.map(renderVersion), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/policies/{id}/rollback",
    operationId: "rollBackPolicy",
    tag,
    summary: "Say again what the policy said at a version",
    description: LOOSENING,
    access: { roles: WRITERS },
    idempotent: true,
    params: policyParams,
    body: rollbackSchema,
    responses: { 200: policySchema },
    errors: ["NOT_FOUND", "CONFLICT", "STEP_UP_REQUIRED"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const { policy, change } = await c.get("services").policies.rollback(caller, params.id, body.version);
      return respondChange(c, render(policy), change);
    },
  }),
];

function render(policy: Policy) {
  return {
    id: policy.id,
    ...renderContent(policy),
    version: policy.version,
    created_at: new Date(policy.createdAt).toISOString(),
    updated_at: new Date(policy.updatedAt).toISOString(),
  };
}

function renderContent(policy: PolicyContent) {
  const isAsking = policy.effect === "require_approval";
  return {
    name: policy.name,
    description: policy.description,
    effect: policy.effect,
    on: policy.on,
    connections: policy.connections,
    condition: policy.condition,
    approvals: isAsking ? policy.approvals : null,
    delay_seconds: isAsking ? policy.delaySeconds : null,
    message: policy.message,
    enabled: policy.enabled,
  };
}

function renderVersion({ version, policy, changedBy, at }: PolicyVersionRow) {
  return {
    version,
    policy: policy === null ? null : renderContent(policy),
    changed_by: changedBy,
    at: new Date(at).toISOString(),
  };
}
