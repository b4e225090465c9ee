import { check } from "../base/request.ts";
import type { ConstraintKind, GrantedPermission } from "../tokens/permission.ts";
import {
  type GrantedLess,
  grantedLessSchema,
  type PermissionPayload,
  permissionPayloadSchema,
} from "../tokens/permission-schemas.ts";
import { invalid } from "./action-settle.ts";
import { faultOf, isWithin, listOf, narrower, type Scope, type ScopeValue } from "./constraint-values.ts";
import type { PermissionRow } from "./permission-rows.ts";
import { narrowingSchema } from "./schemas.ts";

/**
 * What an approver grants, `{scope?, ttl?, max_uses?}`, as it is to be kept with the vote. Throws VALIDATION_ERROR where
 * any of it is more than the request that they were shown (`payload`) asks for, or than what earlier approvers left of
 * it (`standing`; null: all).
 */
export function checkNarrowing(payload: string, standing: string | null, wanted: unknown): string {
  const asked = permissionPayloadSchema.parse(JSON.parse(payload));
  const left = standing === null ? {} : grantedLessSchema.parse(JSON.parse(standing));
  const shown = {
    constraints: asked.constraints,
    scope: { ...asked.scope, ...left.scope },
    ttl_seconds: left.ttl_seconds ?? asked.ttl_seconds,
    max_uses: left.max_uses ?? asked.max_uses,
  };
  const { scope, ttl, max_uses } = check(narrowingSchema, wanted);
  for (const [name, value] of Object.entries(scope ?? {})) {
    const asked = Object.hasOwn(shown.scope, name) ? shown.scope[name] : undefined;
    if (asked === undefined) throw invalid(`granted.scope.${name}`, "is not asked for");
    const kind = kindOf(shown.constraints, name);
    const fault = faultOf(kind, value);
    if (fault !== null) throw invalid(`granted.scope.${name}`, fault);
    if (kind !== "pattern" && !isWithin(kind, value, asked)) {
      throw invalid(`granted.scope.${name}`, "is more than was asked for");
    }
  }
  if (ttl !== undefined && ttl > shown.ttl_seconds)
    throw invalid("granted.ttl", "is longer than was asked for");
  if (max_uses !== undefined && max_uses > shown.max_uses) {
    throw invalid("granted.max_uses", "are more than were asked for");
  }
  const kept: GrantedLess = {
    ...left,
    ...(scope === undefined
      ? {}
      : { scope: { ...left.scope, ...withStanding(shown.constraints, left, scope) } }),
    ...(ttl === undefined ? {} : { ttl_seconds: ttl }),
    ...(max_uses === undefined ? {} : { max_uses }),
  };
  return JSON.stringify(kept);
}

/** Of patterns it cannot be told which allows less: what earlier approvers asked for stands beside it. */
function withStanding(
  constraints: PermissionPayload["constraints"],
  { scope: left = {} }: GrantedLess,
  scope: Scope,
): Scope {
  const entries = Object.entries(scope).map(([name, value]) => {
    const before = Object.hasOwn(left, name) ? left[name] : undefined;
    const kind = kindOf(constraints, name);
    if (kind !== "pattern" || before === undefined) return [name, value] as const;
    return [name, narrower(kind, before, value) ?? value] as const;
  });
  return Object.fromEntries(entries);
}

function kindOf(
  constraints: readonly { readonly name: string; readonly kind: string }[],
  name: string,
): ConstraintKind {
  return (constraints.find((constraint) => constraint.name === name)?.kind ?? "equals") as ConstraintKind;
}

/** What is granted of a request where an approver granted less; never more, whatever `granted` says. Null: as asked. */
export function narrowRow(row: PermissionRow, granted: string | null): PermissionRow {
  if (granted === null) return row;
  const less = grantedLessSchema.parse(JSON.parse(granted));
  const scope: Record<string, ScopeValue> = { ...row.scope };
  const narrowed = new Set(row.narrowedFields);
  let { constraints } = row.granted;
  for (const [name, value] of Object.entries(less.scope ?? {})) {
    const asked = Object.hasOwn(scope, name) ? scope[name] : undefined;
    if (asked === undefined) continue;
    const kind = kindOf(constraints, name);
    const stands = narrower(kind, asked, value);
    // Nothing in common cannot be, since it was checked; then nothing is granted of it.
    scope[name] = stands ?? [];
    if (stands === null || !isWithin(kind, asked, stands)) narrowed.add(name);
    constraints = rebind(constraints, name, scope[name]);
  }
  const counted = Object.entries(scope).filter(([name]) => isCount(constraints, name));
  const counts = counted.flatMap(([, value]) => (typeof value === "number" ? [value] : []));
  const maxUses = Math.min(row.maxUses, less.max_uses ?? row.maxUses, ...counts);
  if (maxUses < row.maxUses) narrowed.add("max_uses");
  for (const [name] of counted) {
    scope[name] = maxUses;
    constraints = rebind(constraints, name, maxUses);
  }
  const ttlSeconds = Math.min(row.ttlSeconds, less.ttl_seconds ?? row.ttlSeconds);
  if (ttlSeconds < row.ttlSeconds) narrowed.add("ttl");
  return {
    ...{ ...row, scope, maxUses, ttlSeconds },
    granted: { ...row.granted, constraints },
    narrowedFields: [...narrowed],
  };
}

type Bound = GrantedPermission["constraints"];

function isCount(constraints: Bound, name: string): boolean {
  return constraints.some((each) => each.name === name && each.kind === "max_count" && each.field === null);
}

/** The same fields, held to another value. */
function rebind(constraints: Bound, name: string, value: ScopeValue): Bound {
  const others = constraints.filter((each) => each.name !== name);
  const own = constraints.filter((each) => each.name === name);
  if (own[0]?.kind !== "pattern") return [...others, ...own.map((each) => ({ ...each, value }))];
  const first = own.filter((each) => each.value === own[0]?.value);
  return [...others, ...listOf(value).flatMap((one) => first.map((each) => ({ ...each, value: one })))];
}
