import { and, asc, count, eq, isNull, sql } from "drizzle-orm";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { encodeCursor } from "../base/page.ts";
import type { SecretUse } from "../connections/secret-use.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { ChangeResult, TenantChanges } from "../identity/changes.ts";
import { accessTierSchema, type SecretClass, secretTypeSchema } from "./schemas.ts";
import type { SecretRow } from "./sealed-secret.ts";
import { secretEvent } from "./secret-events.ts";
import { secrets } from "./tables.ts";

/** How many secrets an answer names; the list has the others (`rotation_due=true`). */
const NAMED = 500;
/** How many the ledger's line names: it is cut at 8 KB anyway. */
const RECORDED = 100;

export interface ClassRotated extends ChangeResult {
  /** Milliseconds since 1970: tokens issued before that are refused for secrets of the class. */
  readonly revokedBefore: number;
  /** The first 500 by path. */
  readonly secrets: readonly {
    readonly secret: SecretRow;
    /** By slug; null where there are more connections than are looked through. */
    readonly connections: readonly string[] | null;
  }[];
  readonly count: number;
  readonly nextCursor: string | null;
}

/**
 * Break glass, where a class of credentials leaked: in one change every token that reaches a secret of the class is
 * refused from now on, and each of these secrets, deleted ones that could be restored among them, needs a new value.
 */
export class ClassRotation {
  readonly #db: Database;
  readonly #changes: TenantChanges;
  readonly #clock: Clock;
  readonly #secretUse: (tenantId: TenantId) => Promise<readonly SecretUse[] | null>;

  constructor(parts: {
    readonly db: Database;
    readonly changes: TenantChanges;
    readonly clock: Clock;
    /** Which secrets a tenant's connections use. */
    readonly secretUse: (tenantId: TenantId) => Promise<readonly SecretUse[] | null>;
  }) {
    this.#db = parts.db;
    this.#changes = parts.changes;
    this.#clock = parts.clock;
    this.#secretUse = parts.secretUse;
  }

  /** What is named was there just before; the mark is on whatever is there when the change is made. */
  async rotate(caller: MemberCaller, name: SecretClass, reason: string): Promise<ClassRotated> {
    const { tenantId } = caller;
    const now = this.#clock();
    const own = this.#db.of(tenantId);
    const primary = own.onPrimary();
    const inClass = isOfClass(name);
    const live = and(inClass, isNull(secrets.deletedAt));
    const [uses, [found, counted]] = await Promise.all([
      this.#secretUse(tenantId),
      primary.batch([
        primary.select().from(secrets).where(live).orderBy(asc(secrets.path)).limit(NAMED),
        primary.select({ count: count() }).from(secrets).where(live),
      ]),
    ]);
    const all = counted[0]?.count ?? 0;
    const change = await this.#changes.apply(tenantId, {
      statements: [
        own
          .update(secrets)
          .set({
            rotationDueAt: now,
            rotationReason: reason,
            // A change that was planned on the row as it was is planned again, so that it keeps the mark.
            revision: sql`${secrets.revision} + 1`,
            updatedAt: now,
          })
          .where(and(inClass, isNull(secrets.purgedAt))),
      ],
      events: [
        secretEvent(caller, now, "class.rotated", name, {
          reason,
          secrets: all,
          revoked_before: new Date(now).toISOString(),
          request_id: caller.request.requestId,
          paths: found.slice(0, RECORDED).map(({ path }) => path),
        }),
      ],
      watermarks: [{ kind: "class", key: name }],
    });
    const bySecret = uses === null ? null : slugsBySecret(uses);
    const last = found.at(-1);
    return {
      ...change,
      revokedBefore: now,
      secrets: found.map((secret) => {
        return { secret, connections: bySecret === null ? null : (bySecret.get(secret.path) ?? []) };
      }),
      count: all,
      // As the list's own (`SecretIndex.search`), which goes on from there.
      nextCursor: all > found.length && last !== undefined ? encodeCursor([last.path]) : null,
    };
  }
}

function isOfClass(name: SecretClass) {
  const tier = accessTierSchema.safeParse(name);
  return tier.success
    ? eq(secrets.accessTier, tier.data)
    : eq(secrets.secretType, secretTypeSchema.parse(name));
}

function slugsBySecret(uses: readonly SecretUse[]): ReadonlyMap<string, readonly string[]> {
  const slugs = new Map<string, string[]>();
  for (const { slug, secrets: paths } of uses) {
    for (const path of new Set(paths)) {
      const known = slugs.get(path);
      if (known === undefined) slugs.set(path, [slug]);
      else known.push(slug);
    }
  }
  return slugs;
}
