import { and, desc, gt, isNotNull, isNull } from "drizzle-orm";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TokenId } from "../base/ids.ts";
import type { Jurisdiction } from "../base/jurisdiction.ts";
import type { TokenObject } from "./charge.ts";
import { grantOf } from "./grant.ts";
import { rootOf } from "./line.ts";
import { tokens } from "./tables.ts";

const AT_ONCE = 400;
const BESIDE_EACH_OTHER = 20;

/**
 * Tells the objects of tokens that the index says are revoked, and that have not expired, that they are: a row may have
 * been marked without them (a restored database, a hand). The newest first, a bounded number; an object that knows
 * already does nothing.
 */
export async function tellRevoked(parts: {
  readonly db: Database;
  /** Of whose tokens; left out: of those that have none. */
  readonly jurisdiction?: Jurisdiction | null;
  readonly clock: Clock;
  readonly object: (tokenId: TokenId) => Pick<TokenObject, "revoke">;
}): Promise<void> {
  const { db, clock, object } = parts;
  const rows = await db
    .acrossTenants("tokens that were revoked", parts.jurisdiction)
    .select()
    .from(tokens)
    .where(and(gt(tokens.expiresAt, clock()), isNull(tokens.closedAt), isNotNull(tokens.revokedAt)))
    .orderBy(desc(tokens.revokedAt))
    .limit(AT_ONCE);
  for (let start = 0; start < rows.length; start += BESIDE_EACH_OTHER) {
    const part = rows.slice(start, start + BESIDE_EACH_OTHER);
    // One that does not answer is asked again by the next sweep.
    await Promise.allSettled(
      part.map((row) => {
        const { tokenId, expiresAt, ...token } = grantOf(row);
        const root = rootOf({ tokenId, expiresAt, ...token });
        const child = row.rootId === null ? undefined : { tokenId, expiresAt };
        return object(root.tokenId).revoke(row.tenantId, root.expiresAt, child);
      }),
    );
  }
}
