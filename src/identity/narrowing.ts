import { coversCidr } from "../base/address.ts";
import { coversGlob } from "../base/glob.ts";
import { withinBounds, type AgentBounds } from "../base/scope.ts";

/** What an agent may do and from where. */
export interface AgentReach extends AgentBounds {
  /** Canonical CIDRs; empty: from anywhere. */
  readonly ipAllowlist: readonly string[];
}

/**
 * Whether `after` refuses anything that `before` allowed; then tokens issued before the change must be refused. Where
 * it cannot tell, it says true.
 */
export function narrows(before: AgentReach, after: AgentReach): boolean {
  return addressesNarrow(before.ipAllowlist, after.ipAllowlist) || boundsNarrow(before, after);
}

function boundsNarrow(before: AgentBounds, after: AgentBounds): boolean {
  const nothingBefore = before.allowedScopes.length === 0 && before.allowedNamespaces.length === 0;
  if (nothingBefore) return false;
  return scopesNarrow(before, after) || namespacesNarrow(before, after);
}

function scopesNarrow(before: AgentBounds, after: AgentBounds): boolean {
  if (before.allowedScopes.length === 0) return after.allowedScopes.length > 0;
  const scopesAlone = { allowedScopes: after.allowedScopes, allowedNamespaces: [] };
  return !before.allowedScopes.every((scope) => withinBounds(scopesAlone, scope));
}

function namespacesNarrow(before: AgentBounds, after: AgentBounds): boolean {
  // Without namespaces, the scopes alone bound: everything, where there are scopes.
  if (after.allowedNamespaces.length === 0) return after.allowedScopes.length === 0;
  if (before.allowedNamespaces.length === 0) return true;
  return !before.allowedNamespaces.every((inner) =>
    after.allowedNamespaces.some((outer) => coversGlob(`${outer}/*`, `${inner}/*`)),
  );
}

function addressesNarrow(before: readonly string[], after: readonly string[]): boolean {
  if (after.length === 0) return false;
  return before.length === 0 || !before.every((inner) => coversCidr(after, inner));
}
