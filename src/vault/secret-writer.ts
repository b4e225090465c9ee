import type { Database, Statement } from "../base/database.ts";
import { newId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import type { SecretSettings } from "../base/tenant-settings.ts";
import type { MemberCaller, TokenCaller } from "../identity/caller.ts";
import type { Change } from "../identity/changes.ts";
import { seal } from "./envelope.ts";
import { type NamespaceRules, readRules } from "./namespace-rules.ts";
import { isRedactable } from "./redactable.ts";
import { type OldVersion, outgrown } from "./retention.ts";
import type { SecretRow, VersionRow } from "./sealed-secret.ts";
import { secretEvent } from "./secret-events.ts";
import { type AtPath, eraseVersions, readPaths, updateUnchanged } from "./secret-rows.ts";
import { type SecretWrite, settle } from "./settle.ts";
import { strictWatermarks } from "./stricter.ts";
import { secrets, secretVersions } from "./tables.ts";
import type { VaultParts } from "./vault-parts.ts";

export interface StoredSecret {
  readonly secret: SecretRow;
  /** Of the value that was stored; null where none was. */
  readonly redactable: boolean | null;
  readonly created: boolean;
}

/** One secret to store, with the event that says so. */
export interface Storing {
  readonly path: string;
  readonly write: SecretWrite;
  readonly eventType?: "secret.imported" | "secret.rotated" | "secret.rolled_back";
  readonly context?: Readonly<Record<string, unknown>>;
}

/** What a write is planned on. */
interface Ground {
  readonly rules: NamespaceRules;
  readonly settings: SecretSettings;
  readonly at: (path: string) => AtPath;
  readonly now: number;
}

/** What a path's secret would be: nothing is sealed yet. */
interface Draft {
  readonly storing: Storing;
  readonly live: SecretRow | undefined;
  readonly secret: SecretRow;
}

/** Plans what is stored at paths, as one change. */
export class SecretWriter {
  readonly #parts: VaultParts;

  constructor(parts: VaultParts) {
    this.#parts = parts;
  }

  /**
   * The change that stores all of them, paths of one namespace. Throws VALIDATION_ERROR for a new secret without a
   * value, and what `settle` refuses.
   */
  async plan(
    caller: MemberCaller | TokenCaller,
    storings: readonly Storing[],
  ): Promise<{ readonly stored: readonly StoredSecret[]; readonly change: Change }> {
    const ground = await this.#read(caller, storings);
    const drafts = storings.map((storing) => draft(caller, storing, ground));
    const goes = await this.#outgrown(caller, drafts, ground);
    const planned = await Promise.all(drafts.map(async (one) => this.#store(caller, one, goes, ground)));
    const watermarks = [
      ...strictWatermarks(
        drafts.map(({ live, secret }) => {
          return { path: secret.path, before: live?.accessTier ?? null, after: secret.accessTier };
        }),
      ),
      // A class that was revoked stays so for what has been of it: of another type, it would be used again.
      ...drafts.flatMap(({ live, secret: { path, secretType } }) =>
        live !== undefined && live.secretType !== secretType ? [{ kind: "secret" as const, key: path }] : [],
      ),
    ];
    return {
      stored: planned.map(({ answer }) => answer),
      change: {
        statements: planned.flatMap(({ statements }) => statements),
        events: planned.flatMap(({ events }) => events),
        ...(watermarks.length > 0 ? { watermarks } : {}),
      },
    };
  }

  /** Whether each of them would make a secret, in their order. Throws as `plan`. */
  async preview(
    caller: MemberCaller | TokenCaller,
    storings: readonly Storing[],
  ): Promise<
    readonly { readonly path: string; readonly created: boolean; readonly redactable: boolean | null }[]
  > {
    const ground = await this.#read(caller, storings);
    return storings.map((storing) => {
      const { live } = draft(caller, storing, ground);
      const { path, write } = storing;
      const redactable = write.value === undefined ? null : isRedactable(write.value.revealBytes());
      return { path, created: live === undefined, redactable };
    });
  }

  get #db(): Database {
    return this.#parts.db;
  }

  async #read({ tenantId }: MemberCaller | TokenCaller, storings: readonly Storing[]): Promise<Ground> {
    const paths = storings.map(({ path }) => path);
    const [{ rules, settings }, at] = await Promise.all([
      readRules(this.#db, tenantId, paths[0] ?? ""),
      readPaths(this.#db, tenantId, paths),
    ]);
    return { rules, settings, at, now: this.#parts.clock() };
  }

  #outgrown(
    { tenantId }: MemberCaller | TokenCaller,
    drafts: readonly Draft[],
    { settings, now }: Ground,
  ): Promise<readonly OldVersion[]> {
    const { version_retention: retention } = settings;
    const full = drafts.flatMap(({ live, storing }) =>
      live !== undefined && storing.write.value !== undefined && live.currentVersion >= retention.keep
        ? [live.id]
        : [],
    );
    return outgrown(this.#db, tenantId, full, retention, now);
  }

  async #store(
    caller: MemberCaller | TokenCaller,
    { storing, live, secret }: Draft,
    goes: readonly OldVersion[],
    { now, rules }: Ground,
  ) {
    const { tenantId } = caller;
    const { path, write, eventType, context } = storing;
    const { value } = write;
    const version = value === undefined ? null : await this.#seal(secret, value, rules.kek, now);
    const { id: _id, tenantId: _tenant, path: _path, createdAt: _createdAt, ...changed } = secret;
    const statements: Statement[] = live
      ? [updateUnchanged(this.#db, live, changed)]
      : [this.#db.of(tenantId).insert(secrets).values(secret)];
    if (version !== null) statements.push(this.#db.of(tenantId).insert(secretVersions).values(version));
    const old = value === undefined ? [] : goes.filter(({ secretId }) => secretId === secret.id);
    statements.push(
      ...eraseVersions(
        this.#db,
        tenantId,
        old.map(({ id }) => id),
      ),
    );
    const event = secretEvent(caller, now, eventType ?? (live ? "secret.updated" : "secret.created"), path, {
      version: secret.currentVersion,
      access_tier: secret.accessTier,
      changed: Object.keys(write).filter((name) => write[name as keyof SecretWrite] !== undefined),
      ...(write.allowedHosts === undefined ? {} : { allowed_hosts: write.allowedHosts }),
      ...(write.expiresAt === undefined
        ? {}
        : { expires_at: secret.expiresAt === null ? null : new Date(secret.expiresAt).toISOString() }),
      ...(old.length === 0 ? {} : { pruned_versions: old.map((one) => one.version) }),
      ...context,
    });
    const answer = { secret, redactable: version?.redactable ?? null, created: live === undefined };
    return { statements, events: [event], answer };
  }

  async #seal(secret: SecretRow, value: Redacted, kek: string | null, now: number): Promise<VersionRow> {
    const { tenantId, path, currentVersion: version } = secret;
    const envelope = await seal(this.#parts.keys, { tenantId, path, version }, value, kek);
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
}

function draft(caller: MemberCaller | TokenCaller, storing: Storing, { at, rules, now }: Ground): Draft {
  const { path, write } = storing;
  const { live, lastVersion } = at(path);
  const settled = settle(caller, live, write, { ...rules, now });
  if (live === undefined && write.value === undefined) {
    throw new Problem("VALIDATION_ERROR", "`value`: a new secret needs one.");
  }
  const secret: SecretRow = {
    id: live?.id ?? newId("secret"),
    tenantId: caller.tenantId,
    path,
    ...settled,
    currentVersion: write.value === undefined ? (live?.currentVersion ?? lastVersion) : lastVersion + 1,
    revision: (live?.revision ?? 0) + 1,
    createdAt: live?.createdAt ?? now,
    updatedAt: now,
    expiryRecordedAt: settled.expiresAt === live?.expiresAt ? live.expiryRecordedAt : null,
    deletedAt: null,
    purgeAt: null,
    purgedAt: null,
    // A new value is what was due.
    rotationDueAt: write.value === undefined ? (live?.rotationDueAt ?? null) : null,
    rotationReason: write.value === undefined ? (live?.rotationReason ?? null) : null,
  };
  return { storing, live, secret };
}
