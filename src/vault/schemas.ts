import { z } from "zod";
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

const MAX_METADATA_BYTES = 4096;

/** What people want to know of a secret: a flat object, at most 4 KiB of JSON. */
export const metadataSchema = z
  .record(z.string().min(1).max(128), z.union([z.string(), z.number(), z.boolean(), z.null()]))
  .refine(
    (metadata) => Buffer.byteLength(JSON.stringify(metadata)) <= MAX_METADATA_BYTES,
    `must have at most ${MAX_METADATA_BYTES} bytes as JSON`,
  );

/** How a value stands in JSON: text as it is, other bytes in base64 (RFC 4648, section 4, with padding). */
export const encodingSchema = z.enum(["utf8", "base64"]);

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

/** `PUT`: what is left out stays as it is; a new secret needs a value. Hosts and `reveal` are for people. */
export const secretPutSchema = z
  .strictObject({
    value: encodedValueSchema.optional().describe("A new secret needs one; left out: it stays as it is."),
    encoding: encodingSchema.default("utf8").describe("How `value` is written."),
    secret_type: secretTypeSchema.optional(),
    access_tier: accessTierSchema.optional(),
    metadata: metadataSchema.optional(),
    allowed_hosts: allowedHostsSchema
      .optional()
      .describe("Where it may be sent, `host[:port]`. For people, not for tokens."),
    reveal: z
      .enum(["allow", "deny"])
      .nullable()
      .optional()
      .describe("Whether agents may read it; null: as the tenant says. For admins."),
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
  })
  .transform(({ new_value, encoding, grace_period_seconds }, context) => {
    const decoded = decodeValue(new_value, encoding);
    if (typeof decoded !== "string") return { value: decoded, gracePeriodSeconds: grace_period_seconds };
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
});

/** Query of `GET /v1/secrets/{path}`: a version of a secret, or a page of a namespace (50 if `limit` is left out). */
export const secretQuerySchema = z.strictObject({
  version: versionSchema.optional(),
  limit: pageSchema.shape.limit.unwrap().optional(),
  cursor: pageSchema.shape.cursor,
});

/** Query of `GET /v1/secrets`: left out means all namespaces. */
export const listQuerySchema = pageSchema.extend({ namespace: namespaceSchema.optional() }).strict();
