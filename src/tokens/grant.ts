import type { AgentId, TenantId, TokenId } from "../base/ids.ts";
import type { Ancestor } from "./ancestor.ts";
import type { GrantedPermission } from "./permission.ts";
import type { CallContext, CallRule, Rate } from "./schemas.ts";
import type { tokens } from "./tables.ts";

/** Everything a token grants; immutable once issued, so it may be cached. Times are milliseconds since 1970. */
export interface Grant {
  readonly tokenId: TokenId;
  readonly tenantId: TenantId;
  readonly agentId: AgentId;
  readonly scopes: readonly string[];
  /** Canonical CIDRs; empty: from anywhere. */
  readonly ipAllowlist: readonly string[];
  /** null: as many as fit its life. */
  readonly maxUses: number | null;
  readonly rate: Rate | null;
  /** null: whatever the scopes cover. */
  readonly allow: readonly CallRule[] | null;
  readonly tool: string | null;
  readonly user: string | null;
  /** The thumbprint of the key that its sender must prove with each use (RFC 9449); null: none. */
  readonly jkt: string | null;
  readonly context: CallContext;
  /** What the token of a permission is bound to; null: it is none. */
  readonly permission: GrantedPermission | null;
  /** The tenant's epoch when it was issued; a child's is its parent's, so that what refuses the one refuses the other. */
  readonly epoch: number;
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** The tokens it descends from, the root first; none for one that an agent asked for. */
  readonly ancestors: readonly Ancestor[];
}

/** What a row of the token index grants. */
export function grantOf(row: typeof tokens.$inferSelect): Grant {
  const { id, parentId: _p, rootId: _r, revokedAt: _revokedAt, closedAt: _closedAt, ...grant } = row;
  return { tokenId: id, ...grant };
}
