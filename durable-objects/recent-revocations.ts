import type { AgentId, TokenId } from "../src/base/ids.ts";
import type { GateLease, RevokedToken } from "../src/identity/leases.ts";

/** Longer than any stream goes without a new lease. */
const KEPT_MS = 60_000;
/** So many tokens are told by name, and so many agents. */
const MAX_NAMED = 1_000;

/** Tokens that were revoked by themselves of late, each with when that was. A plain value, to be stored as it is. */
export interface RecentRevocations {
  readonly tokens: readonly (RevokedToken & { readonly at: number })[];
  /** Where they became too many: of these agents' tokens all that were issued until then. `*`: of every agent's. */
  readonly folded: readonly (readonly [agentId: AgentId | "*", issuedUntil: number, at: number])[];
}

export const NO_REVOCATIONS: RecentRevocations = { tokens: [], folded: [] };

/**
 * With one more. Beyond 1,000, the agent that has the most is folded into one mark, which its other tokens fall under
 * as well: stricter, and safe. So whoever revokes in masses cuts no other agent's streams.
 */
export function withRevoked(recent: RecentRevocations, token: RevokedToken, now: number): RecentRevocations {
  const kept = keptAt(recent, now);
  const tokens = [...kept.tokens.filter(({ tokenId }) => tokenId !== token.tokenId), { ...token, at: now }];
  if (tokens.length <= MAX_NAMED) return { ...kept, tokens };
  const byAgent = [...Map.groupBy(tokens, ({ agentId }) => agentId).values()];
  const most = byAgent.reduce((a, b) => (b.length > a.length ? b : a));
  const agentId = most[0]?.agentId ?? token.agentId;
  const folded = fold(kept.folded, agentId, Math.max(...most.map(({ issuedAt }) => issuedAt)), now);
  return { tokens: tokens.filter((each) => each.agentId !== agentId), folded };
}

function fold(
  folded: RecentRevocations["folded"],
  agentId: AgentId,
  issuedUntil: number,
  now: number,
): RecentRevocations["folded"] {
  const earlier = folded.find(([id]) => id === agentId)?.[1] ?? 0;
  const marks = [
    ...folded.filter(([id]) => id !== agentId),
    [agentId, Math.max(issuedUntil, earlier), now] as const,
  ];
  if (marks.length <= MAX_NAMED) return marks;
  return [["*", Math.max(...marks.map(([, until]) => until)), now]];
}

/** What a lease says of them. */
export function toldAt(recent: RecentRevocations, now: number): Pick<GateLease, "revoked" | "revokedUntil"> {
  const { tokens, folded } = keptAt(recent, now);
  const revoked: readonly TokenId[] = tokens.map(({ tokenId }) => tokenId);
  return { revoked, revokedUntil: Object.fromEntries(folded.map(([id, until]) => [id, until])) };
}

function keptAt({ tokens, folded }: RecentRevocations, now: number): RecentRevocations {
  if (tokens.length === 0 && folded.length === 0) return NO_REVOCATIONS;
  const isRecent = (at: number): boolean => now - at < KEPT_MS;
  return {
    tokens: tokens.filter(({ at }) => isRecent(at)),
    folded: folded.filter(([, , at]) => isRecent(at)),
  };
}
