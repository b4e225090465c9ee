import { Problem } from "../base/problem.ts";
import type { ActionContent, DeclaredConstraint, ScopeTemplate } from "./action.ts";
import { type ActionPatch, DEFAULT_TTL_SECONDS } from "./action-schemas.ts";
import { EACH, parseBinding } from "./binding.ts";
import { faultOf, isWithin, type Scope, type ScopeValue } from "./constraint-values.ts";
import { namesOf } from "./path-template.ts";

const DEFAULT_MAX_TTL_SECONDS = 3_600;
/** Each is looked for among all fields of a call. */
const MAX_FIELDS = 40;

/** What refusals call what follows from the action itself. */
const RESERVED = new Set(["calls", "resource", "fields"]);

/** What is declared of an action of which nothing is said but what it covers. */
export const BLANK: ActionContent = {
  description: null,
  calls: null,
  constraints: {},
  resourceField: null,
  defaultTtlSeconds: DEFAULT_TTL_SECONDS,
  maxTtlSeconds: DEFAULT_MAX_TTL_SECONDS,
  maxUses: 1,
  approvals: 1,
  templates: {},
};

/** What is left out stays as in `before`. Throws VALIDATION_ERROR for what could not be enforced. */
export function settleAction(before: ActionContent, input: ActionPatch): ActionContent {
  const after: ActionContent = {
    description: input.description === undefined ? before.description : input.description,
    calls:
      input.calls === undefined
        ? before.calls
        : input.calls && { ...input.calls, fields: input.calls.fields ?? null },
    constraints: mapOf(input.constraints, constraintOf) ?? before.constraints,
    resourceField: input.resource_field === undefined ? before.resourceField : input.resource_field,
    defaultTtlSeconds: input.default_ttl ?? before.defaultTtlSeconds,
    maxTtlSeconds: input.max_ttl ?? before.maxTtlSeconds,
    maxUses: input.max_uses ?? before.maxUses,
    approvals: input.approvals ?? before.approvals,
    templates: mapOf(input.templates, templateOf) ?? before.templates,
  };
  check(after);
  return after;
}

type Given<K extends "constraints" | "templates"> = NonNullable<ActionPatch[K]>[string];

function mapOf<I, O>(
  all: Readonly<Record<string, I>> | undefined,
  make: (one: I) => O,
): Readonly<Record<string, O>> | undefined {
  return all && Object.fromEntries(Object.entries(all).map(([name, one]) => [name, make(one)]));
}

function constraintOf(given: Given<"constraints">): DeclaredConstraint {
  return {
    kind: given.kind,
    field: given.field ?? null,
    also: given.also ?? [],
    required: given.required ?? true,
    default: given.default ?? null,
    cap: given.cap ?? null,
    text: given.as === "text",
    description: given.description ?? null,
  };
}

function templateOf(given: Given<"templates">): ScopeTemplate {
  return {
    description: given.description ?? null,
    scope: given.scope,
    ttlSeconds: given.ttl ?? null,
    maxUses: given.max_uses ?? null,
  };
}

function check(action: ActionContent): void {
  const { calls, constraints, templates } = action;
  for (const [at, path] of (calls?.paths ?? []).entries()) {
    if (namesOf(path) === null) {
      throw invalid(
        `calls.paths.${at}`,
        "must have `{name}` for whole segments, each name once, and then `*` only at its end",
      );
    }
  }
  for (const [at, field] of (calls?.fields ?? []).entries()) {
    const binding = parseBinding(field);
    const isOuter = binding?.segments.length === 1 && (binding.place === "body" || binding.place === "query");
    if (!isOuter || field.startsWith("details.")) {
      throw invalid(
        `calls.fields.${at}`,
        "must be an outermost field such as `body.amount` or `query.expand`",
      );
    }
  }
  for (const [name, constraint] of Object.entries(constraints)) checkConstraint(action, name, constraint);
  const bound = Object.values(constraints).reduce((sum, { also }) => sum + 1 + also.length, 0);
  if (bound > MAX_FIELDS) throw invalid("constraints", `must be bound to at most ${MAX_FIELDS} fields`);
  if (action.resourceField !== null) checkField(action, "resource_field", action.resourceField, "equals");
  if (action.defaultTtlSeconds > action.maxTtlSeconds) {
    throw invalid("default_ttl", "must not be longer than `max_ttl`");
  }
  for (const [name, template] of Object.entries(templates))
    checkScope(action, `templates.${name}.scope`, template.scope);
}

