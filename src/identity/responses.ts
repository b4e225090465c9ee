import { z } from "zod";
import { cidrSchema } from "../base/address.ts";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { idSchema } from "../base/ids.ts";
import { namespaceGlobSchema, scopeSchema } from "../base/scope.ts";

const agentFields = {
  id: idSchema("agent"),
  name: z.string(),
  description: z.string(),
  allowed_namespaces: z.array(namespaceGlobSchema),
  allowed_scopes: z.array(scopeSchema),
  ip_allowlist: z.array(cidrSchema),
  disabled: z.boolean(),
  created_at: timeSchema,
  updated_at: timeSchema,
};

/** An agent as lists and changes show it. */
export const agentSchema = z.strictObject(agentFields).meta({ id: "Agent" });

export const agentListSchema = z.strictObject({
  agents: z.array(agentSchema),
  next_cursor: nextCursorSchema,
});

const apiKeySchema = z.string().describe("The key itself, shown this once: `vka_…`.");

/** The answer to making one, with its first key. */
export const agentCreatedSchema = z.strictObject({
  ...agentFields,
  key_id: idSchema("agentKey"),
  api_key: apiKeySchema,
});

export const agentWithKeysSchema = z.strictObject({
  ...agentFields,
  keys: z.array(z.strictObject({ id: idSchema("agentKey"), created_at: timeSchema })),
});

export const agentKeyCreatedSchema = z.strictObject({
  id: idSchema("agentKey"),
  agent_id: idSchema("agent"),
  api_key: apiKeySchema,
});

export const tenantSchema = z
  .strictObject({
    id: idSchema("tenant"),
    name: z.string(),
    settings: z.strictObject({
      reveal: z
        .enum(["allow", "deny"])
        .describe(
          "Whether agents may read plaintext where neither the secret nor its namespace says otherwise.",
        ),
      tier_default: z
        .enum(["standard", "sensitive", "critical"])
        .describe("The tier of new secrets that name none, where no namespace says otherwise."),
      version_retention: z
        .strictObject({ keep: z.int(), days: z.int() })
        .describe("A secret's version is kept while among the newest `keep`, or younger than `days`."),
      recovery_days: z.int().describe("How long a deleted secret can be restored; 0: not at all."),
    }),
    created_at: timeSchema,
  })
  .meta({ id: "Tenant" });

export const bootstrappedSchema = z.strictObject({
  admin_token: z.string().describe("The admin's credential for scripts, shown this once: `vkm_…`."),
  member_id: idSchema("member"),
  tenant_id: idSchema("tenant"),
});

export const frozenSchema = z.strictObject({ frozen: z.boolean() });

export const sessionListSchema = z.strictObject({
  sessions: z.array(
    z
      .strictObject({
        id: idSchema("session"),
        member_id: idSchema("member"),
        method: z.enum(["oidc", "passkey"]),
        authenticated_at: timeSchema
          .nullable()
          .describe("When the person last showed who they are; null where the identity provider does not tell."),
        ip_address: z.string().nullable().describe("From where it began."),
        user_agent: z.string().nullable(),
        created_at: timeSchema,
        last_seen_at: timeSchema.describe("Up to 5 minutes behind."),
        expires_at: timeSchema,
        current: z.boolean().describe("The session that asks."),
      })
      .meta({ id: "Session" }),
  ),
  next_cursor: nextCursorSchema,
});
