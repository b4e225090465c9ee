import { z } from "zod";
import type { Api } from "../api/context.ts";
import { timeSchema } from "../base/answer-parts.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { respondChange } from "../base/respond-change.ts";
import { scopeSchema } from "../base/scope.ts";
import { ALGORITHMS } from "./oidc/algorithms.ts";
import { PROVIDER_IDS } from "./trust/presets.ts";
import { claimMatchSchema, trustRuleSchema } from "./trust/rule.ts";
import type { StoredTrustRule } from "./trust/trust-rules.ts";

const endpoint = declareFor<Api>();
const tag = "Agents";
const agentParams = z.strictObject({ id: idSchema("agent") });

const trustRuleAnswerSchema = z
  .strictObject({
    id: idSchema("trust"),
    name: z.string(),
    provider: z.enum(PROVIDER_IDS),
    issuer: z.string(),
    jwks_uri: z.string().nullable().describe("null: the provider's, or what the issuer's discovery says."),
    algorithms: z.array(z.enum(ALGORITHMS)).nullable().describe("null: the usual ones."),
    audience: z.string(),
    subject: claimMatchSchema.nullable(),
    claims: z.record(z.string(), claimMatchSchema),
    allowed_scopes: z.array(scopeSchema).nullable().describe("null: what the agent may ask for."),
    max_ttl: z.string().nullable().describe("As a duration, `900s`; null: `1h`."),
    created_at: timeSchema,
  })
  .meta({ id: "TrustRule" });

/** `/v1/agents/{id}/trust`: by which workloads' own tokens an agent's tokens are given out. */
export const trustEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/agents/{id}/trust",
    operationId: "listTrustRules",
    tag,
    summary: "An agent's trust rules, in the order in which they are tried",
    access: { roles: ["admin", "editor", "viewer", "auditor"] },
    params: agentParams,
    responses: { 200: z.strictObject({ rules: z.array(trustRuleAnswerSchema) }) },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) => {
      const rules = await c.get("services").trustRules.list(caller.tenantId, params.id);
      return c.json({ rules: rules.map(render) });
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/agents/{id}/trust",
    operationId: "createTrustRule",
    tag,
    summary: "Trust workloads of a platform to be this agent",
    access: { roles: ["admin"] },
    stepUp: true,
    params: agentParams,
    body: trustRuleSchema,
    responses: { 201: trustRuleAnswerSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const { rule, change } = await c.get("services").trustRules.add(caller, params.id, body);
      return respondChange(c, render(rule), change, 201);
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/agents/{id}/trust/{rule_id}",
    operationId: "deleteTrustRule",
    tag,
    summary: "Trust them no more; tokens that were got by the rule live on",
    access: { roles: ["admin"] },
    stepUp: true,
    params: agentParams.extend({ rule_id: idSchema("trust") }),
    responses: { 204: null },
    errors: ["NOT_FOUND"],
    change: true,
    handler: async ({ caller, params, c }) =>
      respondChange(c, null, await c.get("services").trustRules.remove(caller, params.id, params.rule_id)),
  }),
];

function render(rule: StoredTrustRule) {
  return {
    id: rule.id,
    name: rule.name,
    provider: rule.provider,
    issuer: rule.issuer,
    jwks_uri: rule.jwks_uri ?? null,
    algorithms: rule.algorithms ?? null,
    audience: rule.audience,
    subject: rule.subject ?? null,
    claims: rule.claims,
    allowed_scopes: rule.allowed_scopes ?? null,
    max_ttl: rule.max_ttl === undefined ? null : `${rule.max_ttl}s`,
    created_at: new Date(rule.createdAt).toISOString(),
  };
}
