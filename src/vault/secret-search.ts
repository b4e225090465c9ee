import { and, eq, gt, isNotNull, isNull, lt, or, type SQL, sql } from "drizzle-orm";
import { matchesGlob } from "../base/glob.ts";
import type { AccessTier, SecretType } from "./schemas.ts";
import type { SecretRow } from "./sealed-secret.ts";
import { secrets } from "./tables.ts";

/** What is looked for; what is left out restricts nothing. */
export interface SecretFilter {
  /** In it and below it. */
  readonly namespace?: string | null | undefined;
  /** Words that all stand somewhere in the path, the tags or the metadata; ASCII letters in either case. */
  readonly query?: string | undefined;
  readonly tag?: string | undefined;
  readonly type?: SecretType | undefined;
  readonly tier?: AccessTier | undefined;
  /** Milliseconds since 1970; those that never expire are not among them. */
  readonly expiresBefore?: number | undefined;
  /** Whether their class leaked and they have had no new value since. */
  readonly rotationDue?: boolean | undefined;
  /** Deleted ones that can still be restored, instead of those that are there. */
  readonly deleted?: boolean | undefined;
  /** Only paths that one of these globs matches. */
  readonly within?: readonly string[] | undefined;
}

/** Paths are unique among what is there; of deleted ones a path may have several. */
export function conditionsOf(filter: SecretFilter): SQL | undefined {
  const { deleted, expiresBefore, namespace, query, rotationDue, tag, tier, type, within } = filter;
  return and(
    deleted ? and(isNotNull(secrets.deletedAt), isNull(secrets.purgedAt)) : isNull(secrets.deletedAt),
    isWithin(namespace ?? null),
    ...(query ?? "").split(/\s+/).flatMap((word) => (word === "" ? [] : [hasWord(word)])),
    tag === undefined
      ? undefined
      : sql`exists (select 1 from json_each(${secrets.tags}) where value = ${tag})`,
    type === undefined ? undefined : eq(secrets.secretType, type),
    tier === undefined ? undefined : eq(secrets.accessTier, tier),
    expiresBefore === undefined ? undefined : lt(secrets.expiresAt, expiresBefore),
    rotationDue === undefined
      ? undefined
      : rotationDue
        ? isNotNull(secrets.rotationDueAt)
        : isNull(secrets.rotationDueAt),
    within === undefined ? undefined : mayMatch(within),
  );
}

/** A glob holds the beginning and the end of what it matches; `isMatch` looks at the rest. D1's own GLOB stops at 50 bytes. */
function mayMatch(globs: readonly string[]): SQL {
  const ends = globs.map((glob) => [glob.split("*").at(0) ?? "", glob.split("*").at(-1) ?? ""]);
  const begins = sql`substr(${secrets.path}, 1, length(value ->> 0)) = value ->> 0`;
  const closes = sql`substr(${secrets.path}, 1 + length(${secrets.path}) - length(value ->> 1)) = value ->> 1`;
  return sql`exists (select 1 from json_each(${JSON.stringify(ends)}) where ${begins} and ${closes})`;
}

export function isMatch({ within }: SecretFilter, { path }: Pick<SecretRow, "path">): boolean {
  return within === undefined || within.some((glob) => matchesGlob(glob, path));
}

/** What comes after a row in the list's order: by path, deleted ones of one path by id. */
export function after(path: string, id: string): SQL | undefined {
  if (id === "") return gt(secrets.path, path);
  return or(gt(secrets.path, path), and(eq(secrets.path, path), gt(secrets.id, sql`${id}`)));
}

/** The paths that begin with `namespace/`, as a range of the index: `0` is the character after `/`. */
export function isWithin(namespace: string | null): SQL | undefined {
  if (namespace === null) return undefined;
  return and(gt(secrets.path, `${namespace}/`), lt(secrets.path, `${namespace}0`));
}

/** As it stands in JSON; SQLite's `lower` knows ASCII only. */
function hasWord(word: string): SQL {
  const written = JSON.stringify(word)
    .slice(1, -1)
    .replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  const text = sql`lower(${secrets.path} || ' ' || ${secrets.tags} || ' ' || ${secrets.metadata})`;
  return sql`instr(${text}, ${written}) > 0`;
}