/** Throws VALIDATION_ERROR where a scope has a member that the action does not declare, or a value that it cannot take. */
export function checkScope({ constraints }: ActionContent, at: string, scope: Scope): void {
  for (const [name, value] of Object.entries(scope)) {
    const declared = Object.hasOwn(constraints, name) ? constraints[name] : undefined;
    if (declared === undefined) throw invalid(`${at}.${name}`, "is no constraint of this action");
    checkValue(declared, `${at}.${name}`, value);
  }
}

function checkConstraint(action: ActionContent, name: string, constraint: DeclaredConstraint): void {
  const { kind, field, also, cap, default: standard } = constraint;
  const at = `constraints.${name}`;
  if (RESERVED.has(name)) throw invalid(at, "has a name that refusals have for something else");
  const needsNone = kind === "max_size";
  if (needsNone && field !== null)
    throw invalid(`${at}.field`, "must be left out: it holds for the whole body");
  if (!needsNone && kind !== "max_count" && field === null) throw invalid(`${at}.field`, "must be given");
  if (field === null && also.length > 0)
    throw invalid(`${at}.also`, "must be left out where there is no field");
  if (kind === "max_size" && action.calls === null) {
    throw invalid(`${at}.kind`, "is of calls: use max_amount on a field of `details`");
  }
  for (const each of field === null ? [] : [field, ...also]) checkField(action, at, each, kind);
  if (constraint.text && kind !== "max_amount" && kind !== "max_total") {
    throw invalid(`${at}.as`, "is of amounts");
  }
  if (cap !== null && kind === "equals") throw invalid(`${at}.cap`, "must be left out: give a default");
  if (cap !== null) checkValue(constraint, `${at}.cap`, cap);
  if (standard === null) return;
  checkValue(constraint, `${at}.default`, standard);
  if (cap !== null && kind !== "pattern" && !isWithin(kind, standard, cap)) {
    throw invalid(`${at}.default`, "must be within `cap`");
  }
}

function checkValue({ kind }: DeclaredConstraint, at: string, value: ScopeValue): void {
  const fault = faultOf(kind, value);
  if (fault !== null) throw invalid(at, fault);
}

function checkField(
  { calls }: ActionContent,
  at: string,
  field: string,
  kind: DeclaredConstraint["kind"],
): void {
  const binding = parseBinding(field);
  if (binding === null) {
    throw invalid(at, "has no field such as `body.amount`, `query.limit`, `path.id` or `header.x-name`");
  }
  if ((calls === null) !== field.startsWith("details.")) {
    throw invalid(
      at,
      calls === null
        ? "must be bound to a field such as `details.amount`: there is no call"
        : "must be bound to a field of the call: `details` is of what is used outside of the gateway",
    );
  }
  const isNested = binding.place === "body" || binding.place === "query";
  if ((kind === "max_count" || kind === "max_items") && !isNested) {
    throw invalid(at, "must be bound to a list in the body or the query");
  }
  if (kind === "equals" && at === "resource_field" && binding.segments.includes(EACH)) {
    throw invalid(at, "must be one field, no list");
  }
  const [name = ""] = binding.segments;
  if (binding.place === "path" && !(calls?.paths ?? []).every((path) => namesOf(path)?.includes(name))) {
    throw invalid(at, `is bound to \`path.${name}\`: every path must have \`{${name}}\``);
  }
}

export function invalid(path: string, message: string): Problem {
  return new Problem("VALIDATION_ERROR", `\`${path}\` ${message}`, { errors: [{ path, message }] });
}
