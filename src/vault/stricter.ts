import type { Watermark } from "../identity/changes.ts";
import { type AccessTier, accessTierSchema } from "./schemas.ts";

/** What becomes of a secret's tier; `before` is null for one that was not there. */
export interface TierChange {
  readonly path: string;
  readonly before: AccessTier | null;
  readonly after: AccessTier;
}

/** Each isolate has the watermarks of a day at hand, and holds calls against them. */
const MAX_BY_PATH = 10;

/**
 * Tokens are issued according to what they reach then. Where something they reach becomes stricter, or comes to be,
 * above the standard tier, those issued before are refused for it and have to be asked for again: each such secret, or
 * where many come at once all secrets of their tiers.
 */
export function strictWatermarks(changes: readonly TierChange[]): readonly Watermark[] {
  const stricter = changes.filter(
    ({ before, after }) => strictness(after) > strictness(before ?? "standard"),
  );
  if (stricter.length <= MAX_BY_PATH) return stricter.map(({ path }) => ({ kind: "secret", key: path }));
  return [...new Set(stricter.map(({ after }) => after))].map((tier) => ({ kind: "class", key: tier }));
}

function strictness(tier: AccessTier): number {
  return accessTierSchema.options.indexOf(tier);
}
