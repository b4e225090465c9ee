import { z } from "zod";
import { atMostAsJson } from "../base/bounds.ts";
import { methodSchema, pathGlobSchema } from "../base/glob.ts";
import { secretPathSchema } from "../base/secret-path.ts";
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

export const limitsSchema = z.strictObject({
  /** Bytes of a request body; the platform's own limit applies beyond. */
  max_body_bytes: z.number().int().min(0).max(500_000_000).optional(),
  /** Seconds until the upstream's response headers must be there; 120 if left out. */
  timeout_seconds: z.number().int().min(1).max(600).optional(),
});
export type ConnectionLimits = z.infer<typeof limitsSchema>;

/**
 * What is masked in answers beside what is injected, which always is. Off where an API is used to hand credentials out
 * (GitHub's installation tokens, OpenAI's admin keys, an OAuth token endpoint) and the agent is to have them.
 */
export const redactSchema = z.strictObject({
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
  credential: credentialSchema.optional(),
  /** Short for `secrets: {secret: …}`. */
  secret: secretPathSchema.optional(),
  secrets: z.record(z.string().max(64), secretPathSchema).optional(),
  allow: allowSchema.optional(),
  limits: limitsSchema.optional(),
  references: referencesSchema.optional(),
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
