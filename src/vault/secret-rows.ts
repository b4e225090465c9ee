import { eq, inArray, sql } from "drizzle-orm";
import type { Database, Statement } from "../base/database.ts";
import type { TenantId, VersionId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Change, ChangeResult, TenantChanges } from "../identity/changes.ts";
import type { SecretRow } from "./sealed-secret.ts";
import { secrets, secretVersions } from "./tables.ts";

/** What to do, and what to answer once it is done. */
export interface Plan<T> {
  readonly change: Change;
  readonly answer: T;
}

/** What is and was at a path. */
export interface AtPath {
  readonly live: SecretRow | undefined;
  /** Deleted ones whose versions are still there, the last deleted first. */
  readonly deleted: readonly SecretRow[];
  /** The highest version that any secret at this path had: numbers are not used again. */
  readonly lastVersion: number;
}

const NOTHING: AtPath = { live: undefined, deleted: [], lastVersion: 0 };
const ATTEMPTS = 8;
const AT_ONCE = 90;

/** D1 takes 100 parameters a statement. */
export function chunks<T>(items: readonly T[]): readonly (readonly T[])[] {
  const parts: (readonly T[])[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE) parts.push(items.slice(start, start + AT_ONCE));
  return parts;
}

/**
 * Plans a change on rows as they were read and makes it; where somebody was faster it is planned again, so that of
 * parallel changes none is lost. Throws CONFLICT where others always are.
 */
export async function commitPlanned<T>(
  changes: TenantChanges,
  tenantId: TenantId,
  plan: () => Promise<Plan<T>>,
): Promise<T & ChangeResult> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { change, answer } = await plan();
    try {
      return { ...answer, ...(await changes.apply(tenantId, change)) };
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }
  throw new Problem("CONFLICT", "Others are changing this at the same time. Try again.");
}

/** What is at these paths, as D1 has it. */
export async function readPaths(
  db: Database,
  tenantId: TenantId,
  paths: readonly string[],
): Promise<(path: string) => AtPath> {
  const found = new Map<string, AtPath>();
  for (const part of chunks(paths)) {
    const rows = await db.of(tenantId).select().from(secrets).where(inArray(secrets.path, part));
    for (const row of rows) found.set(row.path, withRow(found.get(row.path) ?? NOTHING, row));
  }
  return (path) => found.get(path) ?? NOTHING;
}

function withRow({ live, deleted, lastVersion }: AtPath, row: SecretRow): AtPath {
  const isRestorable = row.deletedAt !== null && row.purgedAt === null;
  return {
    live: row.deletedAt === null ? row : live,
    deleted: isRestorable ? [...deleted, row].toSorted(byDeletion) : deleted,
    lastVersion: Math.max(row.currentVersion, lastVersion),
  };
}

function byDeletion(a: SecretRow, b: SecretRow): number {
  return (b.deletedAt ?? 0) - (a.deletedAt ?? 0) || b.currentVersion - a.currentVersion;
}

/** Throws SECRET_NOT_FOUND. */
export async function readLive(db: Database, tenantId: TenantId, path: string): Promise<SecretRow> {
  const { live } = (await readPaths(db, tenantId, [path]))(path);
  if (live === undefined) throw new Problem("SECRET_NOT_FOUND", "There is no secret at this path.");
  return live;
}

/** Makes the whole batch fail, by a revision that is null, where the row is not the one that was read any more. */
export function updateUnchanged(db: Database, read: SecretRow, values: Partial<SecretRow>): Statement {
  const isSame = sql`${secrets.revision} = ${read.revision} and ${secrets.deletedAt} is ${read.deletedAt}`;
  return db
    .of(read.tenantId)
    .update(secrets)
    .set({ ...values, revision: sql`case when ${isSame} then ${read.revision + 1} end` })
    .where(eq(secrets.id, read.id));
}

/** Takes versions out of D1: ciphertexts and wrapped data keys. */
export function eraseVersions(db: Database, tenantId: TenantId, ids: readonly VersionId[]): Statement[] {
  return chunks(ids).map((part) =>
    db.of(tenantId).delete(secretVersions).where(inArray(secretVersions.id, part)),
  );
}

/**
 * Takes a secret's versions out of D1. Its row stays for its version numbers, with nothing else in it.
 */
export function purgeStatements(db: Database, secret: SecretRow, now: number): Statement[] {
  const emptied = {
    metadata: {},
    tags: [],
    allowedHosts: null,
    reveal: null,
    expiresAt: null,
    purgeAt: null,
    rotationDueAt: null,
    rotationReason: null,
  };
  return [
    updateUnchanged(db, secret, { ...emptied, deletedAt: secret.deletedAt ?? now, purgedAt: now }),
    db.of(secret.tenantId).delete(secretVersions).where(eq(secretVersions.secretId, secret.id)),
  ];
}

/** Whether a batch failed because someone else was faster: both made the same row, or a row is not the one read. */
export function isConflict(error: unknown): boolean {
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
