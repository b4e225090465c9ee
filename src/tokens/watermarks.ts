import { allows } from "../base/scope.ts";
import type { Grant } from "./grant.ts";

/** `kind:key` → the epoch below which grants are refused (see identity/changes.ts for the kinds). */
export type Watermarks = Readonly<Record<string, number>>;

/** What a use would touch. */
export interface UseTargets {
  readonly connection: string | null;
  readonly secrets: readonly string[];
  /** Tiers and types of those secrets; null where they are not known: then any class counts. */
  readonly classes: readonly string[] | null;
}

/**
 * Whether a grant was issued before a watermark that it falls under: bulk revocation is one write, complete however
 * many tokens there are. A rotation (`plaintext`) refuses the tokens that could have read the old value, and no others:
 * calls through connections go on with the new one.
 */
export function isBelowWatermark(grant: Grant, watermarks: Watermarks, targets: UseTargets): boolean {
  // Most tenants have revoked nothing in bulk for a day.
  if (isEmpty(watermarks)) return false;
  const below = (key: string): boolean => {
    const mark = watermarks[key];
    return mark !== undefined && grant.epoch < mark;
  };
  if (below("tenant:*") || below(`agent:${grant.agentId}`)) return true;
  if (targets.connection !== null && below(`connection:${targets.connection}`)) return true;
  if (targets.secrets.some((path) => below(`secret:${path}`))) return true;
  if (targets.classes !== null) {
    if (targets.classes.some((name) => below(`class:${name}`))) return true;
  } else if (Object.keys(watermarks).some((key) => key.startsWith("class:") && below(key))) {
    return true;
  }
  // With a token that could have read the old value goes all that descends from it.
  const scopes = grant.ancestors[0]?.scopes ?? grant.scopes;
  if (!scopes.some((scope) => scope.startsWith("secrets:"))) return false;
  return Object.keys(watermarks).some(
    (key) =>
      key.startsWith("plaintext:") &&
      below(key) &&
      allows(scopes, "secrets", "read", key.slice("plaintext:".length)),
  );
}

function isEmpty(watermarks: Watermarks): boolean {
  for (const _key in watermarks) return false;
  return true;
}
