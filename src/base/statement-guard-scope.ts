import { type ColumnName, equalities, type Item, type Side } from "./statement-guard-expression.ts";
import { Refused } from "./statement-guard-tokens.ts";

/** What a query reads from: a table, or (null) rows that are held to the tenant already or are nobody's. */
export interface Source {
  readonly alias: string;
  readonly column: string | null;
}

/** The tables of one `from` and what its conditions say of their tenants. */
export class Scope {
  readonly #pins: Set<number>;
  readonly #sources: Source[] = [];
  readonly #conditions: { readonly condition: readonly Item[]; readonly only: Source | null }[] = [];
  readonly #held = new Set<Source>();

  /** The parameters that hold its tables go into `pins`. */
  constructor(pins: Set<number>) {
    this.#pins = pins;
  }

  add(source: Source): void {
    if (this.#sources.some(({ alias }) => alias === source.alias))
      throw new Refused("two tables have one name");
    this.#sources.push(source);
  }

  /** What holds for every row; of a left join's `on`, for `only` that join's table. */
  require(condition: readonly Item[], only: Source | null = null): void {
    this.#conditions.push({ condition, only });
  }

  /** Throws Refused where one of its tables is not held to one tenant. */
  check(): void {
    const links: (readonly [from: Source, to: Source])[] = [];
    for (const { condition, only } of this.#conditions) {
      for (const [left, right] of equalities(condition)) {
        this.#equal(left, right, only, links);
        this.#equal(right, left, only, links);
      }
    }
    for (let before = -1; before < this.#held.size;) {
      before = this.#held.size;
      for (const [from, to] of links) if (this.#held.has(from)) this.#held.add(to);
    }
    if (this.#sources.some((source) => source.column !== null && !this.#held.has(source))) {
      throw new Refused("a table is not held to one tenant");
    }
  }

  /** Once checked: whether that column is the tenant of one of its tables. */
  isHeld(name: ColumnName): boolean {
    return this.#find(name) !== null;
  }

  #equal(to: Side, by: Side, only: Source | null, links: (readonly [Source, Source])[]): void {
    const source = "column" in to ? this.#find(to) : null;
    if (source === null || (only !== null && only !== source)) return;
    if ("parameter" in by) {
      this.#held.add(source);
      this.#pins.add(by.parameter);
      return;
    }
    const other = this.#find(by);
    if (other !== null) links.push([other, source]);
  }

  /** The table of which it is the tenant column; without a table's name only where there is but one table. */
  #find({ source: alias, column }: ColumnName): Source | null {
    const [first, ...others] = this.#sources;
    const only = others.length === 0 ? first : undefined;
    const found = alias === null ? only : this.#sources.find((source) => source.alias === alias);
    return found !== undefined && found.column === column ? found : null;
  }
}
