import { and, asc, desc, eq, gt, isNull, lt, sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { failedOn } from "../base/constraint-failure.ts";
import type { Database, Statement } from "../base/database.ts";
import type { AgentId, PolicyId, TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { tenantRow } from "../base/tenant-epoch.ts";
import type { Policy } from "./policy.ts";
import { policies, policyVersions, type PolicyContent } from "./tables.ts";

export type PolicyRow = typeof policies.$inferSelect;
export type PolicyVersionRow = typeof policyVersions.$inferSelect;

/** What conditions may ask about an agent; the table itself is identity's. */
const agentRow = sqliteTable("agents", {
  id: text().$type<AgentId>().primaryKey(),
  tenantId: text().$type<TenantId>().notNull(),
  name: text().notNull(),
  trustTier: text().notNull(),
  deletedAt: integer(),
});

export interface AgentFacts {
  readonly name: string;
  readonly trustTier: string;
}

/** Beyond these an agent is one that no condition knows anything about, which is an error in the condition. */
const MAX_AGENTS = 10_000;

/** What a tenant's calls are decided on, from the primary, all of one moment. */
export interface PoliciesRead {
  readonly epoch: number;
  readonly policies: readonly Policy[];
  /** Null where they were not asked for. */
  readonly agents: ReadonlyMap<AgentId, AgentFacts> | null;
}

export async function readPolicies(
  db: Database,
  tenantId: TenantId,
  withAgents: boolean,
): Promise<PoliciesRead> {
  const primary = db.of(tenantId).onPrimary();
  const epoch = primary.select({ epoch: tenantRow.epoch }).from(tenantRow);
  const enabled = primary.select().from(policies).where(eq(policies.enabled, true)).orderBy(asc(policies.id));
  if (!withAgents) {
    const [epochs, rows] = await primary.batch([epoch, enabled]);
    return { epoch: epochs[0]?.epoch ?? 0, policies: rows.map(fromRow), agents: null };
  }
  const [epochs, rows, agents] = await primary.batch([
    epoch,
    enabled,
    primary
      .select({ id: agentRow.id, name: agentRow.name, trustTier: agentRow.trustTier })
      .from(agentRow)
      .where(isNull(agentRow.deletedAt))
      .limit(MAX_AGENTS),
  ]);
  return {
    epoch: epochs[0]?.epoch ?? 0,
    policies: rows.map(fromRow),
    agents: new Map(agents.map(({ id, ...facts }) => [id, facts])),
  };
}

export function fromRow({ tenantId: _tenantId, ...policy }: PolicyRow): Policy {
  return policy;
}

export function contentOf(policy: Policy): PolicyContent {
  const { id: _id, version: _version, createdAt: _createdAt, updatedAt: _updatedAt, ...content } = policy;
  return content;
}

/** Throws NOT_FOUND. */
export async function getRow(db: Database, tenantId: TenantId, id: PolicyId): Promise<PolicyRow> {
  const rows = await db.of(tenantId).select().from(policies).where(eq(policies.id, id));
  if (rows[0] === undefined) throw new Problem("NOT_FOUND", "There is no such policy.");
  return rows[0];
}

/** Those whose names come after one, by name. */
export async function listRows(
  db: Database,
  tenantId: TenantId,
  after: string,
  limit: number,
): Promise<readonly PolicyRow[]> {
  return db
    .of(tenantId)
    .select()
    .from(policies)
    .where(gt(policies.name, after))
    .orderBy(asc(policies.name))
    .limit(limit);
}

/** Those below a version, the newest first; also of a policy that is deleted. */
export async function versionRows(
  db: Database,
  tenantId: TenantId,
  id: PolicyId,
  below: number,
  limit: number,
): Promise<readonly PolicyVersionRow[]> {
  return db
    .of(tenantId)
    .select()
    .from(policyVersions)
    .where(and(eq(policyVersions.policyId, id), lt(policyVersions.version, below)))
    .orderBy(desc(policyVersions.version))
    .limit(limit);
}

export function insertRow(db: Database, tenantId: TenantId, policy: Policy): Statement {
  return db.of(tenantId).insert(policies).values(policy);
}

export function updateRow(db: Database, row: PolicyRow, policy: Policy): Statement {
  return db.of(row.tenantId).update(policies).set(policy).where(eq(policies.id, row.id));
}

export function deleteRow(db: Database, row: PolicyRow): Statement {
  return db.of(row.tenantId).delete(policies).where(eq(policies.id, row.id));
}

/** Fails where the version is there: two changes of what was read at one version cannot both be made. */
export function insertVersion(
  db: Database,
  tenantId: TenantId,
  version: Omit<PolicyVersionRow, "tenantId">,
): Statement {
  return db.of(tenantId).insert(policyVersions).values(version);
}

/**
 * After a change in its batch: makes it fail where the tenant would have more policies than `max`, or more characters
 * of conditions than `maxCharacters`, by taking every name away, which cannot be done.
 */
export function unlessTooMany(
  db: Database,
  tenantId: TenantId,
  { max, maxCharacters }: { readonly max: number; readonly maxCharacters: number },
): Statement {
  return db
    .of(tenantId)
    .update(policies)
    .set({ name: sql`null` })
    .where(
      sql`(select count(*) from policies where tenant_id = ${tenantId}) > ${max}
        or (select sum(length(condition)) from policies where tenant_id = ${tenantId}) > ${maxCharacters}`,
    );
}

/** Whether a batch failed because the name is taken. */
export function isTaken(error: unknown): boolean {
  return failedOn(error, "UNIQUE constraint failed: policies.tenant_id, policies.name");
}

/** Whether a batch failed on `insertVersion`. */
export function isOvertaken(error: unknown): boolean {
  return failedOn(error, "UNIQUE constraint failed: policy_versions.");
}

/** Whether a batch failed on `unlessTooMany`. */
export function isTooMany(error: unknown): boolean {
  return failedOn(error, "NOT NULL constraint failed: policies.name");
}
