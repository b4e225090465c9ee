import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { accessTierSchema, metadataSchema, secretTypeSchema } from "./schemas.ts";

const secretFields = {
  path: z.string(),
  namespace: z.string(),
  key: z.string(),
  version: z.int(),
  secret_type: secretTypeSchema,
  access_tier: accessTierSchema,
  metadata: metadataSchema,
  allowed_hosts: z
    .array(z.string())
    .nullable()
    .describe("Where it may be sent, `host[:port]`; null: the first provider it is connected to decides."),
  reveal: z
    .enum(["allow", "deny"])
    .nullable()
    .describe("Whether agents may read it; null: as the tenant says."),
  created_at: timeSchema,
  updated_at: timeSchema,
};

const redactable = z
  .boolean()
  .describe("False: too short or too plain to be found safely in a response, so connections cannot use it.");

/** A secret as lists show it: never its value. */
export const listedSecretSchema = z.strictObject(secretFields).meta({ id: "ListedSecret" });

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
  warning: z.string().optional().describe("Why no connection can use it."),
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

export const versionListSchema = z.strictObject({
  path: z.string(),
  current_version: z.int(),
  versions: z.array(z.strictObject({ version: z.int(), created_at: timeSchema, redactable })),
  next_cursor: nextCursorSchema,
});

export const namespaceListSchema = z.strictObject({
  namespaces: z.array(z.strictObject({ namespace: z.string(), secrets: z.int() })),
});
