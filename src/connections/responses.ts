import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { allowRuleSchema, limitsSchema, referencePlaceSchema } from "./schemas.ts";

const credentialSchema = z
  .looseObject({ kind: z.string() })
  .describe("How the secret is sent: a credential kind and its options.");

/** A connection as it is configured. */
export const connectionSchema = z
  .strictObject({
    slug: z.string(),
    provider: z.string().nullable().describe("null: one of your own."),
    base_url: z.string(),
    credential: credentialSchema,
    secrets: z
      .record(z.string(), z.string())
      .describe("Secret paths, by the names the credential kind gives them."),
    allow: z.array(allowRuleSchema).nullable().describe("null: every call."),
    limits: limitsSchema,
    references: z.array(referencePlaceSchema).describe("Where `vault://` references may stand."),
    websockets: z.boolean(),
    redact: z.strictObject({ shapes: z.boolean(), entropy: z.boolean(), minted: z.boolean() }),
    default: z.enum(["allow", "deny"]),
    gateway_url: z.string().describe("The path at this gateway that stands for the base URL."),
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: "Connection" });

export const connectionListSchema = z.strictObject({
  connections: z.array(connectionSchema),
  next_cursor: nextCursorSchema,
});

const tokenPlaceSchema = z.discriminatedUnion("in", [
  z.strictObject({
    in: z.literal("header"),
    name: z.string(),
    scheme: z.enum(["Bearer", "Basic", "Bot", "token"]).optional(),
  }),
  z.strictObject({ in: z.literal("query"), name: z.string() }),
  z.strictObject({ in: z.literal("path"), prefix: z.string() }),
]);

/** A provider of the catalogue. */
export const providerSchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    base_url: z.string().nullable().describe("null: every customer has one, and a connection gives it."),
    hosts: z.array(z.string()).describe("Where its secrets may be sent unless a secret names hosts itself."),
    credential: credentialSchema,
    token_in: z
      .array(tokenPlaceSchema)
      .describe("Where its SDKs put their key: where a token is looked for."),
    docs: z.string(),
  })
  .meta({ id: "Provider" });

export const providerListSchema = z.strictObject({ providers: z.array(providerSchema) });
