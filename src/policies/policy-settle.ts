import { Problem } from "../base/problem.ts";
import type { PolicyCreate, PolicyPatch } from "./schemas.ts";
import type { PolicyContent } from "./tables.ts";

/** What is left out, of a policy and of its change, stays as in `before`. Throws VALIDATION_ERROR. */
export function settle(before: PolicyContent, input: PolicyCreate | PolicyPatch): PolicyContent {
  const effect = input.effect ?? before.effect;
  const after: PolicyContent = {
    name: input.name ?? before.name,
    description: input.description === undefined ? before.description : input.description,
    effect,
    on: before.on,
    connections: input.connections ?? before.connections,
    condition: input.condition === undefined ? before.condition : input.condition,
    approvals: input.approvals ?? before.approvals,
    delaySeconds: input.delay_seconds ?? before.delaySeconds,
    message: input.message === undefined ? before.message : input.message,
    enabled: input.enabled ?? before.enabled,
  };
  if (after.on !== "calls" && after.connections.length > 0) {
    throw invalid("connections", "must be left out: the policy is not on calls");
  }
  if (effect === "require_approval") return after;
  for (const name of ["approvals", "delay_seconds"] as const) {
    if (input[name] !== undefined) throw invalid(name, "must be left out: the policy asks nobody");
  }
  return { ...after, approvals: 1, delaySeconds: 0 };
}

/** What a policy says where nothing else is said. */
export function blank(input: Pick<PolicyCreate, "name" | "on">): PolicyContent {
  return {
    ...{ name: input.name, description: null, effect: "deny", on: input.on ?? "calls", connections: [] },
    ...{ condition: null, approvals: 1, delaySeconds: 0, message: null, enabled: true },
  };
}

/**
 * Whether a change (null: no policy before, or after) may let through what was not: `guard` where one that refuses or
 * asks does so no longer in every case it did, `allowance` where one that allows is there anew, or another. What only
 * a reading of the condition would show counts as letting through.
 */
export function loosening(
  before: PolicyContent | null,
  after: PolicyContent | null,
): "guard" | "allowance" | null {
  const was = before?.enabled ? before : null;
  const is = after?.enabled ? after : null;
  if (was !== null && was.effect !== "allow" && (is === null || !isAsStrict(was, is))) return "guard";
  if (is?.effect !== "allow") return null;
  return was?.effect === "allow" && reachesNoMore(was, is) ? null : "allowance";
}

function isAsStrict(was: PolicyContent, is: PolicyContent): boolean {
  if (!reachesNoMore(is, was)) return false;
  if (is.effect === "deny") return true;
  if (is.effect === "allow" || was.effect === "deny") return false;
  return is.approvals >= was.approvals && is.delaySeconds >= was.delaySeconds;
}

/** Whether `narrow` is about nothing that `wide` is not about, as far as can be told without reading conditions. */
function reachesNoMore(wide: PolicyContent, narrow: PolicyContent): boolean {
  const isWithin =
    wide.connections.length === 0 ||
    (narrow.connections.length > 0 && narrow.connections.every((glob) => wide.connections.includes(glob)));
  return isWithin && (wide.condition === null || wide.condition === narrow.condition);
}

function invalid(path: string, message: string): Problem {
  return new Problem("VALIDATION_ERROR", `${path} ${message}`, { errors: [{ path, message }] });
}
