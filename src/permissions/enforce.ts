import type { PolicyReads } from "../policies/verdict.ts";
import type { RequestView } from "../policies/request-view.ts";
import type { BoundConstraint, GrantedPermission, Tally } from "../tokens/permission.ts";
import { millionthsOf, millionthsOfNumber } from "./amount.ts";
import { parseBinding } from "./binding.ts";
import { matchPath, type PathValues } from "./path-template.ts";
import { matchWhole } from "./whole-pattern.ts";
import { CallFields, type FieldRead } from "./read-field.ts";

/** What a permission says to one call. `constraint` is the one that is not met, by its name; `why` is for the agent. */
export type Enforced =
  | { readonly kind: "ok"; readonly tallies: readonly Tally[] }
  | { readonly kind: "deny"; readonly constraint: string; readonly why: string };

/** Which parts of a call a permission looks into. A field may hide in either of the two: both are read for either. */
export function readsOf(permission: GrantedPermission): PolicyReads {
  const looks = permission.constraints.some(
    ({ kind, field }) =>
      kind === "only_fields" || (field !== null && /^(?:body|details|query)\./.test(field)),
  );
  return { body: looks, query: looks };
}

/**
 * Holds one call through a connection against what was permitted: the calls that the action covers, and each of its
 * constraints. Pure; whatever cannot be told is refused. What is counted over several calls comes back as tallies, to be
 * charged with the call.
 */
export function enforce(permission: GrantedPermission, view: RequestView, slug: string): Enforced {
  const { calls, action } = permission;
  if (calls === null) {
    return deny(
      "calls",
      `The permission for "${action}" is for use outside of the gateway: it covers no calls.`,
    );
  }
  const covered = `${calls.methods.join(" or ")} ${calls.paths.join(" or ")} on "${calls.connection}"`;
  const path =
    calls.connection === slug && calls.methods.includes(view.method)
      ? matchPath(calls.paths, view.path)
      : null;
  if (path === null)
    return deny("calls", `The permission for "${action}" covers ${covered}, and nothing else.`);
  if (view.headers["upgrade"] !== undefined) {
    return deny("calls", "What is sent over a WebSocket cannot be held against a permission.");
  }
  return enforceConstraints(permission, view, path);
}

/** As `enforce`, for what the gateway does not carry: the constraints alone. */
export function enforceConstraints(
  permission: GrantedPermission,
  view: RequestView,
  path: PathValues,
): Enforced {
  const fields = new CallFields(view, path);
  const tallies = new Map<string, Tally>();
  for (const constraint of permission.constraints) {
    const verdict = hold(constraint, fields, view);
    if (typeof verdict === "string") return deny(constraint.name, verdict);
    if (verdict === 0) continue;
    const known = tallies.get(constraint.name);
    const max = limitOf(constraint);
    tallies.set(constraint.name, { key: constraint.name, amount: (known?.amount ?? 0) + verdict, max });
  }
  // One call alone beyond it is told here; the token's object keeps the sum.
  for (const { key, amount, max } of tallies.values()) {
    if (!(amount <= max)) return deny(key, `\`${key}\`: this is more than is permitted in all.`);
  }
  return { kind: "ok", tallies: [...tallies.values()] };
}

function deny(constraint: string, why: string): Extract<Enforced, { kind: "deny" }> {
  return { kind: "deny", constraint, why };
}

type Values = Extract<FieldRead, { kind: "values" }>;

/** In the unit of its tally. */
function limitOf({ kind, value }: BoundConstraint): number {
  const limit = typeof value !== "number" ? null : kind === "max_total" ? millionthsOfNumber(value) : value;
  return limit ?? -1;
}

/** Why it is not met; else what it adds to its tally, 0 for those that have none. */
function hold(constraint: BoundConstraint, fields: CallFields, view: RequestView): string | number {
  const { name, kind, value, optional } = constraint;
  if (kind === "max_size") {
    if (typeof value === "number" && view.size !== null && view.size <= value) return 0;
    return `\`${name}\`: the body must have at most ${String(value)} bytes.`;
  }
  if (kind === "only_fields") return holdOnly(constraint, fields);
  if (constraint.field === null) {
    // The token's uses count it.
    return kind === "max_count" ? 0 : `\`${name}\` has no field.`;
  }
  const binding = parseBinding(constraint.field);
  if (binding === null) return `\`${name}\` has no field that can be read.`;
  const read: FieldRead = fields.read(binding);
  if (read.kind === "bad") return `\`${name}\`: \`${constraint.field}\` ${read.why}.`;
  if (read.kind === "missing" || (read.isPartial && optional !== true)) {
    return optional === true ? 0 : `\`${name}\`: \`${constraint.field}\` is missing.`;
  }
  return holdValues(constraint, read);
}

function holdOnly({ name, value }: BoundConstraint, fields: CallFields): string | number {
  const outermost = fields.outermost();
  if (typeof outermost === "string") return `\`${name}\`: which fields there are ${outermost}.`;
  const listed = typeof value === "object" ? value : [];
  if (outermost.every((field) => listed.includes(field))) return 0;
  return `\`${name}\`: it may have no fields but ${listed.map((field) => `\`${field}\``).join(", ")}.`;
}

function holdValues(constraint: BoundConstraint, read: Values): string | number {
  const { name, kind, field, value } = constraint;
  const { values } = read;
  const must = (what: string): string => `\`${name}\`: \`${field}\` must be ${what}.`;
  switch (kind) {
    case "max_items":
      return typeof value === "number" && values.length <= value ? 0 : must(`at most ${String(value)} items`);
    case "max_count":
      return values.length;
    case "max_amount":
    case "max_total":
      return holdAmounts(constraint, read);
    case "max_length": {
      const fits = (each: unknown): boolean =>
        typeof each === "string" && typeof value === "number" && each.length <= value;
      return values.every(fits) ? 0 : must(`a text of at most ${String(value)} characters`);
    }
    case "pattern": {
      const texts = values.filter((each) => typeof each === "string");
      const fits = typeof value === "string" && texts.length === values.length && matchWhole(value, texts);
      return fits ? 0 : must(`a text, not too long, that matches ${String(value)} as a whole`);
    }
    case "one_of":
    case "equals": {
      const listed = typeof value === "string" ? [value] : typeof value === "number" ? [] : value;
      const fits = (each: unknown): boolean => {
        const text = exactText(each);
        return text !== null && listed.includes(text);
      };
      return values.every(fits) ? 0 : must("one of what is permitted");
    }
    case "max_size":
    case "only_fields":
      return must("left out");
  }
}

/** What two readers read alike: texts, and whole numbers that are exact. */
function exactText(value: unknown): string | null {
  if (typeof value === "string") return value;
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : null;
}

function holdAmounts(constraint: BoundConstraint, { values, isTyped }: Values): string | number {
  const { name, kind, field, value } = constraint;
  const max = typeof value === "number" ? millionthsOfNumber(value) : null;
  const wantsText = !isTyped || constraint.text === true;
  let sum = 0;
  for (const each of values) {
    const amount = wantsText
      ? typeof each === "string" && millionthsOf(each)
      : typeof each === "number" && millionthsOfNumber(each);
    if (typeof amount !== "number" || max === null) {
      return `\`${name}\`: \`${field}\` must be a plain decimal ${isTyped && wantsText ? "in quotes" : "number"}, such as 12 or 12.50.`;
    }
    if (amount > max) return `\`${name}\`: \`${field}\` must be at most ${value}.`;
    sum += amount;
  }
  return kind === "max_total" ? sum : 0;
}
