import type { TokenId } from "../base/ids.ts";
import type { Ancestor } from "./ancestor.ts";
import type { ChargeRequest, LineMember } from "./charge.ts";
import type { Grant } from "./grant.ts";

/** A token, its parent, and so on up to the one that an agent asked for: so many at most. */
export const MAX_LINE = 5;

/** What tells where in its line a grant stands. */
type Descendant = Pick<Grant, "tokenId" | "expiresAt" | "ancestors">;

/** The token that an agent asked for: its object holds the lives of all that descend from it. */
export function rootOf({ tokenId, expiresAt, ancestors }: Descendant): {
  readonly tokenId: TokenId;
  readonly expiresAt: number;
} {
  return ancestors[0] ?? { tokenId, expiresAt };
}

/** What descends from the root, down to the grant itself; nothing for a root. */
export function lineIds({ tokenId, ancestors }: Pick<Grant, "tokenId" | "ancestors">): readonly TokenId[] {
  return ancestors.length === 0 ? [] : [...ancestors.slice(1).map((each) => each.tokenId), tokenId];
}

/** Whether one of `ids` is the grant or a token that it descends from. */
export function isInLine({ tokenId, ancestors }: Grant, ids: readonly TokenId[]): boolean {
  return ids.includes(tokenId) || ancestors.some((each) => ids.includes(each.tokenId));
}

/**
 * What a charge of a grant is held against: the root's limits, and those of each token below it. Addresses are the
 * grant's own, which lie within those of all above it.
 */
export function limitsOf(
  grant: Grant,
): Pick<ChargeRequest, "tokenId" | "ipAllowlist" | "maxUses" | "rate" | "expiresAt" | "line"> {
  const { tokenId, ipAllowlist, maxUses, rate, expiresAt, ancestors } = grant;
  const [root, ...between] = ancestors;
  if (root === undefined) return { tokenId, ipAllowlist, maxUses, rate, expiresAt };
  const line: readonly LineMember[] = [...between, grant].map(memberOf);
  return { tokenId, ipAllowlist, maxUses: root.maxUses, rate: root.rate, expiresAt: root.expiresAt, line };
}

function memberOf({ tokenId, maxUses, rate, expiresAt }: Ancestor): LineMember {
  return { tokenId, maxUses, rate, expiresAt };
}
