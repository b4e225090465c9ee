import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type {
  AgentId,
  AgentKeyId,
  EnrolmentId,
  IdentityProviderId,
  MemberId,
  PasskeyId,
  SessionId,
  TenantId,
  TrustRuleId,
} from "../base/ids.ts";
import type { SealedText } from "../vault/sealed-form.ts";
import type { TrustTier } from "./approval-need.ts";
import type { TenantSettings } from "./schemas.ts";
import type { TrustRuleInput } from "./trust/rule.ts";

/** All times are milliseconds since 1970. */
export const tenants = sqliteTable("tenants", {
  /** With its jurisdiction, which never changes (base/jurisdiction.ts). */
  id: text().$type<TenantId>().primaryKey(),
  name: text().notNull(),
  /** Goes up by one with every change to what the tenant has configured, in the same batch as the change. */
  epoch: integer().notNull().default(1),
  settings: text({ mode: "json" }).$type<TenantSettings>().notNull(),
  createdAt: integer().notNull(),
});

export const members = sqliteTable(
  "members",
  {
    id: text().$type<MemberId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    name: text().notNull(),
    role: text().$type<"admin" | "editor" | "viewer" | "auditor">().notNull(),
    /** True for a credential made for scripts: it can manage and never approve. */
    script: integer({ mode: "boolean" }).notNull(),
    /** HMAC of its credential with the deployment's pepper, hex. People have none: their id, which is nobody's digest. */
    digest: text().notNull().unique(),
    /** When the credential was made; null for the one that came of a bootstrap, until it is rotated. */
    digestAt: integer(),
    /** As invited, lower case; once there is a subject it says nothing any more. */
    email: text(),
    /** Who this is, as its identity provider says: `iss` and `sub`, exactly. Null until the first sign-in. */
    issuer: text(),
    subject: text(),
    invitedAt: integer(),
    invitedBy: text().$type<MemberId>(),
    joinedAt: integer(),
    /** When the role was last raised to admin or editor. */
    raisedAt: integer(),
    /** Who did that, and all who did within a day of one another before: members' ids, with spaces between. */
    raisedBy: text(),
    createdAt: integer().notNull(),
    revokedAt: integer(),
  },
  (table) => [
    index("members_tenant").on(table.tenantId),
    uniqueIndex("members_subject")
      .on(table.tenantId, table.issuer, table.subject)
      .where(sql`revoked_at is null`),
    uniqueIndex("members_invited")
      .on(table.tenantId, table.email)
      .where(sql`revoked_at is null and subject is null`),
    index("members_identity").on(table.issuer, table.subject),
  ],
);

/** People who are signed in. A session that has ended has no row. */
export const sessions = sqliteTable(
  "sessions",
  {
    id: text().$type<SessionId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    memberId: text().$type<MemberId>().notNull(),
    /** HMAC of the session's token with the deployment's pepper, hex. */
    digest: text().notNull().unique(),
    method: text().$type<"oidc" | "passkey">().notNull(),
    /** The member's identity when it began: it holds no longer than that does. */
    issuer: text(),
    subject: text(),
    authenticatedAt: integer(),
    ip: text(),
    userAgent: text(),
    createdAt: integer().notNull(),
    lastSeenAt: integer().notNull(),
    expiresAt: integer().notNull(),
  },
  (table) => [index("sessions_member").on(table.tenantId, table.memberId)],
);

/** Keys that authenticators made for this gateway (WebAuthn Level 3): only the public half is here. */
export const passkeys = sqliteTable(
  "passkeys",
  {
    id: text().$type<PasskeyId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    memberId: text().$type<MemberId>().notNull(),
    /** As the authenticator named it, base64url. */
    credentialId: text().notNull(),
    /** COSE_Key, base64url. */
    publicKey: text().notNull(),
    /** How often it has signed, as it says itself; 0 where it does not count. */
    counter: integer().notNull(),
    transports: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    name: text().notNull(),
    /** Kept by a provider that brings it to the person's other devices. */
    backedUp: integer({ mode: "boolean" }).notNull(),
    createdAt: integer().notNull(),
    lastUsedAt: integer(),
  },
  (table) => [
    uniqueIndex("passkeys_credential").on(table.tenantId, table.credentialId),
    index("passkeys_member").on(table.tenantId, table.memberId),
  ],
);

/** Codes with which a person registers a first passkey, once each. */
export const enrolments = sqliteTable(
  "enrolments",
  {
    id: text().$type<EnrolmentId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    memberId: text().$type<MemberId>().notNull(),
    /** HMAC of the code with the deployment's pepper, hex. */
    digest: text().notNull().unique(),
    /** Whoever holds the code becomes the member: of two persons one must not have made it for the other just now. */
    createdBy: text().$type<MemberId>().notNull(),
    createdAt: integer().notNull(),
    expiresAt: integer().notNull(),
    spentAt: integer(),
  },
  (table) => [index("enrolments_member").on(table.tenantId, table.memberId)],
);

