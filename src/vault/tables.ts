import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { MemberId, RevealGrantId, SecretId, TenantId, VersionId } from "../base/ids.ts";
import type { AccessTier, SecretType } from "./schemas.ts";

/** A secret: what is known about it without opening it. All times are milliseconds since 1970. */
export const secrets = sqliteTable(
  "secrets",
  {
    id: text().$type<SecretId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    /** `namespace/key`, the key being the last segment. */
    path: text().notNull(),
    secretType: text().$type<SecretType>().notNull(),
    accessTier: text().$type<AccessTier>().notNull(),
    metadata: text({ mode: "json" }).$type<Readonly<Record<string, unknown>>>().notNull(),
    tags: text({ mode: "json" }).$type<readonly string[]>().notNull().default([]),
    /** `host[:port]` it may be sent to; null: not decided yet (the first provider it is connected to decides). */
    allowedHosts: text({ mode: "json" }).$type<readonly string[]>(),
    /** Whether agents may read the plaintext; null: as the tenant says. */
    reveal: text().$type<"allow" | "deny">(),
    currentVersion: integer().notNull(),
    /** Up by one with every change of the row: changes are made to the row that was read, or not at all. */
    revision: integer().notNull(),
    createdAt: integer().notNull(),
    updatedAt: integer().notNull(),
    /** From when on neither calls nor agents get its value; null: never. */
    expiresAt: integer(),
    /** When the ledger was told that it has expired. */
    expiryRecordedAt: integer(),
    deletedAt: integer(),
    /** Of a deleted one: when its versions go, as it was promised at its deletion. Until then it can be restored. */
    purgeAt: integer(),
    /** Its versions are gone. The row stays, emptied, so that its version numbers are not used again. */
    purgedAt: integer(),
    /** Since when its value has to be replaced, since its class leaked; null: it has not, or a newer version did. */
    rotationDueAt: integer(),
    /** Why, in the words of whoever said so. */
    rotationReason: text(),
  },
  // A path has one secret that is there, and any number that were deleted.
  (table) => [
    index("secrets_expiry")
      .on(table.expiresAt)
      .where(sql`expires_at is not null and expiry_recorded_at is null`),
    index("secrets_purge")
      .on(table.purgeAt)
      .where(sql`purge_at is not null`),
    index("secrets_rotation_due")
      .on(table.tenantId, table.path)
      .where(sql`rotation_due_at is not null`),
    // Only these: whoever asks for a token asks for them.
    index("secrets_strict")
      .on(table.tenantId, table.path, table.accessTier)
      .where(sql`access_tier <> 'standard' and deleted_at is null`),
    uniqueIndex("secrets_path").on(
      table.tenantId,
      table.path,
      sql`(case when ${table.deletedAt} is null then '' else ${table.id} end)`,
    ),
  ],
);

/** One sealed value (see envelope.ts for the columns' meaning); never changed but for its wrapped key. */
export const secretVersions = sqliteTable(
  "secret_versions",
  {
    id: text().$type<VersionId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    secretId: text()
      .$type<SecretId>()
      .notNull()
      .references(() => secrets.id),
    version: integer().notNull(),
    format: integer().notNull(),
    /** base64 */
    nonce: text().notNull(),
    /** base64, with the GCM tag at its end */
    ciphertext: text().notNull(),
    /** base64, as the key provider gave it */
    wrappedDek: text().notNull(),
    keyVersion: text().notNull(),
    /** False where the value is too short to be found safely in a response: it may not be sent upstream. */
    redactable: integer({ mode: "boolean" }).notNull(),
    createdAt: integer().notNull(),
  },
  (table) => [
    uniqueIndex("secret_versions_version").on(table.secretId, table.version),
    index("secret_versions_key").on(table.tenantId, table.keyVersion),
  ],
);

/** What holds for all secrets in a namespace and below it, unless something nearer says otherwise. Null: not set here. */
export const namespaceSettings = sqliteTable(
  "namespace_settings",
  {
    tenantId: text().$type<TenantId>().notNull(),
    namespace: text().notNull(),
    /** Of new secrets that name no tier. */
    tierDefault: text().$type<AccessTier>(),
    reveal: text().$type<"allow" | "deny">(),
    /** The name of the key-encryption key that new versions' data keys are wrapped under. */
    kek: text(),
    /** How long after the last approval what reaches a critical secret in it has to wait. */
    approvalDelaySeconds: integer(),
    updatedAt: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.namespace] })],
);

/** That a person may read plaintext for a while, and why. Rows stay: they say who could. */
export const revealGrants = sqliteTable(
  "reveal_grants",
  {
    id: text().$type<RevealGrantId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    memberId: text().$type<MemberId>().notNull(),
    /** A secret's path, or a glob. */
    pattern: text().notNull(),
    reason: text().notNull(),
    ttlSeconds: integer().notNull(),
    requestedAt: integer().notNull(),
    /** Null while it waits for a second person. */
    startsAt: integer(),
    /** Of one that waits: until when it does. */
    expiresAt: integer().notNull(),
    approvedBy: text().$type<MemberId>(),
    endedAt: integer(),
    /** Null where it ended by itself. */
    endedBy: text().$type<MemberId>(),
  },
  (table) => [
    index("reveal_grants_member").on(table.tenantId, table.memberId, table.expiresAt),
    index("reveal_grants_open")
      .on(table.expiresAt)
      .where(sql`ended_at is null`),
  ],
);
