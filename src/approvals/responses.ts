import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { idSchema } from "../base/ids.ts";
import { callContextSchema, callRuleSchema } from "../tokens/schemas.ts";
import { approvalStatusSchema } from "./schemas.ts";

const strictTierSchema = z.enum(["sensitive", "critical"]);

/** What an agent asked for, as it is to be approved: all of it, and nothing else. */
const requestedSchema = z.strictObject({
  scopes: z.array(z.string()),
  ttl_seconds: z.int(),
  max_uses: z.int().nullable(),
  ip_allowlist: z.array(z.string()),
  rate: z.strictObject({ count: z.int(), windowSeconds: z.int() }).nullable(),
  allow: z.array(callRuleSchema).nullable(),
  tool: z.string().nullable(),
  user: z.string().nullable(),
  dpop_jkt: z.string().nullable(),
  context: callContextSchema,
});

const approvalSchema = z
  .strictObject({
    id: idSchema("approval"),
    status: approvalStatusSchema,
    agent_id: idSchema("agent"),
    requested: requestedSchema,
    digest: z.string().describe("SHA-256 of the request: an approval is of this one."),
    tier: z.enum(["standard", "sensitive", "critical"]).describe("The strictest that it reaches."),
    reach: z.strictObject({
      secrets: z.int().nullable().describe("How many above the standard tier; null: more than are counted."),
      shown: z.array(z.strictObject({ path: z.string(), tier: strictTierSchema })),
      connections: z.array(z.string()).describe("Through which it uses them."),
    }),
    approvals_needed: z.int().describe("By so many different people."),
    delay_seconds: z.int().describe("So long after the last of them it holds."),
    approvals: z.int().describe("By so many already."),
    ip_address: z.string().nullable(),
    requested_at: timeSchema,
    expires_at: timeSchema,
    decided_at: timeSchema.nullable(),
    not_before: timeSchema.nullable(),
  })
  .meta({ id: "Approval" });

export const approvalListSchema = z.strictObject({
  approvals: z.array(approvalSchema),
  next_cursor: nextCursorSchema,
});

/** What the asking agent is told. */
export const approvalStateSchema = z
  .strictObject({
    approval_id: idSchema("approval"),
    status: approvalStatusSchema,
    requested_at: timeSchema,
    expires_at: timeSchema,
    decided_at: timeSchema.nullable(),
    not_before: timeSchema.nullable().describe("Approved, it holds from then on."),
    reason: z.string().nullable().describe("Why it was denied."),
  })
  .meta({ id: "ApprovalState" });
