import type { TokenId } from "../base/ids.ts";
import type { Rate } from "./schemas.ts";

/** A token from which another descends, with what holds for its descendants as well; as immutable as a grant. */
export interface Ancestor {
  readonly tokenId: TokenId;
  readonly scopes: readonly string[];
  readonly maxUses: number | null;
  readonly rate: Rate | null;
  readonly issuedAt: number;
  readonly expiresAt: number;
}
