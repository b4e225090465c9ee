import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { respondChange } from "../base/respond-change.ts";
import type { BudgetStanding } from "./budgets.ts";
import { renderAmount, renderBudget } from "./render.ts";
import { budgetListSchema, budgetSchema, budgetStateSchema } from "./responses.ts";
import { budgetCreateSchema, budgetPatchSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Budgets";
const WRITERS = ["admin", "editor"] as const;
const READERS = ["admin", "editor", "viewer"] as const;
const budgetParams = z.strictObject({ id: idSchema("budget") });

/** `/v1/budgets`: admins and editors manage them, viewers see them and what is left. */
export const budgetEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/budgets",
    operationId: "createBudget",
    tag,
    summary: "Make a budget of calls, bytes or money",
    access: { roles: WRITERS },
    body: budgetCreateSchema,
    responses: { 201: budgetSchema },
    errors: ["CONFLICT", "NOT_FOUND"],
    change: true,
    handler: async ({ caller, body, c }) => {
      const { agents, budgets } = c.get("services");
      if (body.scope.agent !== undefined) await agents.get(caller.tenantId, body.scope.agent);
      const { budget, change } = await budgets.create(caller, body);
      return respondChange(c, renderBudget(budget), change, 201);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/budgets",
    operationId: "listBudgets",
    tag,
    summary: "All budgets, by name",
    access: { roles: READERS },
    query: pageSchema.strict(),
    responses: { 200: budgetListSchema },
    handler: async ({ caller, query, c }) => {
      const { budgets, nextCursor } = await c.get("services").budgets.list(caller.tenantId, query);
      return c.json({ budgets: budgets.map(renderBudget), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/budgets/{id}",
    operationId: "getBudget",
    tag,
    summary: "One budget",
    access: { roles: READERS },
    params: budgetParams,
    responses: { 200: budgetSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) =>
      c.json(renderBudget(await c.get("services").budgets.get(caller.tenantId, params.id))),
  }),

  endpoint({
    method: "PATCH",
    path: "/v1/budgets/{id}",
    operationId: "updateBudget",
    tag,
    summary: "Change a budget; what it is about, measures and its period stay",
    access: { roles: WRITERS },
    params: budgetParams,
    body: budgetPatchSchema,
    responses: { 200: budgetSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const { budget, change } = await c.get("services").budgets.update(caller, params.id, body);
      return respondChange(c, renderBudget(budget), change);
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/budgets/{id}",
    operationId: "deleteBudget",
    tag,
    summary: "Delete a budget, and what was used of it",
    access: { roles: WRITERS },
    params: budgetParams,
    responses: { 204: null },
    errors: ["NOT_FOUND", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, c }) =>
      respondChange(c, null, await c.get("services").budgets.remove(caller, params.id)),
  }),

  endpoint({
    method: "GET",
    path: "/v1/budgets/{id}/state",
    operationId: "getBudgetState",
    tag,
    summary: "What is used and left of a budget, and when it refills",
    access: { roles: READERS },
    params: budgetParams,
    query: z.strictObject({
      token_id: idSchema("token").optional().describe("Of a budget that each token has for itself: whose."),
    }),
    responses: { 200: budgetStateSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, query, c }) => {
      const { budgets, tokens } = c.get("services");
      const { token_id: tokenId } = query;
      const token = tokenId === undefined ? null : await tokens.get(caller.tenantId, null, tokenId);
      return c.json(renderStanding(await budgets.state(caller.tenantId, params.id, token)));
    },
  }),
];

function renderStanding({ budget, window, used, reserved, refillsAt }: BudgetStanding) {
  const time = (at: number): string => new Date(at).toISOString();
  return {
    used: renderAmount(budget, used),
    reserved: renderAmount(budget, reserved),
    left: renderAmount(budget, Math.max(0, budget.limit - used - reserved)),
    limit: renderAmount(budget, budget.limit),
    began_at: budget.period === "total" ? null : time(window),
    refills_at: refillsAt === null ? null : time(refillsAt),
  };
}
