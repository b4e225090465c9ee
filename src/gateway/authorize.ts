import { matchesGlob } from "../base/glob.ts";
import { allows } from "../base/scope.ts";
import type { Route } from "./route.ts";
import type { GateLease } from "../identity/leases.ts";
import type { Grant } from "../tokens/grant.ts";

/** A call as it would be sent. `path` is canonical and below the connection's base URL. */
export interface Call {
  readonly method: string;
  readonly path: string;
}

export type Decision =
  /** Within all bounds. */
  | { readonly kind: "allow" }
  | {
      readonly kind: "deny";
      readonly code: "TENANT_FROZEN" | "SCOPE_DENIED" | "PATH_REFUSED";
      readonly reason: string;
      readonly detail: string;
      readonly why: string;
    };

/** Matching takes time with the length of the path and of the patterns: both are bounded (attack 88). */
const MAX_RULED_PATH = 4_096;

const ALLOW: Decision = { kind: "allow" };

type Denial = Extract<Decision, { kind: "deny" }>;

function deny(code: Denial["code"], reason: string, detail: string, why: string): Denial {
  return { kind: "deny", code, reason, detail, why };
}

/** Which of a connection's rules lets a call through: its index, -1 where none does. */
export function connectionRule(rules: NonNullable<Route["allow"]>, call: Call): number {
  return rules.findIndex((rule) => matchesRule(rule, call));
}

/** Which of a token's rules covers a call of a connection: its index, -1 where none does. */
export function tokenRule(rules: NonNullable<Grant["allow"]>, slug: string, call: Call): number {
  return rules.findIndex((rule) => matchesGlob(rule.connection, slug) && matchesRule(rule, call));
}

function matchesRule(
  rule: { readonly methods?: readonly string[] | undefined; readonly paths?: readonly string[] | undefined },
  call: Call,
): boolean {
  return (
    (rule.methods === undefined || rule.methods.includes(call.method)) &&
    (rule.paths === undefined || rule.paths.some((path) => matchesGlob(path, call.path)))
  );
}

/** Whether the token's scopes reach a connection at all: asked before it is known whether the connection exists. */
export function mayCall(grant: Grant, slug: string): Decision {
  if (allows(grant.scopes, "connections", "call", slug)) return ALLOW;
  return deny(
    "SCOPE_DENIED",
    "scope",
    `This token may not call the connection "${slug}".`,
    `Ask for a token with the scope "connections:call:${slug}".`,
  );
}

/** One of each kind that servers know, and one that none does. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "LINK"];

/**
 * Whether a call that is allowed would be with any method: then none that its body names matters (attack 28). Policies
 * and permissions are rules about methods as well, whatever they say.
 */
export function isMethodFree(
  grant: Grant,
  lease: GateLease,
  route: Route,
  path: string,
  isPoliced: boolean,
): boolean {
  if (isPoliced || grant.permission !== null) return false;
  if (route.allow === null && grant.allow === null) return true;
  return METHODS.every((method) => authorize(grant, lease, route, { method, path }, false).kind === "allow");
}

/** Whether a connection lets a call through that is within its bounds, and of which no policy says anything. */
export function isOpen(route: Route): boolean {
  return route.allow !== null || route.default === "allow";
}

/** The refusal of a call that nothing opens a connection for. */
export function closed(route: Route, call: Call): Denial {
  return deny(
    "SCOPE_DENIED",
    "connection-rule",
    `The connection "${route.slug}" does not let ${call.method} ${call.path} through.`,
    "Ask an editor of this tenant to add the call to the connection's `allow` list, or for a policy that allows it.",
  );
}

/**
 * grant × connection × the actual call → within the bounds, or denied. Pure; whatever is not covered is refused. What a
 * connection that denies by default lets through is for its policies to say, where there are any (`isPoliced`). (That a
 * grant is not revoked is asked before, as part of who calls: `tokens/watermarks.ts`.)
 */
export function authorize(
  grant: Grant,
  lease: GateLease,
  route: Route,
  call: Call,
  isPoliced: boolean,
): Decision {
  if (lease.frozen) {
    return deny(
      "TENANT_FROZEN",
      "frozen",
      "All calls of this tenant are stopped.",
      "An admin must lift the freeze first.",
    );
  }
  const scope = mayCall(grant, route.slug);
  if (scope.kind === "deny") return scope;
  const isRuled = route.allow !== null || grant.allow !== null || grant.permission !== null;
  if (isRuled && call.path.length > MAX_RULED_PATH) {
    return deny(
      "PATH_REFUSED",
      "path-length",
      "The path is too long to be held against the rules for this call.",
      `Where a connection or a token is narrowed to paths, they may have ${MAX_RULED_PATH} characters.`,
    );
  }
  const where = `${call.method} ${call.path}`;
  if (route.allow !== null ? connectionRule(route.allow, call) < 0 : !isOpen(route) && !isPoliced) {
    return closed(route, call);
  }
  if (grant.allow !== null && tokenRule(grant.allow, route.slug, call) < 0) {
    return deny(
      "SCOPE_DENIED",
      "token-rule",
      `This token is narrowed to other calls than ${where}.`,
      "Ask for a token whose `allow` covers the call.",
    );
  }
  return ALLOW;
}
