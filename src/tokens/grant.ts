import type { AgentId, TenantId, TokenId } from "../base/ids.ts";
import type { CallContext, CallRule, Rate } from "./schemas.ts";

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
  readonly epoch: number;
  readonly issuedAt: number;
  readonly expiresAt: number;
}
