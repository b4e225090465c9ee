import { z } from "zod";
import { cidrSchema } from "../base/address.ts";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { idSchema } from "../base/ids.ts";
import { namespaceGlobSchema, scopeSchema } from "../base/scope.ts";
import { TRUST_TIERS } from "./approval-need.ts";
import { roleSchema } from "./schemas.ts";

const agentFields = {
  id: idSchema("agent"),
  name: z.string(),
  description: z.string(),
  allowed_namespaces: z.array(namespaceGlobSchema),
  allowed_scopes: z.array(scopeSchema),
  ip_allowlist: z.array(cidrSchema),
  trust_tier: z.enum(TRUST_TIERS),
  disabled: z.boolean(),
  last_seen_at: timeSchema
    .nullable()
    .describe("When a key of its was last used, up to 5 minutes behind; null: never."),
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
  keys: z.array(
    z.strictObject({
      id: idSchema("agentKey"),
      name: z.string().nullable(),
      created_at: timeSchema,
      last_used_at: timeSchema.nullable().describe("Up to 5 minutes behind; null: never."),
      expires_at: timeSchema.nullable(),
      age_days: z.int(),
      warnings: z.array(z.string()).describe("Such as a key that is 90 days old."),
    }),
  ),
});

export const agentKeyCreatedSchema = z.strictObject({
  id: idSchema("agentKey"),
  agent_id: idSchema("agent"),
  name: z.string().nullable(),
  expires_at: timeSchema.nullable(),
  api_key: apiKeySchema,
});

const jurisdictionSchema = z
  .enum(["eu", "fedramp"])
  .nullable()
  .describe("Where all of its data stay; never changes. null: anywhere.");

export const tenantSchema = z
  .strictObject({
    id: idSchema("tenant"),
    name: z.string(),
    jurisdiction: jurisdictionSchema,
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
          .describe(
            "When the person last showed who they are; null where the identity provider does not tell.",
          ),
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

const memberFields = {
  id: idSchema("member"),
  name: z.string(),
  role: roleSchema,
  script: z.boolean().describe("A credential for scripts: it can manage and never approve."),
  status: z.enum(["invited", "expired", "active"]).describe("`expired`: did not come within 14 days."),
  email: z.string().nullable().describe("As invited. Once there is a `subject` it opens nothing."),
  issuer: z.string().nullable(),
  subject: z.string().nullable(),
  invited_at: timeSchema.nullable(),
  invited_by: idSchema("member").nullable(),
  joined_at: timeSchema.nullable(),
  credential_created_at: timeSchema.nullable().describe("Of a script's credential."),
  rotate_by: timeSchema.nullable().describe("When a script's credential should have been rotated."),
  created_at: timeSchema,
};

export const memberSchema = z.strictObject(memberFields).meta({ id: "Member" });

export const memberListSchema = z.strictObject({
  members: z.array(memberSchema),
  next_cursor: nextCursorSchema,
});

const memberCredentialSchema = z.string().describe("A script's credential, shown this once: `vkm_…`.");

export const memberCreatedSchema = z.strictObject({
  ...memberFields,
  credential: memberCredentialSchema.optional(),
});

export const memberCredentialCreatedSchema = z.strictObject({
  id: idSchema("member"),
  credential: memberCredentialSchema,
  rotate_by: timeSchema.nullable(),
});

export const identityProviderSchema = z
  .strictObject({
    id: idSchema("identityProvider"),
    kind: z.enum(["oidc", "cloudflare_access"]),
    name: z.string(),
    issuer: z.string(),
    client_id: z.string().nullable().describe("Null: nobody signs in by it with a browser."),
    confidential: z.boolean().describe("Whether there is a client secret."),
    audience: z.string().describe("What tokens that come with requests must be for."),
    allowed_email_domains: z.array(z.string()),
    trust_email: z.boolean(),
    redirect_uri: z
      .string()
      .nullable()
      .describe(
        "Where the issuer sends browsers back to: register it with the client, and no other of ours.",
      ),
    sign_in_url: z.string().nullable().describe("Where people of this tenant sign in with a browser."),
    created_at: timeSchema,
  })
  .meta({ id: "IdentityProvider" });

export const identityProviderListSchema = z.strictObject({
  identity_providers: z.array(identityProviderSchema),
});

export const tenantCreatedSchema = z.strictObject({
  id: idSchema("tenant"),
  name: z.string(),
  jurisdiction: jurisdictionSchema,
  bootstrap_credential: z.string().describe("Makes the first admin, once; shown this once: `vkb_…`."),
  bootstrap_expires_at: timeSchema,
});
