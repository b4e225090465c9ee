import { and, eq, inArray, isNull, sql } from "drizzle-orm";
import type { Database, Statement } from "../base/database.ts";
import { newId, type TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import type { MemberCaller, TokenCaller } from "../identity/caller.ts";
import type { Change, ChangeResult } from "../identity/changes.ts";
import type { DotenvEntry } from "./dotenv.ts";
import { seal } from "./envelope.ts";
import type { Opener } from "./opener.ts";
import { isRedactable } from "./redactable.ts";
import { type SecretRow, toSealed, type VersionRow } from "./sealed-secret.ts";
import { secretEvent } from "./secret-events.ts";
import { type SecretWrite, settle } from "./settle.ts";
import { secrets, secretVersions } from "./tables.ts";
import type { VaultParts } from "./vault.ts";

export interface StoredSecret {
  readonly secret: SecretRow;
  /** Of the value that was stored; null where none was. */
  readonly redactable: boolean | null;
  readonly created: boolean;
}

/** What to do, and what to answer once it is done. */
interface Plan<T> {
  readonly change: Change;
  readonly answer: T;
}

/** One secret to store, with the event that says so. */
interface Storing {
  readonly path: string;
  readonly write: SecretWrite;
  readonly eventType?: "secret.imported" | "secret.rotated" | "secret.rolled_back";
  readonly context?: Readonly<Record<string, unknown>>;
}

interface AtPath {
  readonly live: SecretRow | undefined;
  /** The highest version that a deleted secret at this path had: its numbers are not used again. */
  readonly lastVersion: number;
}

const ATTEMPTS = 8;
const PATHS_PER_QUERY = 90;

/**
 * Changes to secrets, each in one atomic batch with its events. A change is planned on rows as they were read and made
 * only if they still are: where someone was faster it is planned again, so that of parallel writes none is lost.
 */
export class SecretChanges {
  readonly #parts: VaultParts;
  readonly #opener: Opener;

  constructor(parts: VaultParts, opener: Opener) {
    this.#parts = parts;
    this.#opener = opener;
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
    return this.#commit(caller.tenantId, async () => {
      const { stored, change } = await this.#plan(caller, [{ path, write }]);
      return { change, answer: only(stored) };
    });
  }

  /** Stores every entry under `namespace`, or none. Throws as `put`. */
  async import(
    caller: MemberCaller | TokenCaller,
    namespace: string,
    entries: readonly DotenvEntry[],
    write: Pick<SecretWrite, "secretType" | "accessTier">,
  ): Promise<{ readonly stored: readonly StoredSecret[] } & ChangeResult> {
    return this.#commit(caller.tenantId, async () => {
      const storings = entries.map(({ key, value }): Storing => {
        return { path: `${namespace}/${key}`, write: { ...write, value }, eventType: "secret.imported" };
      });
      const { stored, change } = await this.#plan(caller, storings);
      return { change, answer: { stored } };
    });
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
  ): Promise<StoredSecret & ChangeResult> {
    return this.#commit(caller.tenantId, async () => {
      await this.#live(caller.tenantId, path);
      const context = { grace_period_seconds: gracePeriodSeconds };
      const storing = { path, write: { value }, eventType: "secret.rotated", context } as const;
      const { stored, change } = await this.#plan(caller, [storing]);
      return { change: { ...change, watermarks: [{ kind: "plaintext", key: path }] }, answer: only(stored) };
    });
  }

  /** Stores the value of an earlier version as a new one. Throws SECRET_NOT_FOUND, VALIDATION_ERROR for the current one. */
  async rollback(caller: MemberCaller, path: string, version: number): Promise<StoredSecret & ChangeResult> {
    const { tenantId } = caller;
    return this.#commit(tenantId, async () => {
      const secret = await this.#live(tenantId, path);
      if (version === secret.currentVersion) {
        throw new Problem("VALIDATION_ERROR", `\`version\`: ${version} is the current version already.`);
      }
      const [row] = await this.#db
        .of(tenantId)
        .select()
        .from(secretVersions)
        .where(and(eq(secretVersions.secretId, secret.id), eq(secretVersions.version, version)));
      if (row === undefined) throw new Problem("SECRET_NOT_FOUND", "The secret has no such version.");
      const value = await this.#opener.open(
        row.id,
        { tenantId, path, version },
        toSealed(secret, row).envelope,
      );
      const context = { restored_version: version };
      const storing = { path, write: { value }, eventType: "secret.rolled_back", context } as const;
      const { stored, change } = await this.#plan(caller, [storing]);
      return { change, answer: only(stored) };
    });
  }

  /** From then on the secret is gone for every call; its rows stay. Throws SECRET_NOT_FOUND. */
  async delete(caller: MemberCaller | TokenCaller, path: string): Promise<ChangeResult> {
    const { tenantId } = caller;
    return this.#commit(tenantId, async () => {
      const secret = await this.#live(tenantId, path);
      const now = this.#parts.clock();
      const event = secretEvent(caller, now, "secret.deleted", path, { version: secret.currentVersion });
      const statements = [this.#update(secret, { deletedAt: now, updatedAt: now })];
      return { change: { statements, events: [event] }, answer: {} };
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

  async #commit<T>(tenantId: TenantId, plan: () => Promise<Plan<T>>): Promise<T & ChangeResult> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { change, answer } = await plan();
      try {
        return { ...answer, ...(await this.#parts.changes.apply(tenantId, change)) };
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
    throw new Problem("CONFLICT", "Others are changing this at the same time. Try again.");
  }

  async #plan(
    caller: MemberCaller | TokenCaller,
    storings: readonly Storing[],
  ): Promise<{ readonly stored: readonly StoredSecret[]; readonly change: Change }> {
    const held = await this.#read(
      caller.tenantId,
      storings.map(({ path }) => path),
    );
    const now = this.#parts.clock();
    const planned = await Promise.all(
      storings.map((storing) => this.#store(caller, storing, held.get(storing.path), now)),
    );
    return {
      stored: planned.map(({ answer }) => answer),
      change: {
        statements: planned.flatMap(({ change }) => change.statements),
        events: planned.flatMap(({ change }) => change.events),
      },
    };
  }

  async #store(
    caller: MemberCaller | TokenCaller,
    { path, write, eventType, context }: Storing,
    held: AtPath | undefined,
    now: number,
  ): Promise<Plan<StoredSecret>> {
    const { tenantId } = caller;
    const live = held?.live;
    const settled = settle(caller, live, write);
    const { value } = write;
    if (live === undefined && value === undefined) {
      throw new Problem("VALIDATION_ERROR", "`value`: a new secret needs one.");
    }
    const lastVersion = live?.currentVersion ?? held?.lastVersion ?? 0;
    const secret: SecretRow = {
      id: live?.id ?? newId("secret"),
      tenantId,
      path,
      ...settled,
      currentVersion: value === undefined ? lastVersion : lastVersion + 1,
      revision: (live?.revision ?? 0) + 1,
      createdAt: live?.createdAt ?? now,
      updatedAt: now,
      deletedAt: null,
    };
    const version = value === undefined ? null : await this.#seal(secret, value, now);
    const statements: Statement[] = live
      ? [this.#update(live, { ...settled, currentVersion: secret.currentVersion, updatedAt: now })]
      : [this.#db.of(tenantId).insert(secrets).values(secret)];
    if (version !== null) statements.push(this.#db.of(tenantId).insert(secretVersions).values(version));
    const event = secretEvent(caller, now, eventType ?? (live ? "secret.updated" : "secret.created"), path, {
      version: secret.currentVersion,
      access_tier: secret.accessTier,
      changed: Object.keys(write).filter((name) => write[name as keyof SecretWrite] !== undefined),
      ...(write.allowedHosts === undefined ? {} : { allowed_hosts: write.allowedHosts }),
      ...context,
    });
    const answer = { secret, redactable: version?.redactable ?? null, created: live === undefined };
    return { change: { statements, events: [event] }, answer };
  }

  async #seal(secret: SecretRow, value: Redacted, now: number): Promise<VersionRow> {
    const { tenantId, path, currentVersion: version } = secret;
    const envelope = await seal(this.#parts.keys, { tenantId, path, version }, value);
    return {
      id: newId("version"),
      tenantId,
      secretId: secret.id,
      version,
      format: envelope.format,
      nonce: Buffer.from(envelope.nonce).toString("base64"),
      ciphertext: Buffer.from(envelope.ciphertext).toString("base64"),
      wrappedDek: envelope.wrapped,
      keyVersion: envelope.keyVersion,
      redactable: isRedactable(value.revealBytes()),
      createdAt: now,
    };
  }

  /** What is at these paths, deleted secrets included: their version numbers are not used again. */
  async #read(tenantId: TenantId, paths: readonly string[]): Promise<ReadonlyMap<string, AtPath>> {
    const found = new Map<string, AtPath>();
    for (let start = 0; start < paths.length; start += PATHS_PER_QUERY) {
      const rows = await this.#db
        .of(tenantId)
        .select()
        .from(secrets)
        .where(inArray(secrets.path, paths.slice(start, start + PATHS_PER_QUERY)));
      for (const row of rows) {
        const held = found.get(row.path);
        found.set(row.path, {
          live: row.deletedAt === null ? row : held?.live,
          lastVersion: Math.max(row.currentVersion, held?.lastVersion ?? 0),
        });
      }
    }
    return found;
  }

  async #live(tenantId: TenantId, path: string): Promise<SecretRow> {
    const secret = (await this.#read(tenantId, [path])).get(path)?.live;
    if (secret === undefined) throw new Problem("SECRET_NOT_FOUND", "There is no secret at this path.");
    return secret;
  }

  /** Makes the whole batch fail, by a revision that is null, where the row is not the one that was read any more. */
  #update(read: SecretRow, values: Partial<SecretRow>): Statement {
    const unchanged = sql`${secrets.revision} = ${read.revision} and ${secrets.deletedAt} is null`;
    return this.#db
      .of(read.tenantId)
      .update(secrets)
      .set({ ...values, revision: sql`case when ${unchanged} then ${read.revision + 1} end` })
      .where(eq(secrets.id, read.id));
  }
}

/** Whether a batch failed because someone else was faster: both made the same row, or `#update` met another one. */
function isConflict(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (
      /UNIQUE constraint failed: (?:index ')?secret|NOT NULL constraint failed: secrets\.revision/.test(
        at.message,
      )
    )
      return true;
  }
  return false;
}

function only<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined || items.length > 1) throw new Error("one item was expected");
  return item;
}
