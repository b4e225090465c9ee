import type { Parameters, RequestView } from "../policies/request-view.ts";
import {
  type Binding,
  EACH,
  isBound,
  isRelated,
  segmentsOfName,
  squash,
  squashed,
  squashedBinding,
} from "./binding.ts";
import type { PathValues } from "./path-template.ts";

/** What stands in a field; `why` it cannot be told. */
export type FieldRead =
  | {
      readonly kind: "values";
      /** Of JSON anything but null, of the rest texts. */
      readonly values: readonly unknown[];
      /** Some items of a list have none. */
      readonly isPartial: boolean;
      /** They come from JSON, which tells a number from a text. */
      readonly isTyped: boolean;
    }
  | { readonly kind: "missing" }
  | { readonly kind: "bad"; readonly why: string };

/** More fields or items than that are not looked through: each is held against every constraint. */
const MAX_NAMES = 1_000;
const MAX_VALUES = 1_000;
const MAX_NAME = 512;
/** Members of nested objects, over all constraints: each is looked at for other spellings (attack 88). */
const MAX_LOOKS = 20_000;

/** Bodies in which no reader looks for fields. */
const OPAQUE = /^(?:application\/(?:octet-stream|pdf|zip|gzip)|image\/|audio\/|video\/)/i;

const MISSING: FieldRead = { kind: "missing" };
const TOO_MANY = bad(
  `cannot be told among more than ${MAX_NAMES} fields, or names of more than ${MAX_NAME} characters`,
);

interface Named {
  readonly name: string;
  readonly segments: readonly string[];
  readonly squashed: readonly string[];
}

function bad(why: string): Extract<FieldRead, { kind: "bad" }> {
  return { kind: "bad", why };
}

/**
 * Reads the fields of one call so that nobody can read them otherwise: a field that also stands there under a name that
 * a less exact reader would take for it, in the query as well as in the body, is bad.
 */
export class CallFields {
  readonly #view: RequestView;
  readonly #path: PathValues;
  readonly #names = new Map<Parameters, readonly Named[] | null>();
  readonly #looks: Looks = { left: MAX_LOOKS };

  constructor(view: RequestView, path: PathValues) {
    this.#view = view;
    this.#path = path;
  }

  read(binding: Binding): FieldRead {
    return this.#plain(this.#find(binding));
  }

  #find(binding: Binding): FieldRead {
    const [name = ""] = binding.segments;
    switch (binding.place) {
      case "path":
        return one(this.#path[name]);
      case "header":
        return this.#header(name);
      case "query":
        return this.#elsewhere(this.#bodyNames(), binding) ?? this.#parameters(this.#view.query, binding);
      case "body":
        return this.#elsewhere(this.#named(this.#view.query), binding) ?? this.#body(binding);
    }
  }

  /** The names of the outermost fields of the body and the query, as `only_fields` lists them; or why not. */
  outermost(): readonly string[] | string {
    const query = this.#named(this.#view.query);
    const body = this.#bodyNames();
    if (query === null || body === null) return TOO_MANY.why;
    if (typeof body === "string") return body;
    const { body: sent } = this.#view;
    if (sent.kind === "json" && !isObject(sent.value)) return "cannot be told, since the body is no object";
    const roots = (place: string, names: readonly Named[]) =>
      names.map(({ name, segments }) => `${place}.${segments.length > 1 ? segments[0] : name}`);
    const isJson = this.#view.body.kind === "json";
    return [
      ...roots("query", query),
      ...(isJson ? body.map(({ name }) => `body.${name}`) : roots("body", body)),
    ];
  }

