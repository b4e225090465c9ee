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

function deny(
  code: Extract<Decision, { kind: "deny" }>["code"],
  reason: string,
  detail: string,
  why: string,
): Decision {
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

/** Whether a call that is allowed would be with any method: then none that its body names matters (attack 28). */
export function isMethodFree(grant: Grant, lease: GateLease, route: Route, path: string): boolean {
  if (route.allow === null && grant.allow === null) return true;
  return METHODS.every((method) => authorize(grant, lease, route, { method, path }).kind === "allow");
}

/**
 * grant × connection × the actual call → allow or deny. Pure; whatever is not covered is refused. (That a grant is not
 * revoked is asked before, as part of who calls: `tokens/watermarks.ts`.)
 */
export function authorize(grant: Grant, lease: GateLease, route: Route, call: Call): Decision {
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
  const isRuled = route.allow !== null || grant.allow !== null;
  if (isRuled && call.path.length > MAX_RULED_PATH) {
    return deny(
      "PATH_REFUSED",
      "path-length",
      "The path is too long to be held against the rules for this call.",
      `Where a connection or a token is narrowed to paths, they may have ${MAX_RULED_PATH} characters.`,
    );
  }
  const where = `${call.method} ${call.path}`;
  if (route.allow !== null ? connectionRule(route.allow, call) < 0 : route.default === "deny") {
    return deny(
      "SCOPE_DENIED",
      "connection-rule",
      `The connection "${route.slug}" does not let ${where} through.`,
      "Ask an editor of this tenant to add the call to the connection's `allow` list.",
    );
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
