import { z } from "zod";
import type { Api } from "../api/context.ts";
import { systemClock } from "../base/clock.ts";
import { durationSchema } from "../base/duration.ts";
import { declareFor } from "../base/endpoint.ts";
import { measure } from "./metrics.ts";
import { metricsSchema } from "./responses.ts";

const endpoint = declareFor<Api>();

const PERIODS = { minSeconds: 60, maxSeconds: 7 * 86_400, example: "1h" };

const querySchema = z.strictObject({
  period: durationSchema(PERIODS)
    .optional()
    .describe("The last `15m`, `1h`, `24h`, up to `7d`; an hour if left out."),
});

/** `/v1/metrics`: how much happens, and how much of it is refused. */
export const metricsEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/metrics",
    operationId: "getMetrics",
    tag: "Audit",
    summary: "Calls, refusals, tokens and approvals of the last hour, or another period",
    description:
      "Counted from the audit trail. Watch `calls.denial_rate` (an attack, or a policy that does not fit) and `tokens.unused_rate` (agents ask for more than they need).",
    access: { roles: ["admin", "editor", "auditor"] },
    trail: true,
    query: querySchema,
    responses: { 200: metricsSchema },
    handler: async ({ caller, query, c }) => {
      const seconds = query.period ?? 3_600;
      const to = systemClock();
      const { audit } = c.get("services");
      const source = {
        blocks: (range: Parameters<typeof audit.blocks>[1]) => audit.blocks(caller.tenantId, range),
      };
      const { calls, tokens, approvals, connections, complete, from } = await measure(
        source,
        to - seconds * 1_000,
        to + 1,
      );
      return c.json({
        period: `${seconds}s`,
        from: new Date(from).toISOString(),
        to: new Date(to).toISOString(),
        complete,
        calls: {
          ...{ allowed: calls.allowed, denied: calls.denied, failed: calls.failed },
          denial_rate: calls.denialRate,
        },
        tokens: {
          ...{ issued: tokens.issued, unused: tokens.unused, unused_rate: tokens.unusedRate },
          ...{ denied: tokens.denied, revoked: tokens.revoked },
        },
        approvals: {
          ...{ requested: approvals.requested, granted: approvals.granted, denied: approvals.denied },
          timed_out: approvals.timedOut,
        },
        connections,
      });
    },
  }),
];
