import { and, eq, getTableColumns, getTableName, is, Param, type SQL, sql, Table } from "drizzle-orm";
import { SQLiteAsyncDialect } from "drizzle-orm/sqlite-core/dialect";
import type { TenantId } from "./ids.ts";
import { tenantColumnOf } from "./statement-guard-shape.ts";

type Built<K extends "buildSelectQuery" | "buildUpdateQuery" | "buildDeleteQuery" | "buildInsertQuery"> =
  Parameters<SQLiteAsyncDialect[K]>[0];

/** Writes one tenant's statements: its id stands in every row that is written and beside every condition. */
export class TenantDialect extends SQLiteAsyncDialect {
  readonly #tenantId: TenantId;

  /** `casing` matches drizzle.config.ts, from which migrations are generated. */
  constructor(tenantId: TenantId) {
    super({ casing: "snake_case" });
    this.#tenantId = tenantId;
  }

  override buildSelectQuery(config: Built<"buildSelectQuery">): SQL {
    const joins = config.joins?.map((join) => ({ ...join, on: this.#own(join.table, join.on) }));
    const where = this.#own(config.table, config.where);
    const conditions = { ...(where ? { where } : {}), ...(joins ? { joins } : {}) };
    return super.buildSelectQuery({ ...config, ...conditions });
  }

  override buildUpdateQuery(config: Built<"buildUpdateQuery">): SQL {
    return super.buildUpdateQuery({ ...config, where: this.#own(config.table, config.where) });
  }

  override buildDeleteQuery(config: Built<"buildDeleteQuery">): SQL {
    return super.buildDeleteQuery({ ...config, where: this.#own(config.table, config.where) });
  }

  override buildInsertQuery(config: Built<"buildInsertQuery">): SQL {
    const found = tenantColumn(config.table);
    if (found === null || !Array.isArray(config.values)) return super.buildInsertQuery(config);
    const [key, column] = found;
    const values = config.values.map((row) => ({ [key]: new Param(this.#tenantId, column), ...row }));
    return super.buildInsertQuery({ ...config, values });
  }

  /** The tenant's rows of a table. What is no table is left to the guard: no rows of another tenant are in it. */
  #own(table: unknown, condition: SQL | undefined): SQL | undefined {
    const found = is(table, Table) ? tenantColumn(table) : null;
    // In parentheses: it may have an `or` of its own.
    const inner = condition === undefined ? undefined : sql`(${condition})`;
    return found === null ? inner : and(eq(found[1], this.#tenantId), inner);
  }
}

/** A table's column with the tenant's id, by its key. */
function tenantColumn(table: Table) {
  const key = tenantColumnOf(getTableName(table)) === "id" ? "id" : "tenantId";
  const column = getTableColumns(table)[key];
  return column === undefined ? null : ([key, column] as const);
}
