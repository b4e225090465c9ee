import { and, inArray, isNull, lt } from "drizzle-orm";
import type { AuditLog } from "../audit/audit.ts";
import type { AuditEvent } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TenantId, TokenId } from "../base/ids.ts";
import type { Jurisdiction } from "../base/jurisdiction.ts";
import type { TokenObject } from "./charge.ts";
import { tokens } from "./tables.ts";

const AT_ONCE = 400;
const MARKED_AT_ONCE = 50;
/** A call that was charged in a token's last moment may still be telling its outcome. */
const SETTLED_AFTER_MS = 10 * 60_000;

/**
 * Closes tokens that expired a while ago: their objects hand over what is left and forget everything, the ledger gets
 * one `token.expired` for each that was neither revoked nor closed. Safe to run twice: event ids are the tokens' own.
 */
export async function closeExpired(parts: {
  readonly db: Database;
  /** Of whose tokens; left out: of those that have none. */
  readonly jurisdiction?: Jurisdiction | null;
  readonly audit: Pick<AuditLog, "append">;
  readonly clock: Clock;
  readonly object: (tokenId: TokenId) => Pick<TokenObject, "close">;
}): Promise<number> {
  const { db, audit, clock, object } = parts;
  const now = clock();
  const expired = await db
    .acrossTenants("tokens that have expired", parts.jurisdiction)
    .select()
    .from(tokens)
    .where(and(lt(tokens.expiresAt, now - SETTLED_AFTER_MS), isNull(tokens.closedAt)))
    .limit(AT_ONCE);
  const byTenant = new Map<TenantId, AuditEvent[]>();
  const closed = new Map<TenantId, TokenId[]>();
  for (const token of expired) {
    // A child lives in its root's object, which is closed with the root.
    if (token.rootId === null && !(await object(token.id).close())) continue;
    closed.set(token.tenantId, [...(closed.get(token.tenantId) ?? []), token.id]);
    if (token.revokedAt !== null) continue;
    const events = byTenant.get(token.tenantId) ?? [];
    events.push(expiredEvent(token.id, token.agentId, token.expiresAt));
    byTenant.set(token.tenantId, events);
  }
  for (const [tenantId, events] of byTenant) {
    const answer = await audit.append(tenantId, events, { redelivery: true });
    if (!answer.ok) return 0;
  }
  for (const [tenantId, ids] of closed) {
    for (let start = 0; start < ids.length; start += MARKED_AT_ONCE) {
      const part = ids.slice(start, start + MARKED_AT_ONCE);
      await db.of(tenantId).update(tokens).set({ closedAt: now }).where(inArray(tokens.id, part));
    }
  }
  return [...closed.values()].flat().length;
}

function expiredEvent(tokenId: TokenId, agentId: string, expiresAt: number): AuditEvent {
  return {
    id: `${tokenId}.expired`,
    event_type: "token.expired",
    resource_type: "token",
    resource: tokenId,
    actor: "system",
    ip_address: null,
    user_agent: null,
    outcome: "success",
    timestamp: new Date(expiresAt).toISOString(),
    context: { agent_id: agentId },
  };
}
