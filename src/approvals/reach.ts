import { allows } from "../base/scope.ts";
import type { SecretUse } from "../connections/secret-use.ts";
import type { SecretTier } from "../identity/approval-need.ts";
import type { StrictSecret } from "../vault/strict-secrets.ts";

/** What a request for a token would reach above the standard tier, as people are shown it. */
export interface Reach {
  /** How many secrets; null: more than are looked through. */
  readonly secrets: number | null;
  /** The first of them, by path. */
  readonly shown: readonly Pick<StrictSecret, "path" | "tier">[];
  /** Connections through which it uses one. */
  readonly connections: readonly string[];
}

export interface Reached {
  readonly tier: SecretTier;
  readonly reach: Reach;
  /** All of the secrets; null: more than are looked through. */
  readonly secrets: readonly StrictSecret[] | null;
  /** All of the connections through which it uses one. */
  readonly connections: readonly Pick<SecretUse, "slug" | "updatedAt">[];
}

/** Of scopes that are about no secret. */
export const NOTHING_REACHED: Reached = {
  tier: "standard",
  reach: { secrets: 0, shown: [], connections: [] },
  secrets: [],
  connections: [],
};

const SHOWN = 20;
const SECRET_ACTIONS = ["read", "use", "write", "delete"] as const;

/**
 * What scopes reach of a tenant's strict secrets: directly, by any action on secrets, or through connections that use
 * them. A wildcard reaches whatever it matches now. Where there are too many to look through (null), any scope on secrets
 * or connections reaches the strictest. Pure.
 */
export function reachOf(
  scopes: readonly string[],
  strict: readonly StrictSecret[] | null,
  uses: readonly SecretUse[] | null,
): Reached {
  if (strict === null || uses === null) {
    const reach = { secrets: null, shown: [], connections: [] };
    return { tier: "critical", reach, secrets: null, connections: [] };
  }
  const called = uses.filter(({ slug }) => allows(scopes, "connections", "call", slug));
  const usedBy = new Set(called.flatMap(({ secrets }) => secrets));
  const isReached = ({ path }: StrictSecret): boolean =>
    usedBy.has(path) || SECRET_ACTIONS.some((action) => allows(scopes, "secrets", action, path));
  const reached = strict.filter(isReached);
  const paths = new Set(reached.map(({ path }) => path));
  const connections = called.filter(({ secrets }) => secrets.some((path) => paths.has(path)));
  return {
    tier: strictestOf(reached),
    reach: {
      secrets: reached.length,
      shown: reached.slice(0, SHOWN).map(({ path, tier }) => ({ path, tier })),
      connections: connections.slice(0, SHOWN).map(({ slug }) => slug),
    },
    secrets: reached,
    connections,
  };
}

function strictestOf(reached: readonly StrictSecret[]): SecretTier {
  if (reached.length === 0) return "standard";
  return reached.some(({ tier }) => tier === "critical") ? "critical" : "sensitive";
}
