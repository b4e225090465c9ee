import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { SecretId, TenantId, VersionId } from "../base/ids.ts";
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
    /** `host[:port]` it may be sent to; null: not decided yet (the first provider it is connected to decides). */
    allowedHosts: text({ mode: "json" }).$type<readonly string[]>(),
    /** Whether agents may read the plaintext; null: as the tenant says. */
    reveal: text().$type<"allow" | "deny">(),
    currentVersion: integer().notNull(),
    /** Up by one with every change of the row: changes are made to the row that was read, or not at all. */
    revision: integer().notNull(),
    createdAt: integer().notNull(),
    updatedAt: integer().notNull(),
    deletedAt: integer(),
  },
  // A path has one secret that is there, and any number that were deleted.
  (table) => [
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
