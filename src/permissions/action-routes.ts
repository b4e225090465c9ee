import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { pageSchema } from "../base/page.ts";
import { respondChange } from "../base/respond-change.ts";
import type { Action, DeclaredConstraint } from "./action.ts";
import { actionCreateSchema, actionNameSchema, actionPatchSchema } from "./action-schemas.ts";
import { actionListSchema, actionSchema } from "./responses.ts";

const endpoint = declareFor<Api>();
const tag = "Permissions";
const WRITERS = ["admin", "editor"] as const;
const READERS = ["admin", "editor", "viewer", "auditor"] as const;
const actionParams = z.strictObject({ name: actionNameSchema });

const LOOSENING = "To have fewer people agree takes a person with a sign-in of at most 5 minutes.";

/** `/v1/actions`: what agents may ask permission for. */
export const actionEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/actions",
    operationId: "createAction",
    tag,
    summary: "Declare an action and its constraints",
    description: "Where `approvals` is 0, a person needs a sign-in of at most 5 minutes.",
    access: { roles: WRITERS },
    body: actionCreateSchema,
    responses: { 201: actionSchema },
    errors: ["CONFLICT", "STEP_UP_REQUIRED"],
    change: true,
    handler: async ({ caller, body, c }) => {
      const { action, change } = await c.get("services").actions.create(caller, body);
      return respondChange(c, render(action), change, 201);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/actions",
    operationId: "listActions",
    tag,
    summary: "All actions, by name",
    access: { roles: READERS, agent: true },
    query: pageSchema.strict(),
    responses: { 200: actionListSchema },
    handler: async ({ caller, query, c }) => {
      const { actions, nextCursor } = await c.get("services").actions.list(caller.tenantId, query);
      return c.json({ actions: actions.map(render), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/actions/{name}",
    operationId: "getAction",
    tag,
    summary: "One action",
    access: { roles: READERS, agent: true },
    params: actionParams,
    responses: { 200: actionSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) =>
      c.json(render(await c.get("services").actions.get(caller.tenantId, params.name))),
  }),

  endpoint({
    method: "PATCH",
    path: "/v1/actions/{name}",
    operationId: "updateAction",
    tag,
    summary: "Change an action; requests that wait for people are void, what was granted stays",
    description: LOOSENING,
    access: { roles: WRITERS },
    params: actionParams,
    body: actionPatchSchema,
    responses: { 200: actionSchema },
    errors: ["NOT_FOUND", "CONFLICT", "STEP_UP_REQUIRED"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const { action, change } = await c.get("services").actions.update(caller, params.name, body);
      return respondChange(c, render(action), change);
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/actions/{name}",
    operationId: "deleteAction",
    tag,
    summary: "Delete an action; nothing more is granted of it",
    description: `Where \`approvals\` is not 0: ${LOOSENING.toLowerCase()}`,
    access: { roles: WRITERS },
    params: actionParams,
    responses: { 204: null },
    errors: ["NOT_FOUND", "CONFLICT", "STEP_UP_REQUIRED"],
    change: true,
    handler: async ({ caller, params, c }) =>
      respondChange(c, null, await c.get("services").actions.remove(caller, params.name)),
  }),
];

function render(action: Action) {
  const { templates, constraints } = action;
  return {
    ...{ name: action.name, version: action.version, description: action.description, calls: action.calls },
    constraints: Object.fromEntries(
      Object.entries(constraints).map(([name, constraint]) => [name, renderConstraint(constraint)]),
    ),
    resource_field: action.resourceField,
    default_ttl_seconds: action.defaultTtlSeconds,
    max_ttl_seconds: action.maxTtlSeconds,
    max_uses: action.maxUses,
    approvals: action.approvals,
    templates: Object.fromEntries(
      Object.entries(templates).map(([name, { description, scope, ttlSeconds, maxUses }]) => [
        name,
        { description, scope, ttl_seconds: ttlSeconds, max_uses: maxUses },
      ]),
    ),
    created_at: new Date(action.createdAt).toISOString(),
    updated_at: new Date(action.updatedAt).toISOString(),
  };
}

function renderConstraint({ text, ...constraint }: DeclaredConstraint) {
  return { ...constraint, as: text ? "text" : null };
}
