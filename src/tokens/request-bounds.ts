import { coversCidr } from "../base/address.ts";
import { Problem } from "../base/problem.ts";
import { withinBounds } from "../base/scope.ts";
import type { Agent } from "../identity/agent-rows.ts";

/** Throws SCOPE_DENIED where an agent asks for a token that its own bounds do not cover. */
export function checkBounds(
  agent: Agent,
  request: { readonly scopes: readonly string[]; readonly ip_allowlist: readonly string[] },
): void {
  const outside = request.scopes.find((scope) => !withinBounds(agent, scope));
  if (outside !== undefined) {
    throw new Problem("SCOPE_DENIED", `This agent may not ask for the scope "${outside}".`, {
      why: "Ask for a scope within the agent's `allowed_scopes` and `allowed_namespaces`, or have an admin widen them.",
    });
  }
  const stray = strayAddress(agent.ipAllowlist, request.ip_allowlist);
  if (stray !== null) {
    throw new Problem("SCOPE_DENIED", `"${stray}" is not among this agent's addresses.`, {
      why: "Ask for addresses within the agent's `ip_allowlist`.",
    });
  }
}

/** One of the wanted CIDRs that does not lie within the allowed ones, where there are such; else null. */
export function strayAddress(allowed: readonly string[], wanted: readonly string[]): string | null {
  if (allowed.length === 0) return null;
  return wanted.find((cidr) => !coversCidr(allowed, cidr)) ?? null;
}
