import { and, eq, isNull } from "drizzle-orm";
import type { Database } from "../base/database.ts";
import { type AtEpoch, EpochCache } from "../base/epoch-cache.ts";
import type { TenantId } from "../base/ids.ts";
import type { Redacted } from "../base/redacted.ts";
import { readAtEpoch } from "../base/tenant-epoch.ts";
import { Opener } from "./opener.ts";
import { type SealedSecret, sealedColumns, toSealed } from "./sealed-secret.ts";
import { Namespaces } from "./namespaces.ts";
import { SecretChanges } from "./secret-changes.ts";
import { SecretExport } from "./secret-export.ts";
import { SecretIndex } from "./secret-index.ts";
import { SecretRemoval } from "./secret-removal.ts";
import { secrets, secretVersions } from "./tables.ts";
import type { VaultParts } from "./vault-parts.ts";

export type { SealedSecret };

/** 512 ciphertexts of at most 64 KiB are 32 MiB: a quarter of an isolate, where all of them are as large as can be. */
const MAX_SEALED = 512;

const sealedSecrets = new EpochCache<SealedSecret | null>(MAX_SEALED);

/**
 * The secrets of all tenants. A warm call takes no D1 query (`sealed`) and no question to the key service (`reveal`);
 * the other rooms of it are the control plane's.
 */
export class Vault {
  readonly index: SecretIndex;
  readonly changes: SecretChanges;
  readonly removal: SecretRemoval;
  readonly namespaces: Namespaces;
  readonly export: SecretExport;
  readonly #parts: VaultParts;
  readonly #opener: Opener;

  constructor(parts: VaultParts) {
    this.#parts = parts;
    this.#opener = new Opener(parts);
    this.index = new SecretIndex(parts.db);
    this.changes = new SecretChanges(parts, this.#opener);
    this.removal = new SecretRemoval(parts);
    this.namespaces = new Namespaces(parts);
    this.export = new SecretExport(parts, this.index);
  }

  /** The secret at a path as of `epoch` or later; null where there is none. Throws UNAVAILABLE as `EpochCache`. */
  sealed(tenantId: TenantId, path: string, epoch: number): Promise<AtEpoch<SealedSecret | null>> {
    const { db, waitUntil } = this.#parts;
    return sealedSecrets.get(`${tenantId} ${path}`, epoch, () => readSealed(db, tenantId, path), waitUntil);
  }

  /** Milliseconds since 1970. */
  now(): number {
    return this.#parts.clock();
  }

  /** Whether it may be used for nothing any more, as of now. */
  isExpired({ expiresAt }: SealedSecret): boolean {
    return expiresAt !== null && expiresAt <= this.#parts.clock();
  }

  /** Whether `reveal` would ask no key service now. */
  isWarm(sealed: SealedSecret): boolean {
    return this.#opener.isWarm(sealed.versionId);
  }

  /**
   * The plaintext. Throws INTERNAL where it does not open for this tenant, UNAVAILABLE where its data key is not at
   * hand and the key service does not answer within 5 s.
   */
  reveal(tenantId: TenantId, sealed: SealedSecret): Promise<Redacted> {
    const { path, version, versionId, envelope } = sealed;
    return this.#opener.open(versionId, { tenantId, path, version }, envelope);
  }
}

async function readSealed(
  db: Database,
  tenantId: TenantId,
  path: string,
): Promise<AtEpoch<SealedSecret | null>> {
  const { epoch, value } = await readAtEpoch(db, tenantId, (primary) =>
    primary
      .select(sealedColumns)
      .from(secrets)
      .innerJoin(
        secretVersions,
        and(eq(secretVersions.secretId, secrets.id), eq(secretVersions.version, secrets.currentVersion)),
      )
      .where(and(eq(secrets.path, path), isNull(secrets.deletedAt))),
  );
  const row = value[0];
  return { epoch, value: row ? toSealed(row.secret, row.version) : null };
}
