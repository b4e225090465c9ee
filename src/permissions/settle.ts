import type { PermissionId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { BoundConstraint, GrantedPermission } from "../tokens/permission.ts";
import type { Action, DeclaredConstraint, ScopeTemplate } from "./action.ts";
import { checkScope, invalid } from "./action-settle.ts";
import { isWithin, listOf, narrower, type Scope, type ScopeValue } from "./constraint-values.ts";
import type { PermissionRequest } from "./schemas.ts";

/** What would be granted of what was asked for: as much or less. */
export interface Settled {
  readonly scope: Scope;
  readonly ttlSeconds: number;
  readonly maxUses: number;
  /** `ttl`, `max_uses` and the members of the scope in which it is less. */
  readonly narrowedFields: readonly string[];
}

export type Asked = Pick<PermissionRequest, "scope" | "template" | "ttl" | "max_uses" | "resource">;

/**
 * Holds a request against what its action declares, its caps, and the template that it names. Pure. Throws
 * VALIDATION_ERROR for a member of the scope that the action does not declare, a value that it cannot take, a required
 * one that is left out and has neither default nor cap, and PERMISSION_DENIED where nothing is left of what was asked for.
 */
export function settlePermission(action: Action, asked: Asked): Settled {
  checkScope(action, "scope", asked.scope);
  if (action.resourceField !== null && asked.resource === undefined) {
    throw invalid("resource", "must be given: this action is bound to one");
  }
  const template = templateOf(action, asked.template);
  const scope: Record<string, ScopeValue> = {};
  const narrowed: string[] = [];
  for (const [name, declared] of Object.entries(action.constraints)) {
    const wanted = own(asked.scope, name);
    const preset = own(template?.scope ?? {}, name);
    const value = settleValue(name, declared, wanted, preset);
    if (value === undefined) continue;
    scope[name] = value;
    // What was not asked for at all is less where only the cap bounds it.
    const expected = wanted ?? preset ?? declared.default;
    if (expected === null || !isWithin(declared.kind, expected, value)) narrowed.push(name);
  }
  const ttlSeconds = Math.min(
    asked.ttl ?? template?.ttlSeconds ?? action.defaultTtlSeconds,
    template?.ttlSeconds ?? Infinity,
    action.maxTtlSeconds,
  );
  if (asked.ttl !== undefined && ttlSeconds < asked.ttl) narrowed.push("ttl");
  const counts = countsOf(action, scope);
  const standard = template?.maxUses ?? (counts.length > 0 ? Math.min(...counts) : 1);
  const maxUses = Math.min(
    asked.max_uses ?? standard,
    template?.maxUses ?? Infinity,
    action.maxUses,
    ...counts,
  );
  if (asked.max_uses !== undefined && maxUses < asked.max_uses) narrowed.push("max_uses");
  return {
    scope: boundCounts(action, scope, maxUses, narrowed),
    ttlSeconds,
    maxUses,
    narrowedFields: narrowed,
  };
}

function own<V>(all: Readonly<Record<string, V>>, name: string): V | undefined {
  return Object.hasOwn(all, name) ? all[name] : undefined;
}

function templateOf(action: Action, name: string | undefined): ScopeTemplate | null {
  if (name === undefined) return null;
  const template = own(action.templates, name);
  if (template === undefined) throw invalid("template", "is none of this action's");
  return template;
}

function settleValue(
  name: string,
  { kind, cap, default: standard, required }: DeclaredConstraint,
  wanted: ScopeValue | undefined,
  preset: ScopeValue | undefined,
): ScopeValue | undefined {
  const bounds = [wanted, preset, cap ?? undefined].filter((value) => value !== undefined);
  // Where nothing is said of it, the default holds, which is within the cap.
  if (wanted === undefined && preset === undefined && standard !== null) bounds.unshift(standard);
  const [first, ...others] = bounds;
  if (first === undefined) {
    if (!required) return undefined;
    throw invalid(`scope.${name}`, "must be given: the action has neither a default nor a cap for it");
  }
  let value: ScopeValue | null = first;
  for (const other of others) value = value === null ? null : narrower(kind, value, other);
  if (value !== null) return value;
  throw new Problem("PERMISSION_DENIED", `Nothing of what was asked for as \`${name}\` can be granted.`, {
    why: "Ask within the action's cap, and within the template where one is named.",
  });
}

function isCount({ kind, field }: DeclaredConstraint): boolean {
  return kind === "max_count" && field === null;
}

/** How many calls the scope counts, by each constraint that counts calls. */
function countsOf({ constraints }: Action, scope: Scope): readonly number[] {
  return Object.entries(constraints).flatMap(([name, declared]) => {
    const value = isCount(declared) ? own(scope, name) : undefined;
    return typeof value === "number" ? [value] : [];
  });
}

/** What counts calls says as many as there are uses, and that it was narrowed to them. */
function boundCounts({ constraints }: Action, scope: Scope, maxUses: number, narrowed: string[]): Scope {
  const entries = Object.entries(scope).map(([name, value]) => {
    const declared = constraints[name];
    if (declared === undefined || !isCount(declared) || typeof value !== "number" || value <= maxUses) {
      return [name, value] as const;
    }
    if (!narrowed.includes(name)) narrowed.push(name);
    return [name, maxUses] as const;
  });
  return Object.fromEntries(entries);
}

/** What the token of a settled permission is bound to. */
export function bindPermission(
  id: PermissionId,
  action: Action,
  resource: string | null,
  scope: Scope,
  agreed: GrantedPermission["agreed"],
): GrantedPermission {
  const constraints: BoundConstraint[] = [];
  const { calls, resourceField } = action;
  if (resourceField !== null && resource !== null) {
    constraints.push({ name: "resource", kind: "equals", field: resourceField, value: resource });
  }
  for (const [name, value] of Object.entries(scope)) {
    const declared = action.constraints[name];
    if (declared !== undefined) constraints.push(...bind(name, declared, value));
  }
  if (calls !== null && calls.fields !== null) {
    constraints.push({ name: "fields", kind: "only_fields", field: null, value: calls.fields });
  }
  return {
    permissionId: id,
    action: action.name,
    resource,
    calls: calls && { connection: calls.connection, methods: calls.methods, paths: calls.paths },
    constraints,
    agreed,
  };
}

function bind(
  name: string,
  { kind, field, also, text }: DeclaredConstraint,
  value: ScopeValue,
): BoundConstraint[] {
  const values = kind === "pattern" ? listOf(value) : [value];
  const spelling = text ? { text: true as const } : {};
  return values.flatMap((one) => [
    { name, kind, field, value: one, ...spelling },
    ...also.map((other) => ({ name, kind, field: other, value: one, optional: true as const, ...spelling })),
  ]);
}
