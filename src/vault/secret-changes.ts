import { and, eq, isNull, sql } from "drizzle-orm";
import type { Database, Statement } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import type { MemberCaller, TokenCaller } from "../identity/caller.ts";
import type { ChangeResult } from "../identity/changes.ts";
import type { DotenvEntry } from "./dotenv.ts";
import type { Opener } from "./opener.ts";
import { toSealed } from "./sealed-secret.ts";
import { commitPlanned, readLive } from "./secret-rows.ts";
import { SecretWriter, type StoredSecret, type Storing } from "./secret-writer.ts";
import type { SecretWrite } from "./settle.ts";
import { secrets, secretVersions } from "./tables.ts";
import type { VaultParts } from "./vault-parts.ts";

type ImportWrite = Pick<SecretWrite, "secretType" | "accessTier" | "metadata" | "tags">;

/**
 * Changes to secrets, each in one atomic batch with its events. A change is planned on rows as they were read and made
 * only if they still are: where someone was faster it is planned again, so that of parallel writes none is lost.
 */
export class SecretChanges {
  readonly #parts: VaultParts;
  readonly #opener: Opener;
  readonly #writer: SecretWriter;

  constructor(parts: VaultParts, opener: Opener) {
    this.#parts = parts;
    this.#opener = opener;
    this.#writer = new SecretWriter(parts);
  }

  /**
   * Creates a secret or changes one; a value makes a new version. Throws VALIDATION_ERROR for a new secret without a
   * value, and what `settle` refuses.
   */
  async put(
    caller: MemberCaller | TokenCaller,
    path: string,
    write: SecretWrite,
  ): Promise<StoredSecret & ChangeResult> {
    return this.#store(caller, { path, write });
  }

  /** Changes what is known about a secret that is there. Throws SECRET_NOT_FOUND, and what `settle` refuses. */
  async patch(
    caller: MemberCaller | TokenCaller,
    path: string,
    write: Omit<SecretWrite, "value">,
  ): Promise<StoredSecret & ChangeResult> {
    return this.#store(caller, { path, write }, true);
  }

  /** Stores every entry under `namespace`, or none. Throws as `put`. */
  async import(
    caller: MemberCaller | TokenCaller,
    namespace: string,
    entries: readonly DotenvEntry[],
    write: ImportWrite,
  ): Promise<{ readonly stored: readonly StoredSecret[] } & ChangeResult> {
    return commitPlanned(this.#parts.changes, caller.tenantId, async () => {
      const { stored, change } = await this.#writer.plan(caller, importing(namespace, entries, write));
      return { change, answer: { stored } };
    });
  }

  /** What `import` would do, in the order of the entries. Throws as `import`, and changes nothing. */
  previewImport(
    caller: MemberCaller | TokenCaller,
    namespace: string,
    entries: readonly DotenvEntry[],
    write: ImportWrite,
  ) {
    return this.#writer.preview(caller, importing(namespace, entries, write));
  }

  /**
   * Puts a new value in the place of the one that may be known. Every token issued before that could have read the
   * old one is revoked, whatever the grace period, which is kept in the event only. Throws SECRET_NOT_FOUND.
   */
  async rotate(
    caller: MemberCaller,
    path: string,
    value: Redacted,
    gracePeriodSeconds: number,
    expiresAt?: number | null,
  ): Promise<StoredSecret & ChangeResult> {
    return commitPlanned(this.#parts.changes, caller.tenantId, async () => {
      await readLive(this.#db, caller.tenantId, path);
      const context = { grace_period_seconds: gracePeriodSeconds };
      const storing = { path, write: { value, expiresAt }, eventType: "secret.rotated", context } as const;
      const { stored, change } = await this.#writer.plan(caller, [storing]);
      return {
        change: { ...change, watermarks: [...(change.watermarks ?? []), { kind: "plaintext", key: path }] },
        answer: only(stored),
      };
    });
  }

  /**
   * Stores the value of an earlier version as a new one. Throws SECRET_NOT_FOUND, also where the version is not kept
   * any more, and VALIDATION_ERROR for the current one.
   */
  async rollback(caller: MemberCaller, path: string, version: number): Promise<StoredSecret & ChangeResult> {
    const { tenantId } = caller;
    return commitPlanned(this.#parts.changes, tenantId, async () => {
      const secret = await readLive(this.#db, tenantId, path);
      if (version === secret.currentVersion) {
        throw new Problem("VALIDATION_ERROR", `\`version\`: ${version} is the current version already.`);
      }
      const [row] = await this.#db
        .of(tenantId)
        .select()
        .from(secretVersions)
        .where(and(eq(secretVersions.secretId, secret.id), eq(secretVersions.version, version)));
      if (row === undefined) throw noVersion(version, secret.currentVersion);
      const value = await this.#opener.open(
        row.id,
        { tenantId, path, version },
        toSealed(secret, row).envelope,
      );
      const context = { restored_version: version };
      const storing = { path, write: { value }, eventType: "secret.rolled_back", context } as const;
      const { stored, change } = await this.#writer.plan(caller, [storing]);
      return { change, answer: only(stored) };
    });
  }

  /**
   * Gives a secret whose hosts nobody has decided those of the provider it is first connected to; belongs into the
   * batch that makes the connection. Decided hosts stay as they are.
   */
  decideHosts(tenantId: TenantId, path: string, hosts: readonly string[]): Statement {
    return this.#db
      .of(tenantId)
      .update(secrets)
      .set({ allowedHosts: hosts, revision: sql`${secrets.revision} + 1`, updatedAt: this.#parts.clock() })
      .where(and(eq(secrets.path, path), isNull(secrets.allowedHosts), isNull(secrets.deletedAt)));
  }

  get #db(): Database {
    return this.#parts.db;
  }

  #store(
    caller: MemberCaller | TokenCaller,
    storing: Storing,
    mustBeThere = false,
  ): Promise<StoredSecret & ChangeResult> {
    return commitPlanned(this.#parts.changes, caller.tenantId, async () => {
      if (mustBeThere) await readLive(this.#db, caller.tenantId, storing.path);
      const { stored, change } = await this.#writer.plan(caller, [storing]);
      return { change, answer: only(stored) };
    });
  }
}

function importing(
  namespace: string,
  entries: readonly DotenvEntry[],
  write: ImportWrite,
): readonly Storing[] {
  return entries.map(({ key, value }) => {
    return { path: `${namespace}/${key}`, write: { ...write, value }, eventType: "secret.imported" };
  });
}

function noVersion(version: number, current: number): Problem {
  return version < current
    ? new Problem("SECRET_NOT_FOUND", `Version ${version} is not kept any more.`, {
        why: "`GET …/versions` lists those that are. How long they are kept is the tenant's `version_retention`.",
      })
    : new Problem("SECRET_NOT_FOUND", "The secret has no such version.");
}

function only<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined || items.length > 1) throw new Error("one item was expected");
  return item;
}
