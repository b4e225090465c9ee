import { and, asc, desc, eq, isNull, lt } from "drizzle-orm";
import { z } from "zod";
import { tenantRow } from "../base/tenant-epoch.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { decodeCursor, encodeCursor, type Page } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import { secretSettings } from "../base/tenant-settings.ts";
import { rulesOf, settingsAround } from "./namespace-rules.ts";
import { keptUntil } from "./retention.ts";
import { type SealedSecret, sealedColumns, type SecretRow, toSealed } from "./sealed-secret.ts";
import { after, conditionsOf, isMatch, type SecretFilter } from "./secret-search.ts";
import { secrets, secretVersions } from "./tables.ts";

export interface FoundSecret {
  readonly secret: SecretRow;
  readonly sealed: SealedSecret;
  /**
   * Whether agents may read the plaintext: as the secret says, else its nearest namespace, else, of the standard tier,
   * its tenant, else not.
   */
  readonly readable: boolean;
}

export interface Listed<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

export interface VersionInfo {
  readonly version: number;
  readonly createdAt: number;
  readonly redactable: boolean;
  /** Milliseconds since 1970 from which on it may go; null: not before there are newer ones. */
  readonly keptUntil: number | null;
}

/** Path and, in lists that may have a path more than once, id. */
const placeCursor = z.union([z.tuple([z.string()]), z.tuple([z.string(), z.string()])]);
const versionCursor = z.tuple([z.number().int()]);

/** What there is to know of a tenant's secrets without opening them. Deleted ones are not there. */
export class SecretIndex {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** A secret with one of its versions (left out: the current one), or null. */
  async find(tenantId: TenantId, path: string, version?: number): Promise<FoundSecret | null> {
    const db = this.#db.of(tenantId);
    const [rows, tenant, around] = await db.batch([
      db
        .select(sealedColumns)
        .from(secrets)
        .innerJoin(
          secretVersions,
          and(
            eq(secretVersions.secretId, secrets.id),
            eq(secretVersions.version, version ?? secrets.currentVersion),
          ),
        )
        .where(and(isNull(secrets.deletedAt), eq(secrets.path, path))),
      db.select({ settings: tenantRow.settings }).from(tenantRow),
      settingsAround(db, path),
    ]);
    const row = rows[0];
    if (row === undefined) return null;
    const rules = rulesOf(around, tenant[0]?.settings);
    const nearest =
      row.secret.reveal ?? (row.secret.accessTier === "standard" ? rules.reveal : rules.strictReveal);
    return { secret: row.secret, sealed: toSealed(row.secret, row.version), readable: nearest === "allow" };
  }

  /** The secrets in a namespace and all below it (null: everywhere), by path. */
  list(tenantId: TenantId, namespace: string | null, page: Page): Promise<Listed<SecretRow>> {
    return this.search(tenantId, { namespace }, page);
  }

  /**
   * What a filter finds, by path. The cursor is the place of a page's last row, so that what is there all the while is
   * met exactly once, whatever comes and goes in between. Nothing but what is found says anything of the rest.
   */
  async search(tenantId: TenantId, filter: SecretFilter, page: Page): Promise<Listed<SecretRow>> {
    const place = page.cursor === undefined ? [""] : decodeCursor(page.cursor, placeCursor);
    const conditions = conditionsOf(filter);
    const found: SecretRow[] = [];
    for (let [path = "", id = ""] = place; ;) {
      const rows = await this.#db
        .of(tenantId)
        .select()
        .from(secrets)
        .where(and(conditions, after(path, id)))
        .orderBy(asc(secrets.path), asc(secrets.id))
        .limit(page.limit + 1);
      found.push(...rows.filter((row) => isMatch(filter, row)));
      const last = rows.at(-1);
      if (rows.length <= page.limit || found.length > page.limit || last === undefined) break;
      [path, id] = [last.path, filter.deleted ? last.id : ""];
    }
    return toPage(found, page.limit, ({ path, id }) => (filter.deleted ? [path, id] : [path]));
  }

  /** Whether there is any secret in a namespace or below it. */
  async isNamespace(tenantId: TenantId, namespace: string): Promise<boolean> {
    const { items } = await this.list(tenantId, namespace, { limit: 1, cursor: undefined });
    return items.length > 0;
  }

  /** A secret's versions, newest first. Throws SECRET_NOT_FOUND. */
  async versions(
    tenantId: TenantId,
    path: string,
    page: Page,
  ): Promise<Listed<VersionInfo> & { readonly currentVersion: number }> {
    const [before] =
      page.cursor === undefined ? [Number.MAX_SAFE_INTEGER] : decodeCursor(page.cursor, versionCursor);
    const db = this.#db.of(tenantId);
    const [found, tenant, rows] = await db.batch([
      db
        .select({ currentVersion: secrets.currentVersion })
        .from(secrets)
        .where(and(isNull(secrets.deletedAt), eq(secrets.path, path))),
      db.select({ settings: tenantRow.settings }).from(tenantRow),
      db
        .select({
          version: secretVersions.version,
          createdAt: secretVersions.createdAt,
          redactable: secretVersions.redactable,
        })
        .from(secretVersions)
        .innerJoin(secrets, eq(secrets.id, secretVersions.secretId))
        .where(and(isNull(secrets.deletedAt), eq(secrets.path, path), lt(secretVersions.version, before)))
        .orderBy(desc(secretVersions.version))
        .limit(page.limit + 1),
    ]);
    const secret = found[0];
    if (secret === undefined) throw new Problem("SECRET_NOT_FOUND", "There is no secret at this path.");
    const { currentVersion } = secret;
    const { version_retention: retention } = secretSettings(tenant[0]?.settings);
    const versions = rows.map((row) => ({ ...row, keptUntil: keptUntil(row, currentVersion, retention) }));
    return { ...toPage(versions, page.limit, (last) => [last.version]), currentVersion };
  }

  /** The namespaces that hold secrets themselves, by name, with the number of secrets `isVisible` lets one see. */
  async namespaces(
    tenantId: TenantId,
    isVisible: (path: string) => boolean,
  ): Promise<readonly { readonly namespace: string; readonly secrets: number }[]> {
    const rows = await this.#db
      .of(tenantId)
      .select({ path: secrets.path })
      .from(secrets)
      .where(isNull(secrets.deletedAt));
    const counts = new Map<string, number>();
    for (const { path } of rows) {
      if (!isVisible(path)) continue;
      const namespace = path.slice(0, path.lastIndexOf("/"));
      counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
    }
    return [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([namespace, count]) => ({ namespace, secrets: count }));
  }
}

function toPage<T>(
  rows: readonly T[],
  limit: number,
  key: (last: T) => readonly (string | number)[],
): Listed<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? encodeCursor(key(last)) : null };
}