  #header(name: string): FieldRead {
    const { headers } = this.#view;
    const twin = Object.keys(headers).find((other) => other !== name && squash(other) === squash(name));
    if (twin !== undefined) return bad("stands there under two names");
    return one(Object.hasOwn(headers, name) ? headers[name] : undefined);
  }

  /** Bad where the field stands, or may stand, in the part of the call that it does not belong to. */
  #elsewhere(names: readonly Named[] | string | null, binding: Binding): FieldRead | null {
    if (names === null) return TOO_MANY;
    if (typeof names === "string") return bad(names);
    const bound = squashedBinding(binding);
    const stray = names.some(({ squashed }) => isRelated(squashed, bound));
    return stray ? bad("stands in the body and in the query, or in the wrong one") : null;
  }

  /** The outermost names in the body; null where there are too many, a text where they cannot be told. */
  #bodyNames(): readonly Named[] | string | null {
    const { body, headers } = this.#view;
    switch (body.kind) {
      case "none":
        return [];
      case "form":
        return this.#named(body.value as Parameters);
      case "json":
        return isObject(body.value) ? this.#named(body.value as Parameters) : [];
      case "unreadable":
        return OPAQUE.test(headers["content-type"] ?? "") ? [] : `cannot be told, since the body ${body.why}`;
      case "unread":
        return "cannot be told, since the body was not read";
    }
  }

  #named(parameters: Parameters): readonly Named[] | null {
    const known = this.#names.get(parameters);
    if (known !== undefined) return known;
    const keys = Object.keys(parameters);
    const named = areTooMany(keys)
      ? null
      : keys.map((name) => ({ name, segments: segmentsOfName(name), squashed: squashed(name) }));
    this.#names.set(parameters, named);
    return named;
  }

  #parameters(parameters: Parameters, binding: Binding): FieldRead {
    const names = this.#named(parameters);
    if (names === null) return TOO_MANY;
    const { segments } = binding;
    const bound = squashedBinding(binding);
    const isList = segments.at(-1) === EACH;
    const values: string[] = [];
    for (const { name, segments: own, squashed } of names) {
      const value = parameters[name];
      const isWhole = isList && isBound(own, segments.slice(0, -1));
      if (isWhole || isBound(own, segments)) {
        const isItems = isWhole || name.endsWith("[]");
        if (typeof value === "string") values.push(value);
        else if (isItems && value !== undefined) values.push(...value);
        else return bad("stands there more than once");
      } else if (isRelated(squashed, bound)) {
        return bad("stands there under two names");
      }
    }
    if (values.length > MAX_VALUES) return bad(`has more than ${MAX_VALUES} items`);
    return values.length === 0 ? MISSING : { kind: "values", values, isPartial: false, isTyped: false };
  }

  /** Who reads the digits of a number as far as they go finds another one where it has an exponent (attack 29). */
  #plain(read: FieldRead): FieldRead {
    const { body } = this.#view;
    if (read.kind !== "values" || body.kind !== "json" || body.exponents === undefined) return read;
    const { exponents } = body;
    const isOne = (value: unknown): boolean =>
      typeof value === "number" && (exponents === null || exponents.has(value));
    return read.values.some(isOne) ? bad("is, or may be, written with an exponent") : read;
  }

  #body(binding: Binding): FieldRead {
    const { body } = this.#view;
    switch (body.kind) {
      case "none":
        return MISSING;
      case "form":
        return this.#parameters(body.value as Parameters, binding);
      case "unreadable":
        return bad(`cannot be read, since the body ${body.why}`);
      case "unread":
        return bad("cannot be told, since the body was not read");
      case "json": {
        const stray = this.#twin(body.value, binding);
        return stray ?? new Walk(binding.segments, this.#looks).from(body.value);
      }
    }
  }

  /** A JSON member that is named like a form's field, `metadata[order]`, or that differs in how it is written. */
  #twin(value: unknown, binding: Binding): FieldRead | null {
    if (!isObject(value)) return null;
    const names = this.#named(value as Parameters);
    if (names === null) return TOO_MANY;
    const bound = squashedBinding(binding);
    const twin = names.some(
      ({ name, squashed }) => name !== binding.segments[0] && isRelated(squashed, bound),
    );
    return twin ? bad("stands there under two names") : null;
  }
}

interface Looks {
  left: number;
}

function areTooMany(names: readonly string[]): boolean {
  return names.length > MAX_NAMES || names.some((name) => name.length > MAX_NAME);
}

/** One way down into a JSON value. */
class Walk {
  readonly #segments: readonly string[];
  readonly #looks: Looks;
  readonly #values: unknown[] = [];
  #isPartial = false;

  constructor(segments: readonly string[], looks: Looks) {
    this.#segments = segments;
    this.#looks = looks;
  }

  from(value: unknown): FieldRead {
    const why = this.#go(value, 0);
    if (why !== null) return bad(why);
    if (this.#values.length === 0) return MISSING;
    return { kind: "values", values: this.#values, isPartial: this.#isPartial, isTyped: true };
  }

  /** Why not, or null. */
  #go(value: unknown, depth: number): string | null {
    const segment = this.#segments[depth];
    if (value === null || value === undefined) {
      this.#isPartial = true;
      return null;
    }
    if (segment === undefined) {
      this.#values.push(value);
      return this.#values.length > MAX_VALUES ? `has more than ${MAX_VALUES} items` : null;
    }
    if (segment === EACH) return this.#each(value, depth);
    if (!isObject(value)) return "does not stand where it should";
    const keys = Object.keys(value);
    this.#looks.left -= keys.length;
    if (this.#looks.left < 0 || areTooMany(keys)) return TOO_MANY.why;
    const plain = squash(segment);
    if (keys.some((key) => key !== segment && squash(key) === plain)) return "stands there under two names";
    return this.#go(Object.hasOwn(value, segment) ? value[segment] : undefined, depth + 1);
  }

  /** What is no list is one item: services that take lists take one thing as well. */
  #each(value: unknown, depth: number): string | null {
    for (const item of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
      const why = this.#go(item, depth + 1);
      if (why !== null) return why;
    }
    return null;
  }
}

function one(value: string | undefined): FieldRead {
  return value === undefined
    ? MISSING
    : { kind: "values", values: [value], isPartial: false, isTyped: false };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
