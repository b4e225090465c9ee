import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { EVENT_TYPES, RESOURCE_TYPES } from "./event.ts";

/** One line of the ledger. */
const eventSchema = z
  .strictObject({
    id: z.string(),
    event_type: z.enum(EVENT_TYPES),
    resource_type: z.enum(RESOURCE_TYPES),
    resource: z.string().describe("A path, slug or id."),
    actor: z.string().describe("`agent:agt_…`, `member:mem_…` or `system`."),
    ip_address: z.string().nullable(),
    user_agent: z.string().nullable(),
    outcome: z.enum(["success", "denied", "error"]),
    timestamp: timeSchema,
    context: z.record(z.string(), z.unknown()),
    seq: z.int().describe("Its place in the ledger, from 1 without gaps."),
    hash: z.string().describe("Over its predecessor's hash and itself."),
  })
  .meta({ id: "AuditEvent" });

export const eventPageSchema = z.strictObject({
  events: z
    .array(eventSchema)
    .describe("May be short or empty although `next_cursor` says that there is more to look through."),
  next_cursor: nextCursorSchema,
});

const countSchema = z.int().min(0);
const shareSchema = z.number().min(0).max(1).nullable();

/** `GET /v1/metrics`. */
export const metricsSchema = z
  .strictObject({
    period: z.string(),
    from: timeSchema,
    to: timeSchema,
    complete: z
      .boolean()
      .describe(
        "False where more happened than is counted for one answer: then `from` is later than the period's beginning.",
      ),
    calls: z.strictObject({
      allowed: countSchema,
      denied: countSchema.describe("By the gateway; repeated refusals each."),
      failed: countSchema.describe("Passed on, and failed behind the gateway."),
      denial_rate: shareSchema.describe("Of all calls, the refused; null without any."),
    }),
    tokens: z.strictObject({
      issued: countSchema,
      unused: countSchema.describe("Of those issued in the period, never used in it."),
      unused_rate: shareSchema,
      denied: countSchema.describe("Refused uses beside calls."),
      revoked: countSchema,
    }),
    approvals: z.strictObject({
      requested: countSchema,
      granted: countSchema,
      denied: countSchema,
      timed_out: countSchema,
    }),
    connections: z
      .array(z.strictObject({ connection: z.string(), allowed: countSchema, denied: countSchema }))
      .describe("The 20 that were called most."),
  })
  .meta({ id: "Metrics" });