/** Challenges that were answered: each is good once. Kept until they would have expired anyway. */
export const spentChallenges = sqliteTable(
  "spent_challenges",
  {
    /** SHA-256, hex. */
    id: text().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    expiresAt: integer().notNull(),
  },
  (table) => [index("spent_challenges_tenant").on(table.tenantId, table.expiresAt)],
);

/** Who may say for a tenant who people are. */
export const identityProviders = sqliteTable(
  "identity_providers",
  {
    id: text().$type<IdentityProviderId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    name: text().notNull(),
    kind: text().$type<"oidc" | "cloudflare_access">().notNull(),
    issuer: text().notNull(),
    /** For signing in with a browser; null: its ID tokens are only taken as bearers. */
    clientId: text(),
    /** The sealed client secret; null: a public client. */
    clientSecret: text({ mode: "json" }).$type<SealedText>(),
    /** What the tokens that come with requests must be for. */
    audience: text().notNull(),
    allowedEmailDomains: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    /** The issuer vouches for `email` without saying `email_verified`. */
    trustEmail: integer({ mode: "boolean" }).notNull(),
    createdAt: integer().notNull(),
    /** Whoever says who people are may say so of whom they made up. Null: not known, of before this was kept. */
    createdBy: text().$type<MemberId>(),
  },
  (table) => [
    index("identity_providers_tenant").on(table.tenantId),
    index("identity_providers_audience").on(table.issuer, table.audience),
  ],
);

/** Sign-ins that came back, by their state: each comes back once. Kept until it would be too late for it anyway. */
export const finishedSignIns = sqliteTable(
  "finished_sign_ins",
  {
    /** SHA-256 of the state, hex. */
    id: text().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    expiresAt: integer().notNull(),
  },
  (table) => [index("finished_sign_ins_tenant").on(table.tenantId, table.expiresAt)],
);

export const agents = sqliteTable(
  "agents",
  {
    id: text().$type<AgentId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    name: text().notNull(),
    description: text().notNull(),
    allowedNamespaces: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    allowedScopes: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    ipAllowlist: text({ mode: "json" }).$type<readonly string[]>().notNull(),
    trustTier: text().$type<TrustTier>().notNull().default("standard"),
    /** When one of its keys was last used; minutes behind. */
    lastSeenAt: integer(),
    disabledAt: integer(),
    deletedAt: integer(),
    createdAt: integer().notNull(),
    updatedAt: integer().notNull(),
  },
  (table) => [index("agents_tenant").on(table.tenantId, table.id)],
);

export const agentKeys = sqliteTable(
  "agent_keys",
  {
    id: text().$type<AgentKeyId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    agentId: text()
      .$type<AgentId>()
      .notNull()
      .references(() => agents.id),
    digest: text().notNull().unique(),
    name: text(),
    createdAt: integer().notNull(),
    /** Whoever made it has seen it. Null: not known, of before this was kept. */
    createdBy: text().$type<MemberId>(),
    /** Minutes behind. */
    lastUsedAt: integer(),
    expiresAt: integer(),
    revokedAt: integer(),
  },
  (table) => [index("agent_keys_agent").on(table.agentId)],
);

/** Whose workloads may get an agent's tokens without a secret of their own. */
export const agentTrustRules = sqliteTable(
  "agent_trust_rules",
  {
    id: text().$type<TrustRuleId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    agentId: text()
      .$type<AgentId>()
      .notNull()
      .references(() => agents.id),
    rule: text({ mode: "json" }).$type<TrustRuleInput>().notNull(),
    createdAt: integer().notNull(),
    /** Whoever made it may run such a workload. Null: not known, of before this was kept. */
    createdBy: text().$type<MemberId>(),
  },
  (table) => [index("agent_trust_rules_agent").on(table.tenantId, table.agentId)],
);

/** At most one row, id 1: the bootstrap credential is spent. Its primary key is what makes bootstrap happen once. */
export const bootstraps = sqliteTable("bootstraps", {
  id: integer().primaryKey(),
  tenantId: text().$type<TenantId>().notNull(),
  createdAt: integer().notNull(),
});

/** The credential with which an operator's new tenant makes its first admin, once. */
export const tenantBootstraps = sqliteTable("tenant_bootstraps", {
  tenantId: text().$type<TenantId>().primaryKey(),
  /** HMAC of the credential with the deployment's pepper, hex. */
  digest: text().notNull().unique(),
  createdAt: integer().notNull(),
  expiresAt: integer().notNull(),
  spentAt: integer(),
});

/**
 * That a change landed, and at which epoch: written in the change's own batch, so that the gate can settle by its id a
 * change whose maker died. Cleared away an hour later, once the gate has looked.
 */
export const gateChanges = sqliteTable(
  "gate_changes",
  {
    id: text().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    epoch: integer().notNull(),
    at: integer().notNull(),
  },
  (table) => [index("gate_changes_tenant").on(table.tenantId, table.at)],
);
