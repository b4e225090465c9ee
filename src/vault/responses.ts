import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { idSchema } from "../base/ids.ts";
import {
  accessTierSchema,
  kekNameSchema,
  metadataSchema,
  secretClassSchema,
  secretTypeSchema,
} from "./schemas.ts";

const secretFields = {
  path: z.string(),
  namespace: z.string(),
  key: z.string(),
  version: z.int(),
  secret_type: secretTypeSchema,
  access_tier: accessTierSchema,
  metadata: metadataSchema,
  tags: z.array(z.string()),
  allowed_hosts: z
    .array(z.string())
    .nullable()
    .describe("Where it may be sent, `host[:port]`; null: the first provider it is connected to decides."),
  reveal: z
    .enum(["allow", "deny"])
    .nullable()
    .describe("Whether agents may read it; null: as its namespace or the tenant says."),
  expires_at: timeSchema
    .nullable()
    .describe("From when on neither calls nor agents get the value; null: never."),
  expired: z.boolean(),
  expires_soon: z.boolean().describe("Within 14 days."),
  rotation_due: z.boolean().describe("Its class leaked: it needs a new value (`POST /v1/rotate-class`)."),
  rotation_due_at: timeSchema.nullable().describe("Since when; null: it needs none."),
  rotation_reason: z.string().nullable(),
  created_at: timeSchema,
  updated_at: timeSchema,
};

const redactable = z
  .boolean()
  .describe("False: too short or too plain to be found safely in a response, so connections cannot use it.");

/** A secret as lists show it: never its value. */
const listedSecretSchema = z
  .strictObject({
    ...secretFields,
    id: idSchema("secret").optional().describe("Of a deleted one: a path may have several."),
    deleted_at: timeSchema.optional(),
    recoverable_until: timeSchema.optional().describe("After that its versions are gone for good."),
  })
  .meta({ id: "ListedSecret" });

export const secretListSchema = z
  .strictObject({
    namespace: z.string().nullable().describe("null: all of them."),
    items: z.array(listedSecretSchema),
    next_cursor: nextCursorSchema,
  })
  .meta({ id: "SecretList" });

/** One version of a secret, for people. */
export const secretSchema = z.strictObject({ ...secretFields, redactable }).meta({ id: "Secret" });

/** One version with its value, for tokens. */
export const secretValueSchema = z
  .strictObject({
    ...secretFields,
    redactable,
    value: z.string(),
    encoding: z.literal("base64").optional().describe("There where the value is no UTF-8 text."),
  })
  .meta({ id: "SecretValue" });

const storedFields = {
  ...secretFields,
  redactable: redactable.optional(),
  warning: z.string().optional().describe("Why it cannot be used."),
};

/** The answer to a change. */
export const storedSecretSchema = z.strictObject(storedFields);

export const rolledBackSchema = z.strictObject({ ...storedFields, restored_version: z.int() });

export const importedSchema = z.strictObject({
  namespace: z.string(),
  imported: z.array(z.string()).describe("The keys."),
  imported_count: z.int(),
  not_for_connections: z.array(z.string()).optional().describe("Keys whose values no connection can use."),
});

/** What an import would do. */
export const importPreviewSchema = z.strictObject({
  namespace: z.string(),
  dry_run: z.literal(true),
  created: z.array(z.string()).describe("The keys."),
  updated: z.array(z.string()),
  not_for_connections: z.array(z.string()).optional().describe("Keys whose values no connection can use."),
});

export const restoredSchema = z.strictObject(secretFields);

export const purgedSchema = z.strictObject({
  path: z.string(),
  purged: z.int().describe("How many secrets."),
});

/** The answer to `POST /v1/rotate-class`. */
export const classRotatedSchema = z.strictObject({
  class: secretClassSchema,
  reason: z.string(),
  revoked_before: timeSchema.describe("Every token issued before that is refused for secrets of the class."),
  secrets: z
    .array(
      z.strictObject({
        path: z.string(),
        secret_type: secretTypeSchema,
        access_tier: accessTierSchema,
        connections: z
          .array(z.string())
          .nullable()
          .describe("Whose calls use it; null: the tenant has more connections than are looked through."),
      }),
    )
    .describe("The first 500 by path, each of which needs a new value at its provider and here."),
  count: z.int().describe("How many there are."),
  next_cursor: nextCursorSchema.describe(
    "For `GET /v1/secrets?rotation_due=true` with the class as `tier` or `type`.",
  ),
});

export const versionListSchema = z.strictObject({
  path: z.string(),
  current_version: z.int(),
  versions: z.array(
    z.strictObject({
      version: z.int(),
      created_at: timeSchema,
      redactable,
      kept_until: timeSchema
        .nullable()
        .describe("From when on it may go; null: not before there are newer ones (`version_retention`)."),
    }),
  ),
  next_cursor: nextCursorSchema,
});

const ownRulesSchema = z.strictObject({
  tier_default: accessTierSchema.nullable(),
  reveal: z.enum(["allow", "deny"]).nullable(),
  kek: kekNameSchema.nullable(),
  approval_delay_seconds: z.int().nullable(),
});

export const namespaceListSchema = z.strictObject({
  namespaces: z.array(
    z.strictObject({
      namespace: z.string(),
      secrets: z.int(),
      settings: ownRulesSchema.optional().describe("Where it has any; not for tokens."),
    }),
  ),
});

export const namespaceDetailSchema = z
  .strictObject({
    namespace: z.string(),
    settings: ownRulesSchema.describe("What it says itself."),
    effective: z
      .strictObject({
        tier_default: accessTierSchema,
        reveal: z
          .enum(["allow", "deny"])
          .describe("Of standard secrets. Above that tier what the tenant says does not count."),
        kek: kekNameSchema.nullable().describe("null: the tenant's own key."),
        approval_delay_seconds: z.int().describe("Of what reaches a critical secret in it."),
      })
      .describe("What holds in it: of each, the nearest that says anything, the tenant at last."),
  })
  .meta({ id: "Namespace" });
