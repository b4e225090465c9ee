import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { DELIVERY_STATUSES, KINDS } from "./schemas.ts";

const webhookMembers = {
  id: z.string(),
  kind: z.enum(KINDS),
  name: z.string().nullable(),
  url: z.string().nullable().describe("Of the kind `webhook`."),
  connection: z.string().nullable().describe("Of the kinds `slack`, `telegram` and `email`."),
  channel: z.string().nullable().describe("Of the kind `slack`."),
  chat_id: z.string().nullable().describe("Of the kind `telegram`."),
  from: z.string().nullable().describe("Of the kinds `email` and `email_binding`."),
  to: z.array(z.string()).nullable().describe("Of the kinds `email` and `email_binding`."),
  events: z.array(z.string()),
  agent_id: z.string().nullable().describe("Told of this agent's alone; null: of everybody's."),
  enabled: z.boolean(),
  disabled_reason: z.enum(["gone"]).nullable().describe("`gone`: it answered 410."),
  link_origin: z.string().describe("Where its messages lead people to."),
  secret_rotated_at: timeSchema.nullable().describe("When the secret was made; null for a kind without one."),
  old_secret_until: timeSchema.nullable().describe("Until when it is signed with the secret before, too."),
  created_at: timeSchema,
  updated_at: timeSchema,
};

/** A receiver as it is configured; its secret is never shown again. */
export const webhookSchema = z.strictObject(webhookMembers).meta({ id: "Webhook" });

export const webhookWithSecretSchema = z.strictObject({
  ...webhookMembers,
  secret: z.string().nullable().describe("`whsec_…`, shown this once; null for a kind without one."),
});

export const webhookListSchema = z.strictObject({ webhooks: z.array(webhookSchema) });

/** One notice on its way to one receiver. */
export const deliverySchema = z
  .strictObject({
    id: z.string(),
    event_id: z.string().describe("Of the event it is about; `webhook-id` is made of it."),
    type: z.string(),
    status: z.enum(DELIVERY_STATUSES).describe("`dead`: not tried any more unless it is replayed."),
    attempts: z.int(),
    next_attempt_at: timeSchema.nullable(),
    last_status: z.int().nullable().describe("What the receiver last answered with."),
    last_error: z
      .string()
      .nullable()
      .describe("Why the last try failed: `refused`, `timeout`, `unreachable` …"),
    created_at: timeSchema,
    ended_at: timeSchema.nullable(),
  })
  .meta({ id: "Delivery" });

export const deliveryListSchema = z.strictObject({
  deliveries: z.array(deliverySchema),
  next_cursor: nextCursorSchema,
});
