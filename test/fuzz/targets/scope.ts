import assert from "node:assert/strict";
import { coversGlob, matchesGlob } from "../../../src/base/glob.ts";
import { type AgentBounds, allows, scopeSchema, withinBounds } from "../../../src/base/scope.ts";
import { secretPathSchema } from "../../../src/base/secret-path.ts";
import { textsOf } from "../input.ts";

/** The definition of a glob, cell by cell: a `*` takes nothing, or one character more. */
export function matchesByTable(pattern: string, text: string): boolean {
  let row = Array.from({ length: text.length + 1 }, (_, at) => at === 0);
  for (const symbol of pattern) {
    const next: boolean[] = [symbol === "*" && row[0] === true];
    for (let at = 1; at <= text.length; at++) {
      const taken =
        symbol === "*"
          ? row[at] === true || next[at - 1] === true
          : row[at - 1] === true && symbol === text[at - 1];
      next.push(taken);
    }
    row = next;
  }
  return row.at(-1) === true;
}

const ACTIONS = ["read", "use", "write", "delete"];

/** What a valid scope allows, read word for word. */
function allowsByDefinition(scope: string, resource: string, action: string, target: string): boolean {
  if (scope === "namespaces:read") return resource === "namespaces" && action === "read";
  const parts = scope.split(":");
  if (parts[0] !== resource) return false;
  if (parts[1] !== action && !(resource === "secrets" && parts[1] === "*")) return false;
  return matchesByTable(parts[2] ?? "", target);
}

const isScope = (text: string): boolean => scopeSchema.safeParse(text).success;

/** A scope allows what its definition says and nothing else; one without a `*` at its end, never a longer name. */
export function checkScope(scope: string, target: string): void {
  assert.equal(matchesGlob(scope, target), matchesByTable(scope, target));
  if (!isScope(scope)) return;
  for (const resource of ["secrets", "connections", "namespaces"]) {
    for (const action of [...ACTIONS, "call", "*", ""]) {
      const expected = allowsByDefinition(scope, resource, action, target);
      assert.equal(allows([scope], resource, action, target), expected);
    }
  }
  const pattern = scope.split(":")[2];
  if (pattern === undefined || pattern.endsWith("*")) return;
  assert.ok(!allows([scope], "secrets", "use", `${pattern}-old/x`) || pattern.includes("*"));
}

/** Whatever a scope within an agent's bounds allows, the bounds allow as well. */
export function checkBounds(bounds: AgentBounds, scope: string, target: string): void {
  const valid = [...bounds.allowedScopes, scope].every(isScope);
  if (!valid || !withinBounds(bounds, scope)) return;
  const { allowedScopes, allowedNamespaces } = bounds;
  for (const action of [...ACTIONS, "call"]) {
    for (const resource of ["secrets", "connections", "namespaces"]) {
      if (resource === "secrets" && !secretPathSchema.safeParse(target).success) continue;
      if (!allows([scope], resource, action, target)) continue;
      if (allowedScopes.length > 0) assert.ok(allows(allowedScopes, resource, action, target));
      if (resource === "secrets" && allowedNamespaces.length > 0)
        assert.ok(allowedNamespaces.some((namespace) => matchesByTable(`${namespace}/*`, target)));
      if (resource === "connections") assert.ok(allowedScopes.length > 0);
    }
  }
}

/** A glob that covers another one matches whatever the other one matches. */
export function checkCover(outer: string, inner: string, text: string): void {
  if (coversGlob(outer, inner) && matchesByTable(inner, text)) assert.ok(matchesByTable(outer, text));
}

export function fuzz(data: Buffer): void {
  const [scope = "", target = "", outer = "", namespace = ""] = textsOf(data.subarray(0, 400), 4);
  checkScope(scope, target);
  checkCover(outer, scope, target);
  checkBounds({ allowedScopes: [outer], allowedNamespaces: [] }, scope, target);
  checkBounds({ allowedScopes: [outer], allowedNamespaces: [namespace] }, scope, target);
  checkBounds({ allowedScopes: [], allowedNamespaces: [namespace] }, scope, target);
}
