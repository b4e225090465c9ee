import { type Item, Reader, type Side, sideOf } from "./statement-guard-expression.ts";
import { Scope, type Source } from "./statement-guard-scope.ts";
import { Refused, tokensOf } from "./statement-guard-tokens.ts";

/** The parameters of a statement that hold each table it touches to one tenant: every one must be bound to it. */
export type Pins = readonly number[];

/** Every table is a tenant's, and has this column; the tenants' own has its id. */
export function tenantColumnOf(table: string): string {
  return table === "tenants" ? "id" : "tenant_id";
}

const TABLE_FUNCTIONS = new Set(["json_each", "json_tree"]);

/**
 * Reads a statement and tells how each table in it is held to one tenant. Throws Refused for a statement in which one
 * is not, and for whatever it does not understand:
 *
 * - every table of a `from`, `join`, `update` or `delete`, in subqueries too, needs `tenant_id = ?` in its own `where`
 *   (or inner `on`) and not beside an `or`, or must equal one that has it; the parameter, not a literal;
 * - an `insert` names `tenant_id` and gives it a parameter in every row; an upsert cannot meet another tenant's row;
 * - nobody sets `tenant_id`; nothing replaces rows; no comments, no second statement, no pragma, no other schema.
 */
export function pinsOf(text: string): Pins {
  return new Shape(text).pins();
}

class Shape {
  readonly #pins = new Set<number>();
  readonly #derived = new Set<string>();
  readonly #reader: Reader;

  constructor(text: string) {
    this.#reader = new Reader(tokensOf(text), () => this.#select());
  }

  pins(): Pins {
    const reader = this.#reader;
    if (reader.skip("with")) this.#commonTables();
    if (reader.is("select")) this.#select();
    else if (reader.skip("insert")) this.#insert();
    else if (reader.skip("update")) this.#update();
    else if (reader.skip("delete")) this.#delete();
    else throw new Refused("it is no select, insert, update or delete");
    if (!reader.isAtEnd) throw new Refused("it goes on where it should end");
    return [...this.#pins];
  }

  #commonTables(): void {
    const reader = this.#reader;
    do {
      const name = reader.name();
      if (name === "recursive") throw new Refused("it is recursive");
      if (reader.is("(")) reader.names();
      reader.expect("as", "(");
      this.#select();
      reader.expect(")");
      // Not before: inside itself the name is taken for a table's.
      this.#derived.add(name);
    } while (reader.skip(","));
  }

  #select(): void {
    const reader = this.#reader;
    do this.#core();
    while (this.#compound());
    if (reader.skip("order")) {
      reader.expect("by");
      reader.expressions();
    }
    if (reader.skip("limit")) {
      reader.expression();
      if (reader.skip("offset")) reader.expression();
    }
  }

