import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { idSchema } from "../base/ids.ts";
import { grantedLessSchema, permissionPayloadSchema } from "../tokens/permission-schemas.ts";
import { callContextSchema, callRuleSchema } from "../tokens/schemas.ts";
import { approvalKindSchema, approvalStatusSchema } from "./schemas.ts";
import { callPayloadSchema, shownCallSchema } from "./shown-schema.ts";

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

const times = {
  requested_at: timeSchema,
  expires_at: timeSchema.describe(
    "Pending: too late for an answer. Approved: too late to be used. Denied: it may be asked for again.",
  ),
  decided_at: timeSchema.nullable(),
  not_before: timeSchema.nullable().describe("Approved, it holds from then on."),
};

export const approvalSchema = z
  .strictObject({
    id: idSchema("approval"),
    kind: approvalKindSchema,
    status: approvalStatusSchema,
    agent_id: idSchema("agent"),
    token_id: idSchema("token").nullable().describe("Whose call it is."),
    connection: z.string().nullable(),
    on_behalf_of: z.array(z.string()).describe("For whom it is, as the agent says: they do not approve it."),
    digest: z.string().describe("SHA-256 of the request: an approval is of this one."),
    tier: z.enum(["standard", "sensitive", "critical"]).nullable().describe("The strictest that it reaches."),
    policies: z
      .array(
        z.strictObject({
          id: idSchema("policy"),
          name: z.string(),
          version: z.int(),
          message: z.string().nullable(),
        }),
      )
      .describe("Those that asked for people."),
    requested: requestedSchema.nullable().describe("Of a token."),
    reach: z
      .strictObject({
        secrets: z
          .int()
          .nullable()
          .describe("How many above the standard tier; null: more than are counted."),
        shown: z.array(z.strictObject({ path: z.string(), tier: strictTierSchema })),
        connections: z.array(z.string()).describe("Through which it uses them."),
      })
      .nullable()
      .describe("Of a token."),
    workload: z
      .strictObject({
        ...{ trust_rule: z.string(), issuer: z.string(), subject: z.string() },
        claims: z.record(z.string(), z.string()),
      })
      .nullable()
      .describe("Of a token that is asked for without an agent's key: who asks."),
    call: callPayloadSchema.nullable().describe("Of a call; what is in it, `GET /v1/approvals/{id}` shows."),
    permission: permissionPayloadSchema.nullable().describe("Of a permission: what is asked for."),
    granted: grantedLessSchema
      .nullable()
      .describe("Of a permission: what is granted, where it is less than that."),
    approvals_needed: z.int().describe("By so many different people."),
    delay_seconds: z.int().describe("So long after the last of them it holds."),
    approvals: z.int().describe("By so many already."),
    votes: z.array(
      z.strictObject({ member_id: idSchema("member"), at: timeSchema, comment: z.string().nullable() }),
    ),
    ended_by: z.string().nullable().describe("Who denied or cancelled it."),
    reason: z.string().nullable(),
    ip_address: z.string().nullable(),
    ...times,
    consumed_at: timeSchema.nullable().describe("When it was used: each is, once."),
  })
  .meta({ id: "Approval" });

/** With what people are to look at before they answer. */
export const approvalDetailSchema = approvalSchema
  .extend({ shown: shownCallSchema.nullable().describe("Of a call: what would be sent, made plain.") })
  .meta({ id: "ApprovalDetail" });

export const approvalListSchema = z.strictObject({
  approvals: z.array(approvalSchema),
  next_cursor: nextCursorSchema,
});

/** What the asking agent is told. */
export const approvalStateSchema = z
  .strictObject({
    approval_id: idSchema("approval"),
    kind: approvalKindSchema,
    status: approvalStatusSchema,
    approvals: z.int(),
    approvals_needed: z.int(),
    reason: z.string().nullable().describe("Why it was denied or cancelled."),
    ...times,
  })
  .meta({ id: "ApprovalState" });
