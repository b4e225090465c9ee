import { z } from "zod";
import { durationSchema } from "../base/duration.ts";
import { cidrSchema } from "../base/address.ts";
import { atMostAsJson } from "../base/bounds.ts";
import { methodSchema, pathGlobSchema } from "../base/glob.ts";
import { idSchema } from "../base/ids.ts";
import { scopeSchema } from "../base/scope.ts";
import { secretPathSchema } from "../base/secret-path.ts";

/** Which calls: methods and paths of a connection; left out means all of them. */
export const callRuleSchema = z.strictObject({
  connection: z.string().min(1).max(63),
  methods: z.array(methodSchema).min(1).max(20).optional(),
  paths: z.array(pathGlobSchema).min(1).max(50).optional(),
});
export type CallRule = z.infer<typeof callRuleSchema>;

/** A rate such as `60/m`: so many uses per fixed window of a second, minute, hour or day. */
const rateSchema = z
  .string()
  .regex(/^[1-9][0-9]{0,6}\/[smhd]$/, 'must be a rate such as "60/m" (per s, m, h or d)')
  .transform((value) => {
    const [count, unit] = value.split("/") as [string, "s" | "m" | "h" | "d"];
    return { count: Number(count), windowSeconds: { s: 1, m: 60, h: 3600, d: 86_400 }[unit] };
  });
export type Rate = z.infer<typeof rateSchema>;

/** Why a token is asked for; kept with every event. */
export const callContextSchema = z.strictObject({
  reason: z.string().max(500).optional(),
  user: z.string().max(200).optional(),
  workflow: z.string().max(200).optional(),
  tool: z.string().max(200).optional(),
});
export type CallContext = z.infer<typeof callContextSchema>;

const thumbprintSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/, "must be a JWK's SHA-256 thumbprint in base64url, 43 characters");

const MAX_TTL_SECONDS = 86_400;

const MAX_CHARACTERS = 8_192;

export const tokenRequestSchema = z.strictObject({
  scopes: z
    .array(scopeSchema)
    .min(1)
    .max(50)
    .refine(...atMostAsJson(MAX_CHARACTERS))
    .describe("Such as `connections:call:stripe` or `secrets:use:production/payments/*`."),
  ttl: durationSchema({ minSeconds: 1, maxSeconds: MAX_TTL_SECONDS, example: "30m" }).describe(
    "How long it lives: `30s`, `15m`, `1h`, up to `24h`.",
  ),
  max_uses: z.number().int().min(1).max(1_000_000).optional().describe("Left out: as many as fit its life."),
  ip_allowlist: z
    .array(cidrSchema)
    .max(100)
    .default([])
    .describe("Addresses and CIDRs it may be used from; empty: any that the agent may."),
  rate: rateSchema.optional().describe("So many uses per fixed window, such as `60/m`."),
  allow: z
    .array(callRuleSchema)
    .min(1)
    .max(50)
    .refine(...atMostAsJson(MAX_CHARACTERS))
    .optional()
    .describe("Only these calls of what the scopes cover; left out: all of it."),
  tool: z.string().min(1).max(200).optional(),
  user: z.string().min(1).max(200).optional(),
  dpop_jkt: thumbprintSchema
    .optional()
    .describe(
      "The SHA-256 thumbprint of a key (RFC 7638): each use must prove it (RFC 9449). A proof in `DPoP` says it, too.",
    ),
  context: callContextSchema.default({}).describe("Why it is asked for; kept with every event."),
});
export type TokenRequest = z.infer<typeof tokenRequestSchema>;

/** The classes that secrets come in: their tiers and their types. */
const CLASSES = [
  "standard",
  "sensitive",
  "critical",
  "api_key",
  "oauth_token",
  "db_credential",
  "ssh_key",
  "certificate",
  "custom",
] as const;

/** `POST /v1/tokens/revoke`: exactly one of them. A class is an access tier or a secret type. */
export const bulkRevocationSchema = z.union(
  [
    z.strictObject({ agent: idSchema("agent") }),
    z.strictObject({ secret: secretPathSchema }),
    z.strictObject({ connection: z.string().min(1).max(63) }),
    z.strictObject({ class: z.enum(CLASSES) }),
    z.strictObject({ all: z.literal(true) }),
  ],
  'must have exactly one of `agent`, `secret`, `connection`, `class` (a tier or a secret type), or `"all": true`',
);
export type BulkRevocation = z.infer<typeof bulkRevocationSchema>;

/** `POST /oauth/introspect` (RFC 7662 §2.1). */
export const introspectionSchema = z.strictObject({
  token: z.string().min(1).max(4096),
  token_type_hint: z.string().optional(),
});
