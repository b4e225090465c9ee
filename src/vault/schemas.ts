import { z } from "zod";
import { idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { Redacted } from "../base/redacted.ts";
import { namespaceSchema } from "../base/secret-path.ts";
import { allowedHostsSchema } from "./allowed-hosts.ts";
import { MAX_VALUE_BYTES } from "./envelope.ts";

export const secretTypeSchema = z.enum([
  "api_key",
  "oauth_token",
  "db_credential",
  "ssh_key",
  "certificate",
  "custom",
]);
export type SecretType = z.infer<typeof secretTypeSchema>;

/** From the mildest to the strictest. */
export const accessTierSchema = z.enum(["standard", "sensitive", "critical"]);
export type AccessTier = z.infer<typeof accessTierSchema>;

/** What secrets can leak together: a tier or a type. */
export const secretClassSchema = z.enum([...accessTierSchema.options, ...secretTypeSchema.options]);
export type SecretClass = z.infer<typeof secretClassSchema>;

/** `POST /v1/rotate-class`. */
export const classRotationSchema = z.strictObject({
  class: secretClassSchema.describe("A tier or a secret type."),
  reason: z.string().trim().min(1).max(500).describe("Kept in the trail and with every secret of the class."),
});

const MAX_METADATA_BYTES = 4096;

/** What people want to know of a secret: a flat object, at most 4 KiB of JSON. */
export const metadataSchema = z
  .record(z.string().min(1).max(128), z.union([z.string(), z.number(), z.boolean(), z.null()]))
  .refine(
    (metadata) => Buffer.byteLength(JSON.stringify(metadata)) <= MAX_METADATA_BYTES,
    `must have at most ${MAX_METADATA_BYTES} bytes as JSON`,
  );

/** Clients written for the dialect say null where they have nothing to say: as if it were left out. */
const metadataInputSchema = metadataSchema
  .nullish()
  .transform((metadata) => metadata ?? undefined)
  .describe("Takes the place of what was there; null: that stays.");

const TAG = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$/;

/** By what people look for secrets: at most 20, each once, such as "team:payments". */
const tagSchema = z
  .string()
  .regex(TAG, 'must be a tag such as "team:payments": letters, digits, `.`, `_`, `:`, `/`, `-`, at most 64');
const tagsSchema = z
  .array(tagSchema)
  .max(20)
  .transform((tags): readonly string[] => [...new Set(tags)]);

const TIME = 'must be a time such as "2026-01-31T12:00:00Z"';
const timeInputSchema = z.iso.datetime({ offset: true, error: TIME }).transform((text) => Date.parse(text));
const expiresAtSchema = timeInputSchema
  .nullable()
  .describe("From when on neither calls nor agents get the value; null: never.");

/** The name of a key-encryption key. */
export const kekNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be a name such as "payments": small letters, digits and `-`');

/** How a value stands in JSON: text as it is, other bytes in base64 (RFC 4648, section 4, with padding). */
const encodingSchema = z.enum(["utf8", "base64"]);

const VALUE_SIZE = `must have 1 to ${MAX_VALUE_BYTES} bytes`;
const encodedValueSchema = z
  .string()
  .min(1, VALUE_SIZE)
  .max(MAX_VALUE_BYTES * 2, VALUE_SIZE);

function decodeValue(value: string, encoding: z.infer<typeof encodingSchema>): Redacted | string {
  if (!value.isWellFormed()) return "must be well-formed Unicode";
  const bytes = Buffer.from(value, encoding);
  if (encoding === "base64" && bytes.toString("base64") !== value) return "must be base64 with padding";
  return bytes.byteLength === 0 || bytes.byteLength > MAX_VALUE_BYTES ? VALUE_SIZE : new Redacted(bytes);
}

const knownFields = {
  secret_type: secretTypeSchema.optional(),
  access_tier: accessTierSchema
    .optional()
    .describe("Of a secret that is there only people change it, and nobody alone lowers it."),
  metadata: metadataInputSchema,
  tags: tagsSchema.optional().describe("Take the place of those that were there."),
  allowed_hosts: allowedHostsSchema
    .optional()
    .describe("Where it may be sent, `host[:port]`. For people, not for tokens."),
  reveal: z
    .enum(["allow", "deny"])
    .nullable()
    .optional()
    .describe("Whether agents may read it; null: as its namespace or the tenant says. For admins."),
  expires_at: expiresAtSchema.optional(),
};

/** `PATCH`: what is known about a secret, its value aside. What is left out stays as it is. */
export const secretPatchSchema = z
  .strictObject(knownFields)
  .refine((patch) => Object.keys(patch).length > 0, "must name what is to change");

/** `PUT`: what is left out stays as it is; a new secret needs a value. Hosts and `reveal` are for people. */
export const secretPutSchema = z
  .strictObject({
    value: encodedValueSchema.optional().describe("A new secret needs one; left out: it stays as it is."),
    encoding: encodingSchema.default("utf8").describe("How `value` is written."),
    ...knownFields,
  })
  .transform(({ value, encoding, ...rest }, context) => {
    if (value === undefined) return { ...rest, value };
    const decoded = decodeValue(value, encoding);
    if (typeof decoded !== "string") return { ...rest, value: decoded };
    context.addIssue({ code: "custom", path: ["value"], message: decoded });
    return z.NEVER;
  });

/**
 * `POST …/rotate`. The grace period, in seconds, says how long the provider still takes the old value. It is written
 * to the ledger; here the old value is out of use, and the tokens that could read it are revoked, at once.
 */
export const rotateSchema = z
  .strictObject({
    new_value: encodedValueSchema,
    encoding: encodingSchema.default("utf8"),
    grace_period_seconds: z
      .number()
      .int()
      .min(0)
      .max(604_800)
      .default(0)
      .describe("How long the provider still takes the old value; here it is out of use at once."),
    expires_at: expiresAtSchema.optional(),
  })
  .transform(({ new_value, encoding, grace_period_seconds, expires_at }, context) => {
    const decoded = decodeValue(new_value, encoding);
    if (typeof decoded !== "string") {
      return { value: decoded, gracePeriodSeconds: grace_period_seconds, expiresAt: expires_at };
    }
    context.addIssue({ code: "custom", path: ["new_value"], message: decoded });
    return z.NEVER;
  });

const versionSchema = z.coerce.number().int().min(1).max(1_000_000_000);

export const rollbackSchema = z.strictObject({ version: z.number().int().min(1).max(1_000_000_000) });

export const importSchema = z.strictObject({
  namespace: namespaceSchema,
  content: z
    .string()
    .max(1024 * 1024)
    .describe("The text of a .env file, with 1 to 200 keys."),
  secret_type: secretTypeSchema.optional(),
  access_tier: accessTierSchema.optional(),
  metadata: metadataInputSchema,
  tags: tagsSchema.optional().describe("Take the place of those that were there."),
  dry_run: z.boolean().default(false).describe("Only tell what would be created and updated."),
});

/** Which of the deleted secrets of a path. */
export const removedSchema = z.strictObject({ id: idSchema("secret").optional() });

/** What a namespace says of the secrets in it; what is left out it leaves to what is around it. */
export const namespacePutSchema = z.strictObject({
  tier_default: accessTierSchema.nullable().default(null).describe("Of new secrets that name no tier."),
  reveal: z.enum(["allow", "deny"]).nullable().default(null).describe("Whether agents may read plaintext."),
  kek: kekNameSchema
    .nullable()
    .default(null)
    .describe(
      "The key-encryption key of new versions, by a name of your choice. Earlier ones open as they are.",
    ),
  approval_delay_seconds: z
    .int()
    .min(1)
    .max(86_400)
    .nullable()
    .default(null)
    .describe(
      "From the last approval of what reaches a critical secret in it until that can be used: time to object. Where nothing says: 300.",
    ),
});

/** Query of `GET /v1/secrets/{path}`: a version of a secret, or a page of a namespace (50 if `limit` is left out). */
export const secretQuerySchema = z.strictObject({
  version: versionSchema.optional(),
  limit: pageSchema.shape.limit.unwrap().optional(),
  cursor: pageSchema.shape.cursor,
});

const MAX_WORDS = 10;

const filterFields = {
  namespace: namespaceSchema.optional().describe("In it and below it; left out: everywhere."),
  query: z
    .string()
    .max(200)
    .refine((text) => text.split(/\s+/).length <= MAX_WORDS, `must have at most ${MAX_WORDS} words`)
    .optional()
    .describe("Words that all stand in the path, the tags or the metadata."),
  tag: tagSchema.optional(),
  type: secretTypeSchema.optional(),
  tier: accessTierSchema.optional(),
  expires_before: timeInputSchema.optional(),
  rotation_due: z
    .enum(["true", "false"])
    .transform((text) => text === "true")
    .optional()
    .describe("Those that need a new value since their class leaked, or those that do not."),
};

/** Query of `GET /v1/secrets/export`. */
export const exportQuerySchema = z.strictObject(filterFields);

/** Query of `GET /v1/secrets`. */
export const listQuerySchema = pageSchema
  .extend({
    ...filterFields,
    deleted: z
      .enum(["true", "false"])
      .default("false")
      .transform((text) => text === "true")
      .describe("Those that were deleted and can still be restored, for admins and editors."),
  })
  .strict();

/** The filter that a query asks for. */
export function filterOf({
  namespace,
  query,
  tag,
  type,
  tier,
  expires_before,
  rotation_due,
}: z.output<typeof exportQuerySchema>) {
  const given = { namespace: namespace ?? null, query, tag, type, tier };
  return { ...given, expiresBefore: expires_before, rotationDue: rotation_due };
}
