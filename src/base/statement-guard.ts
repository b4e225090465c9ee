import { BoundedCache } from "./cache.ts";
import type { TenantId } from "./ids.ts";
import { Problem } from "./problem.ts";
import { type Pins, pinsOf } from "./statement-guard-shape.ts";
import { Refused, shapeOf } from "./statement-guard-tokens.ts";

/** What was found out about a statement's text: a lookup for one that came before. */
const known = new BoundedCache<string, Pins | Refused>(1_000);

/** Throws INTERNAL, and tells the operator the statement's shape, never a value. */
function refuse(text: string, why: string): never {
  console.error(JSON.stringify({ at: "statement-guard", refused: why, statement: shapeOf(text) }));
  throw new Problem("INTERNAL", "A statement without its tenant was not run.");
}

function pinsFor(text: string): Pins {
  let found = known.get(text);
  if (found === undefined) {
    try {
      found = pinsOf(text);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      found = error;
    }
    known.set(text, found);
  }
  return found instanceof Refused ? refuse(text, found.message) : found;
}

/**
 * D1 has no row-level security. This is a D1 binding (or a session of one) that runs one tenant's statements only,
 * whoever wrote them: each table in a statement is held to a tenant by a bound parameter (`pinsOf`), and each such
 * parameter is this tenant. All else throws INTERNAL before D1 hears of it (attack 73).
 */
export class GuardedDatabase implements D1Database {
  readonly #d1: D1Database | D1DatabaseSession;
  readonly #tenantId: TenantId;

  constructor(d1: D1Database | D1DatabaseSession, tenantId: TenantId) {
    this.#d1 = d1;
    this.#tenantId = tenantId;
  }

  prepare(text: string): D1PreparedStatement {
    const pins = pinsFor(text);
    return new GuardedStatement(this.#d1.prepare(text), { text, pins, tenantId: this.#tenantId });
  }

  batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    return this.#d1.batch<T>(statements.map((statement) => GuardedStatement.open(statement, this.#tenantId)));
  }

  exec(text: string): Promise<never> {
    return refuse(text, "it takes no parameters");
  }

  dump(): Promise<never> {
    return refuse("", "a dump is every tenant's");
  }

  withSession(constraint?: string): D1DatabaseSession {
    if (!("withSession" in this.#d1)) throw new Problem("INTERNAL", "A session has no sessions.");
    const session = this.#d1.withSession(constraint);
    const guarded = new GuardedDatabase(session, this.#tenantId);
    return {
      prepare: (text) => guarded.prepare(text),
      batch: (statements) => guarded.batch(statements),
      getBookmark: () => session.getBookmark(),
    };
  }
}

interface Guard {
  readonly text: string;
  readonly pins: Pins;
  readonly tenantId: TenantId;
}

/** A statement that is run only once its tenant is bound to it. */
class GuardedStatement implements D1PreparedStatement {
  readonly #statement: D1PreparedStatement;
  readonly #guard: Guard;
  readonly #isBound: boolean;

  constructor(statement: D1PreparedStatement, guard: Guard, isBound = guard.pins.length === 0) {
    this.#statement = statement;
    this.#guard = guard;
    this.#isBound = isBound;
  }

  /** What is behind a statement that may run for this tenant. */
  static open(statement: D1PreparedStatement, tenantId: TenantId): D1PreparedStatement {
    if (!(#guard in statement))
      return refuse("", "a batch holds a statement that did not come through the guard");
    if (statement.#guard.tenantId !== tenantId)
      return refuse(statement.#guard.text, "a batch is of two tenants");
    return statement.#checked;
  }

  bind(...values: unknown[]): D1PreparedStatement {
    const { pins, tenantId, text } = this.#guard;
    if (!pins.every((index) => values[index - 1] === tenantId))
      return refuse(text, "it is bound to another tenant");
    return new GuardedStatement(this.#statement.bind(...values), this.#guard, true);
  }

  first<T = unknown>(column: string): Promise<T | null>;
  first<T = Record<string, unknown>>(): Promise<T | null>;
  first<T>(column?: string): Promise<T | null> {
    return column === undefined ? this.#checked.first<T>() : this.#checked.first<T>(column);
  }

  run<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.#checked.run<T>();
  }

  all<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.#checked.all<T>();
  }

  raw<T = unknown[]>(options: { columnNames: true }): Promise<[string[], ...T[]]>;
  raw<T = unknown[]>(options?: { columnNames?: false }): Promise<T[]>;
  raw<T>(options?: { columnNames?: boolean }): Promise<T[] | [string[], ...T[]]> {
    return options?.columnNames === true
      ? this.#checked.raw<T>({ columnNames: true })
      : this.#checked.raw<T>({ columnNames: false });
  }

  get #checked(): D1PreparedStatement {
    return this.#isBound ? this.#statement : refuse(this.#guard.text, "nothing is bound to it");
  }
}
