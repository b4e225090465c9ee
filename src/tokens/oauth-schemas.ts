import { z } from "zod";
import { idSchema } from "../base/ids.ts";
import { timeSchema } from "../base/answer-parts.ts";
import { UNSUPPORTED_GRANT_TYPE } from "../base/oauth-error.ts";
import { tokenRequestSchema } from "./schemas.ts";

export const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
export const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

/** What a workload's own token is (RFC 8693 §3), by what it must look like. */
export const SUBJECT_TOKEN_TYPES = {
  "urn:ietf:params:oauth:token-type:jwt": "workload",
  "urn:ietf:params:oauth:token-type:id_token": "workload",
  [ACCESS_TOKEN]: "access_token",
} as const;
const TYPES = Object.keys(SUBJECT_TOKEN_TYPES) as (keyof typeof SUBJECT_TOKEN_TYPES)[];

const { ttl, ip_allowlist, rate, allow, tool, user, context } = tokenRequestSchema.shape;

/** JSON in a form's field, as `POST /v1/tokens` takes it. */
function jsonField<T extends z.ZodType>(schema: T) {
  return z
    .string()
    .max(8_192)
    .transform((text, issues): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        issues.addIssue({ code: "custom", message: "must be JSON, as POST /v1/tokens takes it" });
        return z.NEVER;
      }
    })
    .pipe(schema);
}

/** `POST /oauth/token` (RFC 8693 §2.1), and how the token is to be narrowed. */
export const exchangeSchema = z.strictObject({
  grant_type: z
    .string()
    .refine((value) => value === TOKEN_EXCHANGE, UNSUPPORTED_GRANT_TYPE)
    .describe(`\`${TOKEN_EXCHANGE}\``),
  client_id: idSchema("agent").describe("The agent whose trust rules are asked, and whose token it will be."),
  subject_token: z.string().min(1).max(16_384).describe("The workload's own token."),
  subject_token_type: z.enum(TYPES),
  requested_token_type: z.literal(ACCESS_TOKEN).optional(),
  scope: z.string().max(8_192).optional().describe("Scopes, separated by spaces. There is no default."),
  resource: z.string().max(2_048).optional().describe("This gateway's origin, or left out."),
  audience: z.string().max(2_048).optional().describe("This gateway's origin, or left out."),
  ttl: ttl.optional().describe("Left out: as long as the rule and the subject token allow."),
  max_uses: z
    .string()
    .regex(/^(?:[1-9][0-9]{0,5}|1000000)$/, "must be a number from 1 to 1000000")
    .transform(Number)
    .optional(),
  ip_allowlist: jsonField(ip_allowlist.unwrap()).optional().describe('JSON: `["203.0.113.0/24"]`.'),
  rate,
  allow: jsonField(allow.unwrap()).optional().describe("JSON, as POST /v1/tokens takes it."),
  tool,
  user,
  context: jsonField(context.unwrap()).optional().describe("JSON, as POST /v1/tokens takes it."),
});
export type ExchangeRequest = z.infer<typeof exchangeSchema>;

/** RFC 8693 §2.2.1. */
export const exchangedSchema = z.strictObject({
  access_token: z.string().describe("`vkt_…`, shown this once."),
  issued_token_type: z.literal(ACCESS_TOKEN),
  token_type: z.enum(["Bearer", "DPoP"]),
  expires_in: z.int().describe("Seconds."),
  scope: z.string(),
  token_id: idSchema("token"),
  expires_at: timeSchema,
});

/** `POST /oauth/revoke` (RFC 7009 §2.1). */
export const revocationSchema = z.strictObject({
  token: z.string().min(1).max(4096),
  token_type_hint: z.string().max(100).optional(),
});

/** RFC 8414 §2. */
export const authorizationServerSchema = z.strictObject({
  issuer: z.url(),
  token_endpoint: z.url(),
  token_endpoint_auth_methods_supported: z.array(z.string()),
  grant_types_supported: z.array(z.string()),
  response_types_supported: z.array(z.string()),
  revocation_endpoint: z.url(),
  introspection_endpoint: z.url(),
  dpop_signing_alg_values_supported: z.array(z.string()),
});

/** RFC 9728 §2. */
export const protectedResourceSchema = z.strictObject({
  resource: z.url(),
  resource_name: z.string(),
  authorization_servers: z.array(z.url()),
  bearer_methods_supported: z.array(z.string()),
  dpop_signing_alg_values_supported: z.array(z.string()),
  dpop_bound_access_tokens_required: z.boolean(),
});
