import { sql } from "drizzle-orm";
import type { SecretId, VersionId } from "../base/ids.ts";
import type { Envelope } from "./envelope.ts";
import type { AccessTier, SecretType } from "./schemas.ts";
import { secrets, secretVersions } from "./tables.ts";

export type SecretRow = typeof secrets.$inferSelect;
export type VersionRow = typeof secretVersions.$inferSelect;
export type SealedVersion = Omit<VersionRow, "tenantId" | "secretId" | "createdAt">;

/** What is selected of both tables. No two columns have one name: D1 answers a batch with objects, one field a name. */
export const sealedColumns = {
  secret: secrets,
  version: {
    id: sql<VersionId>`${secretVersions.id}`.as("version_id"),
    version: secretVersions.version,
    format: secretVersions.format,
    nonce: secretVersions.nonce,
    ciphertext: secretVersions.ciphertext,
    wrappedDek: secretVersions.wrappedDek,
    keyVersion: secretVersions.keyVersion,
    redactable: secretVersions.redactable,
  },
};

/** One version of a secret as it lies in the vault, with what decides where it may go. No plaintext. */
export interface SealedSecret {
  readonly secretId: SecretId;
  readonly path: string;
  readonly versionId: VersionId;
  readonly version: number;
  readonly tier: AccessTier;
  readonly secretType: SecretType;
  /** Canonical `host[:port]`; null: not decided yet, which allows none. */
  readonly allowedHosts: readonly string[] | null;
  /** Milliseconds since 1970 from which on it is used for nothing; null: never. */
  readonly expiresAt: number | null;
  /** False where it may not be sent upstream: it could not be found safely in a response. */
  readonly redactable: boolean;
  readonly envelope: Envelope;
}

export function toSealed(secret: SecretRow, version: SealedVersion): SealedSecret {
  return {
    secretId: secret.id,
    path: secret.path,
    versionId: version.id,
    version: version.version,
    tier: secret.accessTier,
    secretType: secret.secretType,
    allowedHosts: secret.allowedHosts,
    expiresAt: secret.expiresAt,
    redactable: version.redactable,
    envelope: {
      format: version.format,
      nonce: Buffer.from(version.nonce, "base64"),
      ciphertext: Buffer.from(version.ciphertext, "base64"),
      wrapped: version.wrappedDek,
      keyVersion: version.keyVersion,
    },
  };
}
