import type { Database } from "../base/database.ts";
import { Problem } from "../base/problem.ts";
import type { Grant } from "./grant.ts";
import type { IssueTerms, TokenAsker } from "./issue-terms.ts";
import { tokenEvent } from "./token-events.ts";

/** The CONFLICT that says nothing about the request: asked again, it may well be good. */
export const CHANGED_MEANWHILE = "The agent was changed while the token was being issued.";

export function changedMeanwhile(): Problem {
  return new Problem("CONFLICT", CHANGED_MEANWHILE, {
    why: "Ask again.",
  });
}

/**
 * Writes the row of a token and its event, only if the agent is, in that very statement, as it was when its bounds were
 * read. Answers the epoch that the token is of: the one its reach was looked at, or the tenant's where that is lower.
 * Throws CONFLICT (`CHANGED_MEANWHILE`).
 */
export async function insertToken(
  { db, now }: { readonly db: Database; readonly now: number },
  caller: TokenAsker,
  grant: Omit<Grant, "epoch">,
  ground: { readonly agentUpdatedAt: number; readonly epoch: number },
  evidence: IssueTerms["evidence"],
): Promise<number> {
  const client = db.of(caller.tenantId).$client;
  const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
  const { tokenId, tenantId, agentId, scopes, ipAllowlist, maxUses, rate, allow, tool, user, context } =
    grant;
  const { issuedAt, expiresAt, jkt, permission } = grant;
  // Of the epoch that its reach was looked at: what became stricter since then refuses it.
  // In SQL of its own: drizzle cannot put a guarded `insert … select` with parameters into a batch.
  const insert = client
    .prepare(
      `insert into tokens (id, tenant_id, agent_id, scopes, ip_allowlist, max_uses, rate, allow, tool, user, context,
         epoch, issued_at, expires_at, jkt, permission)
       select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, min(tenants.epoch, ?16), ?12, ?13, ?15, ?17
       from agents join tenants on tenants.id = agents.tenant_id
       where agents.tenant_id = ?2 and agents.id = ?3 and agents.updated_at = ?14
         and agents.disabled_at is null and agents.deleted_at is null
       returning epoch`,
    )
    .bind(
      ...[
        tokenId,
        tenantId,
        agentId,
        json(scopes),
        json(ipAllowlist),
        maxUses,
        json(rate),
        json(allow),
        tool,
        user,
      ],
      ...[json(context), issuedAt, expiresAt, ground.agentUpdatedAt, jkt, ground.epoch, json(permission)],
    );
  // The long ones last: what does not fit into the ledger's bound is cut off from the end.
  const narrowing = { max_uses: maxUses, rate, tool, user, scopes, ip_allowlist: ipAllowlist, allow };
  const expiry = new Date(expiresAt).toISOString();
  const event = tokenEvent(caller, now, tokenId, "token.issued", {
    ...evidence,
    ...context,
    expires_at: expiry,
    ...(jkt === null ? {} : { dpop_jkt: jkt }),
    ...(permission === null ? {} : { permission_id: permission.permissionId }),
    ...narrowing,
  });
  const record = client
    .prepare(
      `insert into audit_outbox (tenant_id, event)
       select ?1, ?2 where exists (select 1 from tokens where tenant_id = ?1 and id = ?3)`,
    )
    .bind(tenantId, JSON.stringify(event), tokenId);
  const [inserted] = await client.batch<{ epoch: number }>([insert, record]);
  const rows = inserted?.results ?? [];
  const epoch = rows[0]?.epoch;
  if (epoch !== undefined) return epoch;
  throw changedMeanwhile();
}
