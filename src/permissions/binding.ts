/**
 * Where a constraint looks in a call: `body.amount`, `body.metadata[order]` (the same as `body.metadata.order`),
 * `body.to[].email` (each item of a list), `query.limit`, `path.id`, `header.x-name`; `details.amount` of what is used
 * outside of the gateway.
 */
export interface Binding {
  readonly place: "body" | "query" | "path" | "header";
  /** EACH stands for every item of a list. */
  readonly segments: readonly string[];
}

export const EACH = "[]";

const FIELD = /^(body|details|query|path|header)\.([\x21-\x7e]{1,200})$/;
const NESTED = /^[A-Za-z0-9_$@:-]+(?:\.[A-Za-z0-9_$@:-]+|\[[A-Za-z0-9_$@:-]*\])*$/;
const PATH_NAME = /^[a-z][a-z0-9_]{0,31}$/;
const HEADER_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
const MAX_SEGMENTS = 8;

/** Null for what is no field. `details` is read as a body. */
export function parseBinding(field: string): Binding | null {
  const [, place, name] = FIELD.exec(field) ?? [];
  if (place === undefined || name === undefined) return null;
  if (place === "path") return PATH_NAME.test(name) ? { place, segments: [name] } : null;
  if (place === "header") return HEADER_NAME.test(name) ? { place, segments: [name] } : null;
  if (!NESTED.test(name)) return null;
  const segments = [...name.matchAll(/[^.[\]]+|\[\]/g)].map(([segment]) => segment);
  if (segments.length > MAX_SEGMENTS) return null;
  return { place: place === "query" ? "query" : "body", segments };
}

/** `metadata[order]` as its segments; what has no such form is one segment. */
export function segmentsOfName(name: string): readonly string[] {
  const [, root, rest] = /^([^[\].]+)((?:\[[^[\].]*\])*)$/.exec(name) ?? [];
  if (root === undefined || rest === undefined) return [name];
  const inner = [...rest.matchAll(/\[([^\]]*)\]/g)].map(([, segment = ""]) => segment);
  return [root, ...inner.map((segment) => (/^[0-9]*$/.test(segment) ? EACH : segment))];
}

/** Whether a name in a form or a query is the bound field, or an item of it. */
export function isBound(segments: readonly string[], binding: readonly string[]): boolean {
  return segments.length === binding.length && segments.every((segment, at) => segment === binding[at]);
}

/**
 * How the least exact of readers would read a name: frameworks ignore case, trim, take `.`, `-`, ` ` and `[` for `_`,
 * and tell `customer_id` from `customerId` no more than `K` from `k`.
 */
export function squash(name: string): string {
  return name
    .normalize("NFKC")
    .toUpperCase()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "");
}

/**
 * Whether some reader may take one name for the other, or for what holds or lies within it. Segments are squashed; EACH
 * is like any.
 */
export function isRelated(one: readonly string[], other: readonly string[]): boolean {
  if (one.length === 0 || other.length === 0) return false;
  if (one.join("") === other.join("")) return true;
  return one
    .slice(0, other.length)
    .every((segment, at) => segment === other[at] || segment === "" || other[at] === "");
}

/** A name in pieces, each squashed: for `isRelated`. */
export function squashed(name: string): readonly string[] {
  const pieces = name.split(/[[\].]+/).filter((piece) => piece !== "");
  return pieces.map(squash).filter((piece, at) => at > 0 || piece !== "");
}

/** As `squashed`, of a binding; EACH is the empty one. */
export function squashedBinding({ segments }: Binding): readonly string[] {
  return segments.map((segment) => (segment === EACH ? "" : squash(segment)));
}
