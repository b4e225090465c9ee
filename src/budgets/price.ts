import { matchesGlob } from "../base/glob.ts";
import { costOf, parseMoney, parseRate, type Rate } from "./money.ts";
import type { PriceInput } from "./schemas.ts";
import { firstNumber, type Found, modelIn, pathsOf, unitsIn, type UsagePlaces } from "./usage.ts";

/** What prices look at of a call. */
export interface PricedCall {
  readonly connection: string;
  readonly method: string;
  /** Below the connection's base URL. */
  readonly path: string;
  /** Of the connection's provider; null where the catalogue knows none. */
  readonly usage: UsagePlaces | null;
  /** A number that the call has in a field, `body.amount`; null where it has none that can be told. */
  readonly number: (field: string) => number | null;
}

/** What a call costs: `reserved` at first, and what its answer says in the end. */
export interface Price {
  readonly reserved: number;
  /** Null where it is known before. */
  readonly answer: AnswerPrice | null;
}

export interface AnswerPrice {
  /** To be looked for in the answer. */
  readonly paths: readonly string[];
  /** Null where the answer does not tell. */
  cost(found: Found): number | null;
}

type Way =
  | { readonly kind: "fixed"; readonly cost: number }
  | { readonly kind: "request"; readonly field: string; readonly rate: Rate }
  | { readonly kind: "fields"; readonly fields: readonly (readonly [string, Rate])[] }
  | { readonly kind: "models"; readonly models: readonly ModelPrices[] };

interface ModelPrices {
  readonly pattern: string;
  readonly rates: ReadonlyMap<string, Rate>;
}

/**
 * How upstreams may read a path: escaped or not. A price is not chosen by spelling, so that case and slashes behind make
 * no difference either (`isCovered`).
 */
function readings(path: string): readonly string[] {
  return path.includes("%") ? [path, decoded(path)] : [path];
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function isCovered(glob: string, path: string): boolean {
  const text = path.toLowerCase();
  const pattern = glob.toLowerCase();
  return matchesGlob(pattern, text) || matchesGlob(pattern, text.replace(/\/+$/, ""));
}

/** A rule as it was given, read. */
export class PriceRule {
  readonly #rule: PriceInput;
  readonly #way: Way;
  readonly #reserve: number;

  constructor(rule: PriceInput) {
    this.#rule = rule;
    this.#way = wayOf(rule);
    this.#reserve = moneyOf(rule.reserve ?? "0");
  }

  /** Whether any call through a connection can be covered. */
  isFor(connection: string): boolean {
    return this.#rule.connection === undefined || this.#rule.connection === connection;
  }

  /** It asks what the call says of itself. */
  get field(): string | null {
    return this.#way.kind === "request" ? this.#way.field : null;
  }

  get mindsMethod(): boolean {
    return this.#rule.methods !== undefined;
  }

  covers({ connection, method, path }: PricedCall): boolean {
    const { methods, paths } = this.#rule;
    return (
      this.isFor(connection) &&
      (methods === undefined || methods.includes(method)) &&
      (paths === undefined || readings(path).some((text) => paths.some((glob) => isCovered(glob, text))))
    );
  }

  /** Null where the call does not say, in `field`, what it has to. */
  price(call: PricedCall): Price | null {
    switch (this.#way.kind) {
      case "fixed":
        return { reserved: this.#way.cost, answer: null };
      case "request": {
        const { field, rate } = this.#way;
        const count = call.number(field);
        const cost = count === null ? null : costOf(count, rate);
        return cost === null ? null : { reserved: cost, answer: null };
      }
      case "fields": {
        const { fields } = this.#way;
        const paths = fields.map(([path]) => path);
        return { reserved: this.#reserve, answer: { paths, cost: (found) => costOfFields(found, fields) } };
      }
      case "models": {
        const { usage } = call;
        if (usage === null) return { reserved: this.#reserve, answer: null };
        const { models } = this.#way;
        const cost = (found: Found): number | null => costOfModel(found, usage, models);
        return { reserved: this.#reserve, answer: { paths: pathsOf(usage), cost } };
      }
    }
  }
}

function wayOf({ per_call: perCall, request, response }: PriceInput): Way {
  if (perCall !== undefined) return { kind: "fixed", cost: moneyOf(perCall) };
  if (request !== undefined) return { kind: "request", field: request.field, rate: rateOf(request.per_unit) };
  if (response?.fields !== undefined) {
    return {
      kind: "fields",
      fields: Object.entries(response.fields).map(([path, rate]) => [path, rateOf(rate)]),
    };
  }
  const models = Object.entries(response?.models ?? {}).map(([pattern, rates]) => ({
    pattern,
    rates: new Map(Object.entries(rates).map(([unit, rate]) => [unit, rateOf(rate)])),
  }));
  // What says more is looked at first.
  return { kind: "models", models: models.toSorted((a, b) => b.pattern.length - a.pattern.length) };
}

function costOfFields(found: Found, fields: readonly (readonly [string, Rate])[]): number | null {
  let isTold = false;
  let cost = 0;
  for (const [path, rate] of fields) {
    const count = firstNumber(found, [path]);
    if (count === null) continue;
    const part = costOf(count, rate);
    if (part === null) return null;
    isTold = true;
    cost += part;
  }
  return isTold ? cost : null;
}

/** Null where the model or one of the units that it used has no price. */
function costOfModel(found: Found, usage: UsagePlaces, models: readonly ModelPrices[]): number | null {
  const model = modelIn(found, usage);
  const units = unitsIn(found, usage);
  const priced = model === null ? undefined : models.find(({ pattern }) => matchesGlob(pattern, model));
  if (priced === undefined || units === null) return null;
  let cost = 0;
  for (const [unit, count] of units) {
    if (count === 0) continue;
    const rate = priced.rates.get(unit) ?? priced.rates.get(usage.units[unit]?.pricedAs ?? "");
    const part = rate === undefined ? null : costOf(count, rate);
    if (part === null) return null;
    cost += part;
  }
  return cost;
}

// The schema has let both through.

function moneyOf(text: string): number {
  return parseMoney(text) ?? Number.MAX_SAFE_INTEGER;
}

function rateOf(text: string): Rate {
  return parseRate(text) ?? { micros: Number.MAX_SAFE_INTEGER, per: 1 };
}
