import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { EVENT_TYPES, RESOURCE_TYPES } from "./event.ts";

/** One line of the ledger. */
export const eventSchema = z
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
