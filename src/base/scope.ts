import { z } from "zod";
import { coversGlob, matchesGlob } from "./glob.ts";

const FORM = 'must be a scope such as "connections:call:stripe" or "secrets:use:production/payments/*"';
const PATTERN = /^[A-Za-z0-9_*][A-Za-z0-9._*/-]{0,511}$/;
const SECRET_ACTIONS = new Set(["read", "use", "write", "delete", "*"]);

/**
 * A scope, `resource:action:pattern`. Only these exist: `secrets:{read|use|write|delete|*}:{path glob}`,
 * `connections:call:{slug glob}`, `namespaces:read`; whatever else is asked for is refused.
 */
export const scopeSchema = z.string().max(600).refine(isScope, FORM);

function isScope(value: string): boolean {
  if (value === "namespaces:read") return true;
  const [resource, action, pattern, ...rest] = value.split(":");
  if (rest.length > 0 || pattern === undefined || action === undefined || !PATTERN.test(pattern))
    return false;
  if (resource === "secrets") return SECRET_ACTIONS.has(action);
  return resource === "connections" && action === "call" && !pattern.includes("/");
}

/** A namespace, in which `*` may stand for any run of characters. */
export const namespaceGlobSchema = z
  .string()
  .regex(PATTERN, 'must be a namespace such as "production/payments" or "staging/*"');

/** Whether one of `scopes` allows `action` of `resource` on `target`. `*` is read, use, write and delete. */
export function allows(scopes: readonly string[], resource: string, action: string, target: string): boolean {
  return scopes.some((scope) => {
    const [has, may, pattern] = scope.split(":") as [string, string, string | undefined];
    return (
      has === resource &&
      (may === action || (may === "*" && resource === "secrets")) &&
      (pattern === undefined || matchesGlob(pattern, target))
    );
  });
}

/** The patterns on which `scopes` allow `action` of `resource`. */
export function patternsOf(scopes: readonly string[], resource: string, action: string): readonly string[] {
  return scopes.flatMap((scope) => {
    const [has, may, pattern] = scope.split(":");
    const isOne = has === resource && (may === action || (may === "*" && resource === "secrets"));
    return isOne && pattern !== undefined ? [pattern] : [];
  });
}

/** Whether `outer` grants everything that `inner` grants. */
function coversScope(outer: string, inner: string): boolean {
  const [resource, action, pattern] = outer.split(":");
  const [innerResource, innerAction, innerPattern] = inner.split(":");
  return (
    resource === innerResource &&
    (action === innerAction || (action === "*" && resource === "secrets")) &&
    (pattern === undefined || coversGlob(pattern, innerPattern ?? ""))
  );
}

/**
 * What an agent may ask for. `allowed_scopes` bounds every scope; `allowed_namespaces` bounds those on secrets, and
 * where it stands alone allows every action on secrets in them. With neither, nothing is allowed.
 */
export interface AgentBounds {
  readonly allowedScopes: readonly string[];
  readonly allowedNamespaces: readonly string[];
}

/** Whether an agent with these bounds may hold `scope`. */
export function withinBounds(bounds: AgentBounds, scope: string): boolean {
  const { allowedScopes, allowedNamespaces } = bounds;
  const [resource, , pattern] = scope.split(":");
  if (allowedScopes.length > 0 && !allowedScopes.some((outer) => coversScope(outer, scope))) return false;
  if (allowedNamespaces.length === 0) return allowedScopes.length > 0;
  if (resource === "secrets") {
    return allowedNamespaces.some((namespace) => coversGlob(`${namespace}/*`, pattern ?? ""));
  }
  return resource === "namespaces" || allowedScopes.length > 0;
}
