import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import type { Tried } from "./policy-trials.ts";
import { recordedTrialSchema, trialResultSchema, trialSchema } from "./trial-schemas.ts";
import type { Outcome } from "./trial.ts";

const endpoint = declareFor<Api>();
const tag = "Policies";
const MAX_SHOWN = 20;

/** `/v1/policies/test`: what policies would do, before they do it. */
export const trialEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/policies/test",
    operationId: "testPolicies",
    tag,
    summary: "What would become of calls under other policies",
    description: "Nothing is sent, charged, changed or recorded. Without a draft: under those in force.",
    access: { roles: ["admin", "editor", "viewer"] },
    quota: "reads",
    idempotent: false,
    body: trialSchema,
    responses: { 200: trialResultSchema },
    handler: async ({ caller, body, c }) =>
      c.json(render(await c.get("services").policyTrials.examples(caller.tenantId, body))),
  }),

  endpoint({
    method: "POST",
    path: "/v1/policies/test/recorded",
    operationId: "testPoliciesOnRecord",
    tag,
    summary: "What would have become of recorded calls under other policies",
    description:
      "The trail has no bodies, queries or headers: what a condition on those would have said is told as undecidable. Connections, agents and secrets are taken as they are now.",
    access: { roles: ["admin", "auditor"] },
    trail: true,
    quota: "reads",
    idempotent: false,
    body: recordedTrialSchema,
    responses: { 200: trialResultSchema },
    handler: async ({ caller, body, c }) =>
      c.json(render(await c.get("services").policyTrials.recorded(caller.tenantId, body))),
  }),
];

function render(tried: readonly Tried[]) {
  return {
    calls: tried.map(({ call, now, draft, changed }) => ({
      method: call.method,
      connection: call.slug,
      path: call.path,
      at: new Date(call.at).toISOString(),
      event_id: call.eventId,
      now: renderOutcome(now),
      draft: renderOutcome(draft),
      changed,
    })),
    changed: tried.filter(({ changed }) => changed === true).length,
    undecidable: tried.filter(({ changed }) => changed === null).length,
  };
}

function renderOutcome({ verdict, answers }: Outcome) {
  const isAsking = verdict.kind === "require_approval";
  return {
    verdict: verdict.kind === "none" ? "default" : verdict.kind,
    approvals: isAsking ? verdict.approvals : null,
    delay_seconds: isAsking ? verdict.delaySeconds : null,
    policies: answers.slice(0, MAX_SHOWN).map(({ policy, answer }) => ({
      name: policy.name,
      version: policy.version === 0 ? null : policy.version,
      effect: policy.effect,
      outcome: answer.kind,
      error: answer.kind === "error" ? answer.error : null,
    })),
  };
}
