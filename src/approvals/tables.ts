import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { AgentId, ApprovalId, MemberId, TenantId } from "../base/ids.ts";
import type { SecretTier } from "../identity/approval-need.ts";
import type { TokenRequest } from "../tokens/schemas.ts";
import type { Reach } from "./reach.ts";

/** What one person said. Of several by the same person, or the same subject under another account, one counts. */
export interface Vote {
  readonly memberId: MemberId;
  readonly decision: "approve" | "deny";
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly reason: string | null;
}

/** As it is stored; one that is pending after its time is expired, whether that is written down yet or not. */
export type ApprovalStatus = "pending" | "approved" | "denied" | "expired" | "cancelled";

/** Requests that wait, or waited, for people. All times are milliseconds since 1970. */
export const approvals = sqliteTable(
  "approvals",
  {
    id: text().$type<ApprovalId>().primaryKey(),
    tenantId: text().$type<TenantId>().notNull(),
    agentId: text().$type<AgentId>().notNull(),
    /** SHA-256 of the request in canonical JSON: what is approved is this and nothing else. */
    digest: text().notNull(),
    /** What people are shown. */
    request: text({ mode: "json" }).$type<TokenRequest>().notNull(),
    reach: text({ mode: "json" }).$type<Reach>().notNull(),
    /** The strictest that it reaches. */
    tier: text().$type<SecretTier>().notNull(),
    /** How many different people must approve, and how long after the last of them it holds. */
    approvalsNeeded: integer().notNull(),
    delaySeconds: integer().notNull(),
    /** From where it was asked. */
    ip: text(),
    status: text().$type<ApprovalStatus>().notNull(),
    votes: text({ mode: "json" }).$type<readonly Vote[]>().notNull().default([]),
    createdAt: integer().notNull(),
    /** While pending: too late for an answer from then on. Approved: too late to be used. */
    expiresAt: integer().notNull(),
    decidedAt: integer(),
    /** Approved, it holds from then on. */
    notBefore: integer(),
    /** When it was used: each is, once. */
    consumedAt: integer(),
  },
  (table) => [
    // The same request does not wait twice.
    uniqueIndex("approvals_pending")
      .on(table.tenantId, table.agentId, table.digest)
      .where(sql`status = 'pending'`),
    index("approvals_tenant").on(table.tenantId, table.id),
    index("approvals_agent").on(table.tenantId, table.agentId, table.status),
    index("approvals_expiry")
      .on(table.expiresAt)
      .where(sql`status = 'pending'`),
  ],
);
