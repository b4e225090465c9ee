import type { BatchItem } from "drizzle-orm/batch";
import { drizzle, DrizzleD1Database } from "drizzle-orm/d1";
import { SQLiteD1Session } from "drizzle-orm/d1/session";
import type { SQLiteInsertBase, SQLiteInsertValue, SQLiteTable } from "drizzle-orm/sqlite-core";
import type { TenantId } from "./ids.ts";
import { type Jurisdiction, jurisdictionOf } from "./jurisdiction.ts";
import { Problem } from "./problem.ts";
import { GuardedDatabase } from "./statement-guard.ts";
import { TenantDialect } from "./tenant-dialect.ts";

/** One statement of an atomic D1 batch. */
export type Statement = BatchItem<"sqlite">;

type Drizzle = DrizzleD1Database<Record<string, never>>;

/** A row to insert; which tenant's it is need not be said. */
type NewRow<T extends SQLiteTable> = Omit<SQLiteInsertValue<T>, "tenantId"> & {
  readonly tenantId?: TenantId;
};

/**
 * One tenant's rows, and nobody else's. Whose they are need not be said: the condition on `tenant_id` is added to every
 * select, join, update and delete, the column to every insert. What is written in SQL by hand (`sql`, `$client`) says
 * `tenant_id = ?` itself, or throws INTERNAL before it is run (statement-guard.ts).
 */
export interface TenantDatabase extends Pick<
  Drizzle,
  "select" | "selectDistinct" | "update" | "delete" | "batch"
> {
  insert<T extends SQLiteTable>(
    table: T,
  ): { values(rows: NewRow<T> | NewRow<T>[]): SQLiteInsertBase<T, "async", D1Result> };
  /** For SQL by hand. */
  readonly $client: D1Database;
  /** The same rows, read from the primary. */
  onPrimary(): TenantDatabase;
}

/**
 * The door to D1. There is no way to query from here: a query is some tenant's (`of`), or its maker says aloud why it
 * is nobody's in particular. Each such reason stands in a list that a test compares with the code.
 */
export interface Database {
  /** Where there are databases: null and each jurisdiction that has one. */
  readonly jurisdictions: readonly (Jurisdiction | null)[];
  /** In the tenant's jurisdiction. Throws MISCONFIGURED where that has no database. */
  of(tenantId: TenantId): TenantDatabase;
  /** The rows of every tenant of a jurisdiction, or of those that have none. `reason` is for the reader. */
  acrossTenants(reason: string, jurisdiction?: Jurisdiction | null): Drizzle;
}

/** The Worker's D1 bindings. A tenant with a jurisdiction lives in that one's database, entirely. */
export interface DatabaseBindings {
  readonly DB: D1Database;
  readonly DB_EU?: D1Database;
  readonly DB_FEDRAMP?: D1Database;
}

export function openDatabase({ DB, DB_EU, DB_FEDRAMP }: DatabaseBindings): Database {
  const places = new Map<Jurisdiction | null, D1Database>([[null, DB]]);
  if (DB_EU !== undefined) places.set("eu", DB_EU);
  if (DB_FEDRAMP !== undefined) places.set("fedramp", DB_FEDRAMP);
  const at = (jurisdiction: Jurisdiction | null): D1Database => {
    const d1 = places.get(jurisdiction);
    if (d1 !== undefined) return d1;
    throw new Problem("MISCONFIGURED", `This deployment has no database in "${jurisdiction}".`);
  };
  return {
    jurisdictions: [...places.keys()],
    of: (tenantId) => openTenant(at(jurisdictionOf(tenantId)), tenantId),
    acrossTenants: (_reason, jurisdiction = null) => drizzle(at(jurisdiction), { casing: "snake_case" }),
  };
}

function openTenant(d1: D1Database | D1DatabaseSession, tenantId: TenantId): TenantDatabase {
  const client = new GuardedDatabase(d1, tenantId);
  const dialect = new TenantDialect(tenantId);
  const session = new SQLiteD1Session<Record<string, never>, Record<string, never>>(
    client,
    dialect,
    undefined,
  );
  const db: Drizzle = new DrizzleD1Database<Record<string, never>>("async", dialect, session, undefined);
  const onPrimary = (): TenantDatabase => {
    if (!("withSession" in d1)) throw new TypeError("it is on the primary already");
    return openTenant(d1.withSession("first-primary"), tenantId);
  };
  return Object.assign(db, { $client: client, onPrimary }) as unknown as TenantDatabase;
}
