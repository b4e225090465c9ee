import { and, eq, gt, isNotNull, isNull, lt, ne, sql } from "drizzle-orm";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { tenantRow } from "../base/tenant-epoch.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { ChangeResult } from "../identity/changes.ts";
import {
  isAround,
  type NamespaceRow,
  type NamespaceRules,
  type OwnRules,
  rulesOf,
  settingsAround,
  type StoredSettings,
} from "./namespace-rules.ts";
import { secretEvent } from "./secret-events.ts";
import { isWithin } from "./secret-search.ts";
import { namespaceSettings, secrets } from "./tables.ts";
import type { VaultParts } from "./vault-parts.ts";

const NONE: OwnRules = { tierDefault: null, reveal: null, kek: null, approvalDelaySeconds: null };

/** A namespace with what it says itself and what holds in it. */
export interface Namespace {
  readonly namespace: string;
  readonly own: OwnRules;
  readonly effective: NamespaceRules;
}

function ownOf({ tierDefault, reveal, kek, approvalDelaySeconds }: NamespaceRow): OwnRules {
  return { tierDefault, reveal, kek, approvalDelaySeconds };
}

/** What was known of a namespace before a change. */
interface Held extends Namespace {
  readonly isSet: boolean;
  readonly with: (own: OwnRules) => NamespaceRules;
}

/** What namespaces say of the secrets in them. A namespace needs no secrets for that. */
export class Namespaces {
  readonly #parts: VaultParts;

  constructor(parts: VaultParts) {
    this.#parts = parts;
  }

  async get(tenantId: TenantId, namespace: string): Promise<Namespace> {
    const { own, effective } = await this.#read(tenantId, namespace);
    return { namespace, own, effective };
  }

  /** Those that say anything, by name. */
  list(tenantId: TenantId): Promise<readonly NamespaceRow[]> {
    return this.#db.of(tenantId).select().from(namespaceSettings).orderBy(namespaceSettings.namespace);
  }

  /** Replaces what a namespace says. Throws APPROVAL_REQUIRED (`checkReveal`). */
  async put(
    caller: MemberCaller,
    namespace: string,
    own: OwnRules,
  ): Promise<{ readonly namespace: Namespace } & ChangeResult> {
    const { tenantId } = caller;
    const held = await this.#read(tenantId, namespace);
    await this.#checkReveal(tenantId, held, own);
    const now = this.#parts.clock();
    const db = this.#db.of(tenantId);
    const change = await this.#parts.changes.apply(tenantId, {
      statements: [
        db.delete(namespaceSettings).where(eq(namespaceSettings.namespace, namespace)),
        db.insert(namespaceSettings).values({ namespace, ...own, updatedAt: now }),
      ],
      events: [
        secretEvent(caller, now, "namespace.updated", namespace, {
          tier_default: own.tierDefault,
          reveal: own.reveal,
          kek: own.kek,
          approval_delay_seconds: own.approvalDelaySeconds,
        }),
      ],
    });
    return { namespace: { namespace, own, effective: held.with(own) }, ...change };
  }

  /** What holds around it holds in it again. Throws NOT_FOUND where it says nothing, APPROVAL_REQUIRED as `put`. */
  async remove(caller: MemberCaller, namespace: string): Promise<ChangeResult> {
    const { tenantId } = caller;
    const held = await this.#read(tenantId, namespace);
    if (!held.isSet) throw new Problem("NOT_FOUND", "This namespace has no settings of its own.");
    await this.#checkReveal(tenantId, held, NONE);
    return this.#parts.changes.apply(tenantId, {
      statements: [
        this.#db.of(tenantId).delete(namespaceSettings).where(eq(namespaceSettings.namespace, namespace)),
      ],
      events: [secretEvent(caller, this.#parts.clock(), "namespace.reset", namespace, {})],
    });
  }

  get #db(): Database {
    return this.#parts.db;
  }

  async #read(tenantId: TenantId, namespace: string): Promise<Held> {
    const db = this.#db.of(tenantId);
    const [tenant, around] = await db.batch([
      db.select({ settings: tenantRow.settings }).from(tenantRow),
      // Of any path in it.
      settingsAround(db, `${namespace}/-`),
    ]);
    const stored: StoredSettings | undefined = tenant[0]?.settings;
    const own = around.find((row) => row.namespace === namespace);
    const others = around.filter((row) => row !== own);
    const effectiveWith = (rules: OwnRules): NamespaceRules =>
      rulesOf([...others, { tenantId, namespace, ...rules, updatedAt: 0 }], stored);
    return {
      namespace,
      own: own === undefined ? NONE : ownOf(own),
      isSet: own !== undefined,
      effective: rulesOf(around, stored),
      with: effectiveWith,
    };
  }

  /**
   * Nobody alone lets agents read what is above the standard tier by a word about its namespace (attack 91): neither
   * where new secrets are of such a tier, nor where one is there that says nothing itself.
   */
  async #checkReveal(tenantId: TenantId, held: Held, own: OwnRules): Promise<void> {
    const next = held.with(own);
    if (next.strictReveal !== "allow" || held.effective.strictReveal === "allow") return;
    const isStrict = [held.effective, next].some(({ tierDefault }) => tierDefault !== "standard");
    if (!isStrict && !(await this.#opensStrict(tenantId, held.namespace))) return;
    throw new Problem(
      "APPROVAL_REQUIRED",
      "Letting agents read secrets above the standard tier needs a second person.",
      { why: "Allow reading where there are standard secrets only, or leave `reveal` as it is." },
    );
  }

  /** Whether a secret above the standard tier goes by what this namespace says of `reveal`. */
  async #opensStrict(tenantId: TenantId, namespace: string): Promise<boolean> {
    const db = this.#db.of(tenantId);
    const nearer = and(
      isAround(sql`${secrets.path}`),
      isNotNull(namespaceSettings.reveal),
      gt(namespaceSettings.namespace, `${namespace}/`),
      lt(namespaceSettings.namespace, `${namespace}0`),
    );
    const held = sql`select 1 from ${namespaceSettings} where ${namespaceSettings.tenantId} = ${tenantId}`;
    const rows = await db
      .select({ id: secrets.id })
      .from(secrets)
      .where(
        and(
          // Deleted ones, too: they could be restored afterwards.
          isNull(secrets.purgedAt),
          isNull(secrets.reveal),
          ne(secrets.accessTier, "standard"),
          isWithin(namespace),
          sql`not exists (${held} and ${nearer})`,
        ),
      )
      .limit(1);
    return rows.length > 0;
  }
}
