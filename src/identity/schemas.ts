import { z } from "zod";
import { cidrSchema } from "../base/address.ts";
import { durationSchema } from "../base/duration.ts";
import { namespaceGlobSchema, scopeSchema } from "../base/scope.ts";
import { TRUST_TIERS } from "./approval-need.ts";
import type { StoredSecretSettings } from "../base/tenant-settings.ts";
import { domainSchema, emailSchema } from "./email.ts";
import { issuerSchema } from "./oidc/issuer.ts";

export interface TenantSettings extends StoredSecretSettings {
  /** Whether agents may read plaintext where neither the secret nor its namespace says otherwise. */
  readonly reveal: "allow" | "deny";
}

const NOTHING_TO_CHANGE = "must name what is to change";

const nonEmpty = (patch: object) => Object.keys(patch).length > 0;

export const tenantPatchSchema = z
  .strictObject({
    reveal: z.enum(["allow", "deny"]).optional(),
    tier_default: z
      .enum(["standard", "sensitive", "critical"])
      .optional()
      .describe("The tier of new secrets that name none, where no namespace says otherwise."),
    version_retention: z
      .strictObject({
        keep: z.int().min(1).max(1_000).optional(),
        days: z.int().min(0).max(3_650).optional(),
      })
      .refine(nonEmpty, NOTHING_TO_CHANGE)
      .optional()
      .describe("A secret's version is kept while among the newest `keep`, or younger than `days`."),
    recovery_days: z
      .int()
      .min(0)
      .max(365)
      .optional()
      .describe("How long a deleted secret can be restored; 0: not at all."),
  })
  .refine(nonEmpty, NOTHING_TO_CHANGE);
export type TenantPatch = z.infer<typeof tenantPatchSchema>;

export const bootstrapSchema = z.strictObject({ name: z.string().min(1).max(100) });

export const freezeSchema = z.strictObject({
  frozen: z.boolean(),
  reason: z.string().min(1).max(500).describe("Kept in the trail."),
});

const NAMESPACES =
  "Namespaces, `*` for any run of characters, within which its scopes on secrets must stay. Alone, they allow every action on secrets in them.";
const SCOPES =
  "Scopes it may ask for: `secrets:{read|use|write|delete|*}:{path}`, `connections:call:{slug}`, `namespaces:read`; `*` stands for any run of characters.";
const TRUST =
  "What its requests need in approvals: more than usual, as usual, or less. Lowering it refuses the tokens issued before.";
const ADDRESSES = "Addresses and CIDRs that its key may be used from; empty: any.";

export const agentCreateSchema = z.strictObject({
  name: z.string().min(1).max(100),
  description: z.string().max(500).default(""),
  allowed_namespaces: z.array(namespaceGlobSchema).max(50).default([]).describe(NAMESPACES),
  allowed_scopes: z.array(scopeSchema).max(100).default([]).describe(SCOPES),
  ip_allowlist: z.array(cidrSchema).max(100).default([]).describe(ADDRESSES),
  trust_tier: z.enum(TRUST_TIERS).default("standard").describe(TRUST),
});
export type AgentCreate = z.infer<typeof agentCreateSchema>;

export const agentPatchSchema = z
  .strictObject({
    name: z.string().min(1).max(100).optional(),
    description: z.string().max(500).optional(),
    allowed_namespaces: z.array(namespaceGlobSchema).max(50).optional().describe(NAMESPACES),
    allowed_scopes: z.array(scopeSchema).max(100).optional().describe(SCOPES),
    ip_allowlist: z.array(cidrSchema).max(100).optional().describe(ADDRESSES),
    trust_tier: z.enum(TRUST_TIERS).optional().describe(TRUST),
    disabled: z.boolean().optional().describe("Its keys and tokens are refused while it is."),
  })
  .refine(nonEmpty, NOTHING_TO_CHANGE);
export type AgentPatch = z.infer<typeof agentPatchSchema>;

export const agentKeyCreateSchema = z.strictObject({
  name: z.string().min(1).max(100).optional().describe("Where it is used, say."),
  ttl: durationSchema({ minSeconds: 60, maxSeconds: 366 * 86_400, example: "90d" })
    .optional()
    .describe("How long it is good for: `12h`, `90d`; left out: until it is removed."),
});
export type AgentKeyCreate = z.infer<typeof agentKeyCreateSchema>;

export const emptySchema = z.strictObject({});

const nameSchema = z.string().min(1).max(100);
const clientSecretSchema = z.string().min(1).max(1_000).describe("Sealed; never shown again.");
const audienceSchema = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces");
const domainsSchema = z
  .array(domainSchema)
  .max(50)
  .describe("Where there are any, people need a verified address of one of these domains.");

export const identityProviderCreateSchema = z.discriminatedUnion("kind", [
  z
    .strictObject({
      kind: z.literal("oidc"),
      name: nameSchema,
      issuer: issuerSchema.describe("Exactly as it stands in `iss`."),
      client_id: audienceSchema
        .optional()
        .describe("To sign in with a browser. Register the answer's `redirect_uri` with it."),
      client_secret: clientSecretSchema.optional(),
      audience: audienceSchema
        .optional()
        .describe("What ID tokens that scripts send as bearers must be for. Left out: the client id."),
      allowed_email_domains: domainsSchema.default([]),
    })
    .refine(({ client_id, audience }) => client_id !== undefined || audience !== undefined, {
      message: "needs a `client_id` to sign in with a browser, or an `audience` to take bearers",
    })
    .refine(({ client_id, client_secret }) => client_secret === undefined || client_id !== undefined, {
      message: "has a `client_secret` and no `client_id`",
    }),
  z.strictObject({
    kind: z.literal("cloudflare_access"),
    name: nameSchema,
    issuer: issuerSchema.describe("`https://{team}.cloudflareaccess.com`"),
    audience: audienceSchema.describe("The application's AUD tag."),
    allowed_email_domains: domainsSchema.default([]),
    trust_email: z
      .boolean()
      .default(false)
      .describe(
        "Its tokens do not say whether an address was verified. True: all of its sign-in methods verify them.",
      ),
  }),
]);
export type IdentityProviderCreate = z.infer<typeof identityProviderCreateSchema>;

export const identityProviderPatchSchema = z
  .strictObject({
    name: nameSchema.optional(),
    client_secret: clientSecretSchema.nullable().optional(),
    allowed_email_domains: domainsSchema.optional(),
  })
  .refine(nonEmpty, NOTHING_TO_CHANGE);
export type IdentityProviderPatch = z.infer<typeof identityProviderPatchSchema>;

export const roleSchema = z.enum(["admin", "editor", "viewer", "auditor"]);
const subjectSchema = z.string().min(1).max(255).describe("`sub`, exactly.");

export const memberCreateSchema = z.union(
  [
    z.strictObject({ email: emailSchema, role: roleSchema, name: nameSchema.optional() }),
    z.strictObject({ issuer: issuerSchema, subject: subjectSchema, role: roleSchema, name: nameSchema }),
    z.strictObject({ script: z.literal(true), role: roleSchema, name: nameSchema }),
  ],
  'must be {"email", "role"}, {"issuer", "subject", "role", "name"} or {"script": true, "role", "name"}',
);
export type MemberCreate = z.infer<typeof memberCreateSchema>;

export const memberPatchSchema = z.strictObject({ role: roleSchema });

export const tenantCreateSchema = z.strictObject({
  name: nameSchema,
  jurisdiction: z
    .enum(["eu", "fedramp"])
    .nullable()
    .default(null)
    .describe("Where all of its data stay; never changes. Null: anywhere."),
});
