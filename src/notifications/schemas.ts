import { z } from "zod";
import { durationSchema } from "../base/duration.ts";
import { idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { slugSchema } from "../connections/schemas.ts";
import { emailSchema } from "../identity/email.ts";
import { isEventPattern } from "./notice.ts";

const urlSchema = z
  .string()
  .max(2_000)
  .refine((text) => URL.canParse(text), 'must be a URL such as "https://example.com/hooks/valetkey"')
  .describe("Where it is sent by POST: https, a public host, no user and no fragment.");
const connectionSchema = slugSchema.describe("The connection whose credential sends it.");
const addresses = {
  from: emailSchema.describe("The sender, as the provider knows it."),
  to: z.array(emailSchema).min(1).max(20),
};

/** What each kind of receiver needs. */
export const settingsSchemas = {
  webhook: z.strictObject({ kind: z.literal("webhook"), url: urlSchema }),
  slack: z.strictObject({
    kind: z.literal("slack"),
    connection: connectionSchema,
    channel: z
      .string()
      .regex(
        /^(?:#[a-z0-9_-]{1,80}|[CDG][A-Z0-9]{2,30})$/,
        'must be a channel such as "C0123456789" or "#approvals"',
      ),
  }),
  telegram: z.strictObject({
    kind: z.literal("telegram"),
    connection: connectionSchema,
    chat_id: z
      .string()
      .regex(
        /^(?:-?[1-9][0-9]{0,18}|@[A-Za-z][A-Za-z0-9_]{3,31})$/,
        'must be a chat such as "-1001234567890" or "@name"',
      ),
  }),
  email: z.strictObject({ kind: z.literal("email"), connection: connectionSchema, ...addresses }),
  email_binding: z.strictObject({ kind: z.literal("email_binding"), ...addresses }),
} as const;
export const KINDS = ["webhook", "slack", "telegram", "email", "email_binding"] as const;

export type SettingsOf<K extends (typeof KINDS)[number]> = Readonly<z.output<(typeof settingsSchemas)[K]>>;
export type ReceiverSettings = { [K in (typeof KINDS)[number]]: SettingsOf<K> }[(typeof KINDS)[number]];

const common = {
  name: z.string().min(1).max(100).optional(),
  events: z
    .array(
      z
        .string()
        .max(64)
        .refine(isEventPattern, 'must be "*", or such as "approval.*" or "approval.requested"'),
    )
    .min(1)
    .max(20)
    .describe("What it is told of: `*`, `approval.*`, `approval.requested` …"),
  agent_id: idSchema("agent").nullable().optional().describe("Of this agent's alone; null: of everybody's."),
};

/** `POST /v1/webhooks`. */
export const webhookCreateSchema = z.discriminatedUnion("kind", [
  settingsSchemas.webhook.extend({ ...common, enabled: z.boolean().default(true) }),
  settingsSchemas.slack.extend({ ...common, enabled: z.boolean().default(true) }),
  settingsSchemas.telegram.extend({ ...common, enabled: z.boolean().default(true) }),
  settingsSchemas.email.extend({ ...common, enabled: z.boolean().default(true) }),
  settingsSchemas.email_binding.extend({ ...common, enabled: z.boolean().default(true) }),
]);
export type WebhookCreate = z.output<typeof webhookCreateSchema>;

/** `PATCH`: what is left out stays. The kind stays for good; members of another kind are refused. */
export const webhookPatchSchema = z
  .strictObject({
    ...common,
    events: common.events.optional(),
    enabled: z.boolean().optional(),
    url: urlSchema.optional(),
    connection: connectionSchema.optional(),
    channel: settingsSchemas.slack.shape.channel.optional(),
    chat_id: settingsSchemas.telegram.shape.chat_id.optional(),
    from: addresses.from.optional(),
    to: addresses.to.optional(),
  })
  .refine((patch) => Object.keys(patch).length > 0, "must name what is to change");
export type WebhookPatch = z.output<typeof webhookPatchSchema>;

export const rotateSecretSchema = z.strictObject({
  overlap: durationSchema({ minSeconds: 60, maxSeconds: 7 * 86_400, example: "24h" })
    .optional()
    .describe("How long deliveries are signed with the old secret, too: `24h` if left out."),
});

export const DELIVERY_STATUSES = ["pending", "delivered", "dead"] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export const deliveryQuerySchema = pageSchema
  .extend({ status: z.enum(DELIVERY_STATUSES).optional() })
  .strict();
