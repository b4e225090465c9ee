import { z } from "zod";
import { atMostAsJson } from "../base/bounds.ts";
import { methodSchema, pathGlobSchema } from "../base/glob.ts";
import { secretPathSchema } from "../base/secret-path.ts";
import { CEILINGS } from "./limits.ts";
import { providers } from "./providers.ts";

const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** What a connection is called in gateway URLs, and a label of a host name. */
export const slugSchema = z
  .string()
  .regex(SLUG, 'must be 1 to 63 lower-case letters, digits and inner hyphens, such as "stripe"');

/** Whether any connection could have this slug. */
export function isSlug(text: string): boolean {
  return SLUG.test(text);
}

/** Which calls a connection lets through; left out means all of them. */
export const allowRuleSchema = z.strictObject({
  methods: z.array(methodSchema).min(1).max(20).optional(),
  paths: z.array(pathGlobSchema).min(1).max(50).optional(),
});
export type AllowRule = z.infer<typeof allowRuleSchema>;

/** Where `vault://path` references may stand in a request. */
export const referencePlaceSchema = z.enum(["headers", "query", "body"]);
export type ReferencePlace = z.infer<typeof referencePlaceSchema>;

const limit = (least: number, most: number) => z.number().int().min(least).max(most).optional();

/** What holds where one is left out: `DEFAULT_LIMITS`. */
export const limitsSchema = z.strictObject({
  /** Bytes of a request body; the platform's own limit applies beyond. */
  max_body_bytes: limit(0, CEILINGS.max_body_bytes),
  /** Seconds until the upstream's response headers must be there. */
  timeout_seconds: limit(1, CEILINGS.timeout_seconds),
  /** Seconds in which at least one more byte of a request body must arrive. */
  body_idle_seconds: limit(1, CEILINGS.body_idle_seconds),
  /** Seconds until a request body must have arrived. */
  body_seconds: limit(1, CEILINGS.body_seconds),
  /** Seconds in which the upstream must send more of its answer's body, and the agent take more of it. */
  response_idle_seconds: limit(1, CEILINGS.response_idle_seconds),
  /** Seconds in which one side of a WebSocket must say something. */
  websocket_idle_seconds: limit(1, CEILINGS.websocket_idle_seconds),
  /** Characters of a request's URL. */
  max_url_bytes: limit(256, CEILINGS.max_url_bytes),
  /** Different headers of a request. */
  max_headers: limit(16, CEILINGS.max_headers),
  /** Bytes of a request's headers, names and values. */
  max_header_bytes: limit(1_024, CEILINGS.max_header_bytes),
  /** Headers of the upstream's answer. */
  max_response_headers: limit(16, CEILINGS.max_response_headers),
  /** Bytes of the headers of the upstream's answer, names and values. */
  max_response_header_bytes: limit(1_024, CEILINGS.max_response_header_bytes),
  /** Objects and lists within one another, in a JSON body that the gateway itself reads. */
  max_json_depth: limit(1, CEILINGS.max_json_depth),
  /** What a compressed answer may grow to: so many times its size. */
  max_expansion: limit(1, CEILINGS.max_expansion),
  /** Calls of one token through this connection that are under way at the same time. */
  concurrent_calls: limit(1, CEILINGS.concurrent_calls),
});
export type ConnectionLimits = z.infer<typeof limitsSchema>;

/**
 * What is masked in answers beside what is injected, which always is. Off where an API is used to hand credentials out
 * (GitHub's installation tokens, OpenAI's admin keys, an OAuth token endpoint) and the agent is to have them.
 */
const redactSchema = z.strictObject({
  /** Credentials of a known shape, whoever's they are: `sk_live_…`, `ghp_…`, private keys. */
  shapes: z.boolean().default(true),
  /** Whatever looks drawn at random. Masks digests and opaque ids, too. */
  entropy: z.boolean().default(false),
  /** Tokens that the upstream mints: `access_token`, `refresh_token` and `id_token` in JSON and forms. */
  minted: z.boolean().default(true),
});
export type RedactSettings = Readonly<z.infer<typeof redactSchema>>;
export const DEFAULT_REDACT: RedactSettings = redactSchema.parse({});

/** A list lets through what one of its rules covers (an empty one: nothing); null: everything. */
const allowSchema = z
  .array(allowRuleSchema)
  .max(100)
  .refine(...atMostAsJson(8_192))
  .nullable();

const referencesSchema = z
  .array(referencePlaceSchema)
  .max(3)
  .transform((places): readonly ReferencePlace[] => [...new Set(places)]);

const baseUrlSchema = z
  .string()
  .max(1_000)
  .refine((text) => URL.canParse(text), 'must be a URL such as "https://api.example.com"');

/** Any options: the kind they belong to checks them. */
const credentialSchema = z.looseObject({ kind: z.string().max(64).optional() });

const fields = {
  base_url: baseUrlSchema.optional(),
  /** For a provider of the catalogue: what differs from, or is added to, the provider's own. */
  credential: credentialSchema
    .optional()
    .describe('How the secret is sent, such as `{"kind": "bearer"}`: a credential kind and its options.'),
  /** Short for `secrets: {secret: …}`. */
  secret: secretPathSchema.optional().describe("The path of the secret; short for `secrets: {secret: …}`."),
  secrets: z.record(z.string().max(64), secretPathSchema).optional(),
  allow: allowSchema.optional().describe("Calls it lets through; null or left out: all."),
  limits: limitsSchema.optional(),
  references: referencesSchema.optional().describe("Where `vault://path` may stand in a call."),
  websockets: z.boolean().optional(),
  default: z.enum(["allow", "deny"]).optional(),
  redact: redactSchema.optional(),
};

const BOTH_SECRETS = "must be left out where `secrets` is given";

/** `POST /v1/connections`: from the catalogue (`provider`), or of one's own (`base_url` and `credential`). */
export const connectionCreateSchema = z
  .strictObject({
    slug: slugSchema,
    provider: z
      .string()
      .max(64)
      .refine((id) => providers.has(id), "is not in the catalogue, which `GET /v1/providers` lists")
      .optional(),
    ...fields,
  })
  .superRefine((input, context) => {
    const fault = (name: string, message: string): void => {
      context.addIssue({ code: "custom", path: [name], message });
    };
    if (input.secret === undefined && input.secrets === undefined)
      fault("secret", "must be the path of a secret");
    if (input.secret !== undefined && input.secrets !== undefined) fault("secret", BOTH_SECRETS);
    const provider = input.provider === undefined ? undefined : providers.get(input.provider);
    if (provider === undefined && input.credential === undefined) {
      fault(
        "credential",
        'must say how the secret is sent, such as {"kind": "bearer"}, where there is no `provider`',
      );
    }
    if ((provider?.baseUrl ?? null) === null && input.base_url === undefined) {
      const who =
        provider === undefined ? "where there is no `provider`" : "every customer of this provider has one";
      fault("base_url", `must be given: ${who}`);
    }
  });
export type ConnectionCreate = z.infer<typeof connectionCreateSchema>;

/** `PATCH`: what is left out stays as it is. The slug and the provider stay for good. */
export const connectionPatchSchema = z
  .strictObject(fields)
  .refine((patch) => Object.keys(patch).length > 0, "must name what is to change")
  .refine((patch) => patch.secret === undefined || patch.secrets === undefined, {
    path: ["secret"],
    message: BOTH_SECRETS,
  });
export type ConnectionPatch = z.infer<typeof connectionPatchSchema>;