  #compound(): boolean {
    const reader = this.#reader;
    if (!reader.skip("union")) return reader.skip("intersect") || reader.skip("except");
    reader.skip("all");
    return true;
  }

  /** Answers what is selected and whether a column of it is held to the tenant. */
  #core(): {
    readonly results: readonly (readonly Item[])[];
    readonly isHeld: (column: Side | null) => boolean;
  } {
    const reader = this.#reader;
    reader.expect("select");
    reader.skip("distinct");
    const results = reader.expressions();
    const scope = new Scope(this.#pins);
    if (reader.skip("from")) this.#sources(scope);
    if (reader.skip("where")) scope.require(reader.expression());
    if (reader.skip("group")) {
      reader.expect("by");
      reader.expressions();
    }
    if (reader.skip("having")) reader.expression();
    scope.check();
    return { results, isHeld: (side) => side !== null && "column" in side && scope.isHeld(side) };
  }

  #sources(scope: Scope): void {
    const reader = this.#reader;
    scope.add(this.#source());
    for (;;) {
      if (reader.skip(",")) {
        scope.add(this.#source());
        continue;
      }
      const isLeft = reader.skip("left");
      if (isLeft) reader.skip("outer");
      else reader.skip("inner");
      if (!isLeft && !reader.is("join")) return;
      reader.expect("join");
      const source = this.#source();
      scope.add(source);
      if (reader.skip("on")) scope.require(reader.expression(), isLeft ? source : null);
    }
  }

  #source(): Source {
    const reader = this.#reader;
    if (reader.skip("(")) {
      this.#select();
      reader.expect(")");
      return { alias: this.#alias() ?? "", column: null };
    }
    const name = reader.name();
    if (TABLE_FUNCTIONS.has(name)) {
      reader.expect("(");
      reader.expressions();
      reader.expect(")");
      return { alias: this.#alias() ?? name, column: null };
    }
    const column = this.#derived.has(name) ? null : tenantColumnOf(name);
    return { alias: this.#alias() ?? name, column };
  }

  #alias(): string | null {
    const reader = this.#reader;
    if (reader.skip("as")) return reader.name();
    return reader.isName ? reader.name() : null;
  }

  /** The one table that an update or delete changes. */
  #target(): Source & { readonly column: string } {
    const name = this.#reader.name();
    return { column: tenantColumnOf(name), alias: this.#reader.skip("as") ? this.#reader.name() : name };
  }

  #insert(): void {
    const reader = this.#reader;
    if (reader.skip("or")) reader.expect("ignore");
    reader.expect("into");
    const target = this.#target();
    const columns = reader.names();
    const at = columns.indexOf(target.column);
    if (at < 0 || columns.lastIndexOf(target.column) !== at) throw new Refused("a row gets no tenant");
    if (reader.skip("values")) {
      do {
        reader.expect("(");
        this.#give(reader.expressions(), columns.length, at, () => false);
        reader.expect(")");
      } while (reader.skip(","));
    } else {
      const { results, isHeld } = this.#core();
      this.#give(results, columns.length, at, isHeld);
    }
    while (reader.skip("on")) this.#conflict(target);
    this.#returning();
  }

  #give(
    values: readonly (readonly Item[])[],
    columns: number,
    at: number,
    isHeld: (side: Side | null) => boolean,
  ): void {
    if (values.length !== columns) throw new Refused("a row has other columns than it names");
    const side = sideOf(values[at] ?? []);
    if (side !== null && "parameter" in side) this.#pins.add(side.parameter);
    else if (!isHeld(side)) throw new Refused("a row's tenant is no parameter");
  }

  #conflict(target: Source & { readonly column: string }): void {
    const reader = this.#reader;
    reader.expect("conflict");
    const isOwn = reader.is("(") && reader.names().includes(target.column);
    if (reader.skip("where")) reader.expression();
    reader.expect("do");
    if (reader.skip("nothing")) return;
    reader.expect("update");
    this.#set(target);
    // Beside `excluded`, so that the column has to be the table's.
    const scope = new Scope(this.#pins);
    scope.add(isOwn ? { ...target, column: null } : target);
    scope.add({ alias: "excluded", column: null });
    if (reader.skip("where")) scope.require(reader.expression());
    scope.check();
  }

  #update(): void {
    const reader = this.#reader;
    const target = this.#target();
    this.#set(target);
    const scope = new Scope(this.#pins);
    scope.add(target);
    if (reader.skip("from")) this.#sources(scope);
    this.#change(scope);
  }

  #set(target: { readonly column: string }): void {
    const reader = this.#reader;
    reader.expect("set");
    do {
      if (reader.name() === target.column) throw new Refused("a row would change its tenant");
      reader.expect("=");
      reader.expression();
    } while (reader.skip(","));
  }

  #delete(): void {
    this.#reader.expect("from");
    const scope = new Scope(this.#pins);
    scope.add(this.#target());
    this.#change(scope);
  }

  #change(scope: Scope): void {
    if (this.#reader.skip("where")) scope.require(this.#reader.expression());
    this.#returning();
    scope.check();
  }

  #returning(): void {
    if (this.#reader.skip("returning")) this.#reader.expressions();
  }
}
