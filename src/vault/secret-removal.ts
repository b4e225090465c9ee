import type { Database } from "../base/database.ts";
import type { SecretId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { DAY_MS } from "../base/tenant-settings.ts";
import type { MemberCaller, TokenCaller } from "../identity/caller.ts";
import type { ChangeResult } from "../identity/changes.ts";
import { readRules } from "./namespace-rules.ts";
import type { SecretRow } from "./sealed-secret.ts";
import { secretEvent } from "./secret-events.ts";
import { commitPlanned, purgeStatements, readLive, readPaths, updateUnchanged } from "./secret-rows.ts";
import { strictWatermarks } from "./stricter.ts";
import type { VaultParts } from "./vault-parts.ts";

/**
 * A deleted secret is out of use at once and can be restored for as long as its tenant gave it then
 * (`recovery_days`). After that, or when an admin says so, its versions are taken out of D1.
 */
export class SecretRemoval {
  readonly #parts: VaultParts;

  constructor(parts: VaultParts) {
    this.#parts = parts;
  }

  /** Throws SECRET_NOT_FOUND. */
  async delete(caller: MemberCaller | TokenCaller, path: string): Promise<ChangeResult> {
    const { tenantId } = caller;
    return commitPlanned(this.#parts.changes, tenantId, async () => {
      const [secret, { settings }] = await Promise.all([
        readLive(this.#db, tenantId, path),
        readRules(this.#db, tenantId, path),
      ]);
      const now = this.#parts.clock();
      const { recovery_days: days } = settings;
      const purgeAt = now + days * DAY_MS;
      const statements =
        days === 0
          ? purgeStatements(this.#db, secret, now)
          : [updateUnchanged(this.#db, secret, { deletedAt: now, updatedAt: now, purgeAt })];
      const recoverable = days === 0 ? null : new Date(purgeAt).toISOString();
      const event = secretEvent(caller, now, "secret.deleted", path, {
        version: secret.currentVersion,
        recoverable_until: recoverable,
      });
      const purged = days === 0 ? [purgedEvent(caller, secret, now)] : [];
      return { change: { statements, events: [event, ...purged] }, answer: {} };
    });
  }

  /**
   * Brings back the secret that was deleted last at this path, or that one of them. Throws SECRET_NOT_FOUND where it
   * cannot be restored any more, CONFLICT where the path has another secret now.
   */
  async restore(
    caller: MemberCaller,
    path: string,
    id: SecretId | undefined,
  ): Promise<{ readonly secret: SecretRow } & ChangeResult> {
    const { tenantId } = caller;
    return commitPlanned(this.#parts.changes, tenantId, async () => {
      const now = this.#parts.clock();
      const { live, deleted } = (await readPaths(this.#db, tenantId, [path]))(path);
      const found = deleted.find((one) => id === undefined || one.id === id);
      if (found === undefined || (found.purgeAt ?? 0) <= now) {
        throw new Problem(
          "SECRET_NOT_FOUND",
          "There is no deleted secret at this path that can be restored.",
        );
      }
      if (live !== undefined) {
        throw new Problem("CONFLICT", "The path has another secret now. Delete that one first.");
      }
      const secret = { ...found, deletedAt: null, purgeAt: null, updatedAt: now };
      const event = secretEvent(caller, now, "secret.restored", path, { version: secret.currentVersion });
      const restored = updateUnchanged(this.#db, found, { deletedAt: null, purgeAt: null, updatedAt: now });
      const watermarks = strictWatermarks([{ path, before: null, after: secret.accessTier }]);
      return { change: { statements: [restored], events: [event], watermarks }, answer: { secret } };
    });
  }

  /**
   * Takes out of D1 all that a path has or had: its secret, if there is one, and those deleted before; with an id
   * that one alone. Throws SECRET_NOT_FOUND where there is nothing.
   */
  async purge(
    caller: MemberCaller,
    path: string,
    id: SecretId | undefined,
  ): Promise<{ readonly purged: number } & ChangeResult> {
    const { tenantId } = caller;
    return commitPlanned(this.#parts.changes, tenantId, async () => {
      const now = this.#parts.clock();
      const { live, deleted } = (await readPaths(this.#db, tenantId, [path]))(path);
      const all = live === undefined ? deleted : [live, ...deleted];
      const chosen = id === undefined ? all : all.filter((one) => one.id === id);
      if (chosen.length === 0)
        throw new Problem("SECRET_NOT_FOUND", "There is nothing at this path to purge.");
      const deletions = chosen
        .filter(({ deletedAt }) => deletedAt === null)
        .map((one) => secretEvent(caller, now, "secret.deleted", path, { version: one.currentVersion }));
      const statements = chosen.flatMap((one) => purgeStatements(this.#db, one, now));
      const events = [...deletions, ...chosen.map((one) => purgedEvent(caller, one, now))];
      return { change: { statements, events }, answer: { purged: chosen.length } };
    });
  }

  get #db(): Database {
    return this.#parts.db;
  }
}

function purgedEvent(caller: MemberCaller | TokenCaller, secret: SecretRow, now: number) {
  const deletedAt = new Date(secret.deletedAt ?? now).toISOString();
  return secretEvent(caller, now, "secret.purged", secret.path, {
    secret_id: secret.id,
    version: secret.currentVersion,
    deleted_at: deletedAt,
  });
}
