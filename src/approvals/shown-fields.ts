import type { ShownField, ShownFields } from "./shown-schema.ts";
import { mixedScripts, shownText } from "./shown-text.ts";

const MAX_FIELDS = 200;
const MAX_NAME = 200;
const MAX_VALUE = 1_000;
/** Of a list in all, once made visible. */
const MAX_CHARACTERS = 60_000;

/** A number as it was written: `1e3` and `1000` are one number, and two texts. */
class WrittenNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** JSON, with its numbers as they were written: for `leafText` and `shownLeaves`. Throws SyntaxError. */
export function parseExactly(text: string): unknown {
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

/** The third parameter is JSON.parse source text access (ECMA-262, 2026). */
function exact(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  return typeof value === "number" && source !== undefined ? new WrittenNumber(source) : value;
}

/** What stands at the end of a path: a text as it is, anything else as JSON writes it. Null: it is no end. */
export function leafText(value: unknown): string | null {
  if (value instanceof WrittenNumber) return value.text;
  if (typeof value === "string") return value;
  return value === null || typeof value !== "object" ? JSON.stringify(value) : null;
}

/** `share`: of how much is shown at most, 1 for all of that. */
export function shownField(name: string, value: string, share: number = 1): ShownField {
  return {
    name: shownText(name, MAX_NAME).value,
    ...shownText(value, MAX_VALUE * share),
    scripts: [...mixedScripts(value)],
  };
}

/** Pairs of name and value, in their order; `share` as in `shownField`. */
export function shownPairs(
  pairs: readonly (readonly [name: string, value: string])[],
  share: number = 1,
): ShownFields {
  const list = new FieldList(share);
  for (const [name, value] of pairs) list.add(name, value);
  return list.shown();
}

/** The first fields, as far as they fit. */
class FieldList {
  readonly #fields: ShownField[] = [];
  #more = 0;
  #left: number;

  constructor(share: number) {
    this.#left = MAX_CHARACTERS * share;
  }

  get isFull(): boolean {
    return this.#more > 0 || this.#fields.length >= MAX_FIELDS;
  }

  shown(): ShownFields {
    return { fields: this.#fields, more: this.#more };
  }

  add(name: string, value: string): void {
    const field = this.isFull ? null : shownField(name, value);
    this.#left -= field === null ? 0 : field.name.length + field.value.length;
    if (field === null || this.#left < 0) this.#more++;
    else this.#fields.push(field);
  }
}

/**
 * The ends of a JSON value by their paths, `items[0].price`, in their order; one by itself is named `$`. `share` as in
 * `shownField`.
 */
export function shownLeaves(value: unknown, share: number = 1): ShownFields {
  const list = new FieldList(share);
  const walk = (at: unknown, path: string): void => {
    const text = leafText(at);
    const children = text === null ? childrenOf(at) : [];
    if (children.length > 0) {
      for (const [step, child] of children) walk(child, list.isFull ? "" : path + step);
    } else {
      const name = path.startsWith(".") ? path.slice(1) : path === "" ? "$" : path;
      list.add(name, text ?? (Array.isArray(at) ? "[]" : "{}"));
    }
  };
  walk(value, "");
  return list.shown();
}

const PLAIN_NAME = /^[\p{L}\p{N}_$-]+$/u;

function childrenOf(value: unknown): readonly (readonly [step: string, child: unknown])[] {
  if (Array.isArray(value)) return value.map((item, index) => [`[${index}]`, item] as const);
  // A name with a dot in it is not to look like two.
  return Object.entries(value ?? {}).map(
    ([name, member]) => [PLAIN_NAME.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`, member] as const,
  );
}
