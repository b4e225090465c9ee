import { and, eq, isNull } from "drizzle-orm";
import type { Database } from "../base/database.ts";
import type { AgentId, TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { TrustTier } from "./approval-need.ts";
import { agents } from "./tables.ts";

/** A workload identity. Times are milliseconds since 1970. */
export interface Agent {
  readonly id: AgentId;
  readonly name: string;
  readonly description: string;
  readonly allowedNamespaces: readonly string[];
  readonly allowedScopes: readonly string[];
  /** Canonical CIDRs; empty: from anywhere. */
  readonly ipAllowlist: readonly string[];
  readonly trustTier: TrustTier;
  readonly disabled: boolean;
  /** When one of its keys was last used, some minutes behind. */
  readonly lastSeenAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Null where there is none, or no longer. */
export async function findAgent(db: Database, tenantId: TenantId, agentId: AgentId): Promise<Agent | null> {
  const rows = await db.of(tenantId).select().from(agents).where(isLiveAgent(agentId));
  return rows[0] === undefined ? null : agentFromRow(rows[0]);
}

/** Throws NOT_FOUND. */
export async function mustFindAgent(db: Database, tenantId: TenantId, agentId: AgentId): Promise<Agent> {
  const agent = await findAgent(db, tenantId, agentId);
  if (agent === null) throw new Problem("NOT_FOUND", "There is no such agent.");
  return agent;
}

export function isLiveAgent(agentId: AgentId) {
  return and(eq(agents.id, agentId), isNull(agents.deletedAt));
}

export function agentFromRow(row: typeof agents.$inferSelect): Agent {
  const { tenantId: _tenantId, disabledAt, deletedAt: _deletedAt, ...agent } = row;
  return { ...agent, disabled: disabledAt !== null };
}
