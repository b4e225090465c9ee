import { coversGlob } from "../base/glob.ts";
import { Problem } from "../base/problem.ts";
import { withinBounds } from "../base/scope.ts";
import type { ChildTokenRequest } from "./child-schemas.ts";
import type { Grant } from "./grant.ts";
import { strayAddress } from "./request-bounds.ts";
import type { CallContext, CallRule } from "./schemas.ts";

/** What a child is asked for, put together with what its parent has: nothing of it is more than the parent's. */
export type Narrowed = Pick<
  Grant,
  "scopes" | "ipAllowlist" | "maxUses" | "rate" | "allow" | "tool" | "user" | "jkt" | "context" | "expiresAt"
>;

/**
 * A child's grant, within its parent's: what is left out is the parent's, but for uses and rate, which are counted for
 * the parent anyway. Throws SCOPE_DENIED where anything asked for is more.
 */
export function narrow(parent: Grant, request: ChildTokenRequest, now: number): Narrowed {
  const bounds = { allowedScopes: parent.scopes, allowedNamespaces: [] };
  const outside = request.scopes.find((scope) => !withinBounds(bounds, scope));
  if (outside !== undefined) refuse(`the scope "${outside}"`, "Ask for scopes within the parent's.");
  const stray = strayAddress(parent.ipAllowlist, request.ip_allowlist);
  if (stray !== null) refuse(`the address "${stray}"`, "Ask for addresses within the parent's.");
  const expiresAt = request.ttl === undefined ? parent.expiresAt : Math.ceil(now / 1000 + request.ttl) * 1000;
  if (expiresAt > parent.expiresAt) {
    refuse("so long a life", "Leave `ttl` out: then it ends with its parent.");
  }
  if (request.max_uses !== undefined && parent.maxUses !== null && request.max_uses > parent.maxUses) {
    refuse("so many uses", `Its parent has ${parent.maxUses} in all.`);
  }
  const wide = request.allow?.find((rule) => !coversRule(parent.allow, rule));
  if (wide !== undefined) {
    refuse(
      `these calls of "${wide.connection}"`,
      "Each rule of `allow` must lie within one of the parent's.",
    );
  }
  return {
    scopes: request.scopes,
    ipAllowlist: request.ip_allowlist.length > 0 ? request.ip_allowlist : parent.ipAllowlist,
    maxUses: request.max_uses ?? null,
    rate: request.rate ?? null,
    allow: request.allow ?? parent.allow,
    tool: same("tool", parent.tool, request.tool),
    user: same("user", parent.user, request.user),
    // To say which key is to prove it took the parent's own proof.
    jkt: request.dpop_jkt ?? parent.jkt,
    context: mergeContext(parent.context, request.context),
    expiresAt,
  };
}

/** Whether each call that `inner` covers is covered by `outer`; null covers all. */
function coversRule(outer: readonly CallRule[] | null, inner: CallRule): boolean {
  if (outer === null) return true;
  const may = outer.filter(
    (rule) =>
      coversGlob(rule.connection, inner.connection) &&
      (rule.methods === undefined || inner.methods?.every((method) => rule.methods?.includes(method))),
  );
  if (may.some((rule) => rule.paths === undefined)) return true;
  if (inner.paths === undefined) return false;
  return inner.paths.every((path) =>
    may.some((rule) => rule.paths?.some((allowed) => coversGlob(allowed, path))),
  );
}

/** A child may give its own reason; who and what its parent is for stands. */
function mergeContext(parent: CallContext, own: CallContext): CallContext {
  for (const name of ["user", "workflow", "tool"] as const) same(`context.${name}`, parent[name], own[name]);
  return { ...parent, ...own };
}

function same(name: string, had: string | null | undefined, wanted: string | undefined): string | null {
  if (had === null || had === undefined) return wanted ?? null;
  if (wanted !== undefined && wanted !== had) {
    refuse(`another \`${name}\``, "Its parent is for one, which stands: leave it out.");
  }
  return had;
}

function refuse(what: string, why: string): never {
  throw new Problem("SCOPE_DENIED", `A child of this token may not have ${what}.`, { why });
}
