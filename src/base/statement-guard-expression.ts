import { Refused, type Token } from "./statement-guard-tokens.ts";

/** An expression: tokens, with what stands in parentheses (or between `case` and `end`) and subqueries as one item. */
export type Item =
  | Token
  | { readonly kind: "group"; readonly items: readonly Item[] }
  | { readonly kind: "case" }
  | { readonly kind: "query" };

/** Words that begin a clause and are no part of an expression. */
const CLAUSES = new Set(
  (
    "select from where group having window order limit offset union intersect except returning set values insert " +
    "update delete into join inner left right full outer cross natural on using with pragma indexed"
  ).split(" "),
);
/** What may stand in parentheses all the same: `over (order by …)`, `filter (where …)`. */
const INSIDE = new Set(["order", "where"]);

/** Reads a statement's tokens in order. */
export class Reader {
  readonly #tokens: readonly Token[];
  readonly #readQuery: () => void;
  #at = 0;

  /** `readQuery` is called where a subquery begins, and reads it up to its closing parenthesis. */
  constructor(tokens: readonly Token[], readQuery: () => void) {
    this.#tokens = tokens;
    this.#readQuery = readQuery;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** Whether the token at hand (or one further on) is that keyword or symbol. A quoted name never is. */
  is(text: string, ahead = 0): boolean {
    const token = this.#tokens[this.#at + ahead];
    return (token?.kind === "word" || token?.kind === "symbol") && token.text === text;
  }

  /** Steps over a keyword or symbol if it is there. */
  skip(text: string): boolean {
    if (!this.is(text)) return false;
    this.#at++;
    return true;
  }

  expect(...texts: readonly string[]): void {
    for (const text of texts) if (!this.skip(text)) throw new Refused(`\`${text}\` was expected`);
  }

  /** Whether a name of a table, column or alias stands here. */
  get isName(): boolean {
    const token = this.#tokens[this.#at];
    return token?.kind === "name" || (token?.kind === "word" && !CLAUSES.has(token.text));
  }

  name(): string {
    const token = this.#tokens[this.#at];
    if (!this.isName || token === undefined || !("text" in token)) throw new Refused("a name was expected");
    this.#at++;
    return token.text;
  }

  /** Names in parentheses, separated by commas. */
  names(): readonly string[] {
    this.expect("(");
    const names = [this.name()];
    while (this.skip(",")) names.push(this.name());
    this.expect(")");
    return names;
  }

  /** Expressions separated by commas. */
  expressions(): readonly (readonly Item[])[] {
    const all = [this.expression()];
    while (this.skip(",")) all.push(this.expression());
    return all;
  }

  /** Up to a comma, a closing parenthesis, the next clause or the end. */
  expression(): readonly Item[] {
    const items: Item[] = [];
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token === undefined || this.is(",") || this.is(")")) break;
      if (token.kind === "word" && CLAUSES.has(token.text)) break;
      items.push(this.#item(token));
    }
    if (items.length === 0) throw new Refused("an expression was expected");
    return items;
  }

  #item(token: Token): Item {
    if (token.kind === "word") this.#checkWord(token.text);
    this.#at++;
    if (token.kind === "word" && token.text === "case") return this.#case();
    if (token.kind !== "symbol" || token.text !== "(") return token;
    if (this.is("select")) {
      this.#readQuery();
      this.expect(")");
      return { kind: "query" };
    }
    const items: Item[] = [];
    while (!this.skip(")")) {
      const inner = this.#tokens[this.#at];
      if (inner === undefined) throw new Refused("a parenthesis is not closed");
      if (inner.kind === "word" && CLAUSES.has(inner.text) && !INSIDE.has(inner.text)) {
        throw new Refused(`\`${inner.text}\` stands inside an expression`);
      }
      items.push(this.#item(inner));
    }
    return { kind: "group", items };
  }

  #case(): Item {
    while (!this.skip("end")) {
      const inner = this.#tokens[this.#at];
      if (inner === undefined || this.is(")")) throw new Refused("a case has no end");
      if (inner.kind === "word" && CLAUSES.has(inner.text))
        throw new Refused(`\`${inner.text}\` stands inside a case`);
      this.#item(inner);
    }
    return { kind: "case" };
  }

  #checkWord(word: string): void {
    // `x in agents` reads a whole table without a `from`.
    if (word === "in" && !this.is("(", 1)) throw new Refused("`in` without parentheses");
    if (word === "is" && (this.is("distinct", 1) || (this.is("not", 1) && this.is("distinct", 2)))) {
      throw new Refused("`is distinct from`");
    }
  }
}

/** A column as an expression names it. */
export interface ColumnName {
  readonly source: string | null;
  readonly column: string;
}

/** One side of an equality that surely holds: a column or a parameter. */
export type Side = ColumnName | { readonly parameter: number };

/**
 * The equalities between columns and parameters that hold wherever the whole condition holds: parts joined by `and` at
 * its top, and nothing that stands beside an `or`.
 */
export function equalities(condition: readonly Item[]): readonly (readonly [Side, Side])[] {
  const [only] = condition;
  if (condition.length === 1 && only?.kind === "group") return equalities(only.items);
  // `x between a and b` has an `and` that joins nothing; with a comma it is no condition.
  const isPlain = !condition.some((item) => isWord(item, "or", "between") || isSymbol(item, ","));
  if (!isPlain) return [];
  const parts: Item[][] = [[]];
  for (const item of condition) {
    if (isWord(item, "and")) parts.push([]);
    else parts.at(-1)?.push(item);
  }
  if (parts.length > 1) return parts.flatMap((part) => equalities(part));
  const sign = condition.findIndex((item) => isSymbol(item, "="));
  if (sign < 0) return [];
  const [left, right] = [sideOf(condition.slice(0, sign)), sideOf(condition.slice(sign + 1))];
  return left === null || right === null ? [] : [[left, right]];
}

/** Null for what is neither a column nor a parameter by itself. */
export function sideOf(items: readonly Item[]): Side | null {
  const [first, dot, last] = items;
  if (items.length === 1 && first?.kind === "parameter") return { parameter: first.index };
  if (items.length === 1 && isNamed(first)) return { source: null, column: first.text };
  if (items.length === 3 && isNamed(first) && dot !== undefined && isSymbol(dot, ".") && isNamed(last)) {
    return { source: first.text, column: last.text };
  }
  return null;
}

function isNamed(item: Item | undefined): item is { readonly kind: "word" | "name"; readonly text: string } {
  return item?.kind === "word" || item?.kind === "name";
}

function isWord(item: Item, ...words: readonly string[]): boolean {
  return item.kind === "word" && words.includes(item.text);
}

function isSymbol(item: Item, text: string): boolean {
  return item.kind === "symbol" && item.text === text;
}
