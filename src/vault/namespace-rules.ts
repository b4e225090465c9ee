import { type SQL, sql } from "drizzle-orm";
import type { Database, TenantDatabase } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { tenantRow } from "../base/tenant-epoch.ts";
import {
  APPROVAL_DELAY_SECONDS,
  type SecretSettings,
  secretSettings,
  type StoredSecretSettings,
} from "../base/tenant-settings.ts";
import type { AccessTier } from "./schemas.ts";
import { namespaceSettings } from "./tables.ts";

export type NamespaceRow = typeof namespaceSettings.$inferSelect;
/** What a namespace says itself; null: nothing. */
export type OwnRules = Pick<NamespaceRow, "tierDefault" | "reveal" | "kek" | "approvalDelaySeconds">;

/** What holds in a namespace: of each rule, as the nearest says that says anything, the tenant at last. */
export interface NamespaceRules {
  readonly tierDefault: AccessTier;
  readonly reveal: "allow" | "deny";
  /** The same for what is above the standard tier, where the tenant's word does not count. */
  readonly strictReveal: "allow" | "deny";
  /** Null: the tenant's own key. */
  readonly kek: string | null;
  /** From the last approval of what reaches a critical secret in it until that can be used. */
  readonly approvalDelaySeconds: number;
}

/** A tenant's settings as they lie in its row. */
export type StoredSettings = StoredSecretSettings & { readonly reveal: "allow" | "deny" };

/** The settings of the namespaces that a path is in. */
export function settingsAround(db: Pick<TenantDatabase, "select">, path: string) {
  return db.select().from(namespaceSettings).where(isAround(path));
}

/** Whether `path` is in the namespace of a row of `namespaceSettings`. */
export function isAround(path: string | SQL): SQL {
  const { namespace } = namespaceSettings;
  return sql`substr(${path}, 1, length(${namespace}) + 1) = ${namespace} || '/'`;
}

export function rulesOf(around: readonly NamespaceRow[], tenant: StoredSettings | undefined): NamespaceRules {
  const nearestFirst = around.toSorted((a, b) => b.namespace.length - a.namespace.length);
  const nearest = <K extends keyof OwnRules>(rule: K): OwnRules[K] =>
    nearestFirst.find((row) => row[rule] !== null)?.[rule] ?? null;
  return {
    tierDefault: nearest("tierDefault") ?? secretSettings(tenant).tier_default,
    reveal: nearest("reveal") ?? tenant?.reveal ?? "deny",
    strictReveal: nearest("reveal") ?? "deny",
    kek: nearest("kek"),
    approvalDelaySeconds: nearest("approvalDelaySeconds") ?? APPROVAL_DELAY_SECONDS,
  };
}

/** What holds for what is written at a path. */
export async function readRules(
  db: Database,
  tenantId: TenantId,
  path: string,
): Promise<{ readonly rules: NamespaceRules; readonly settings: SecretSettings }> {
  const own = db.of(tenantId);
  const [tenant, around] = await own.batch([
    own.select({ settings: tenantRow.settings }).from(tenantRow),
    settingsAround(own, path),
  ]);
  const stored = tenant[0]?.settings;
  return { rules: rulesOf(around, stored), settings: secretSettings(stored) };
}
