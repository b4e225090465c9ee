import { and, eq, gt, inArray, isNotNull, isNull, or, sql } from "drizzle-orm";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { AgentId, MemberId, TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { Kinship } from "../identity/kinship.ts";
import { agentKeys, agentTrustRules, members } from "../identity/tables.ts";
import type { Case } from "./case.ts";

/** Members whom a name or an agent's newest keys lead to, at most. */
const MAX_NAMED = 50;
/** So long whoever made an agent's key may be that agent, where it takes two people. */
const NEW_FOR_MS = 24 * 3_600_000;

/** A case as far as it says who may approve it. */
type Approvable = Pick<Case, "agentId" | "approvalsNeeded" | "users" | "votes">;

/**
 * Who may approve what: people, and nobody their own request (attacks 74, 77, 79). Reads the primary: a member who was
 * removed or demoted a moment ago does not count.
 */
export class Approvers {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #kinship: Pick<Kinship, "mayBeOne" | "requireVetted">;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    readonly kinship: Pick<Kinship, "mayBeOne" | "requireVetted">;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#kinship = parts.kinship;
  }

  /** Of these, who may approve now: members, in person, of a role that may, let in by a person; each subject once. */
  async entitled(tenantId: TenantId, ids: readonly MemberId[]): Promise<readonly MemberId[]> {
    if (ids.length === 0) return [];
    const rows = await whoMayAnswer(this.#db, tenantId, ids);
    const bySubject = new Map(
      rows.map(({ id, issuer, subject }) => [JSON.stringify(subject === null ? id : [issuer, subject]), id]),
    );
    const vetted = await Promise.all(
      [...bySubject.values()].map((memberId) => this.#isVetted(tenantId, memberId)),
    );
    return [...bySubject.values()].filter((_, index) => vetted[index]);
  }

  /**
   * Throws ROLE_DENIED for who may not approve this one: for whom it is, who may be the agent where it takes two, and who
   * may be one with somebody who has approved it already. The voters it was held against.
   */
  async check(caller: MemberCaller, held: Approvable): Promise<readonly MemberId[]> {
    const { tenantId, memberId } = caller;
    const voters = held.votes.map((vote) => vote.memberId);
    await this.#checkUsers(caller, held.users);
    if (held.approvalsNeeded > 1) await this.#checkMakers(caller, held.agentId);
    for (const voter of voters) {
      if (voter === memberId) continue;
      if (!(await this.#mayBeOne(tenantId, memberId, voter))) continue;
      throw new Problem("ROLE_DENIED", "You may be one with somebody who has approved this already.", {
        why: "One of you let the other in within the last 24 hours, or both are the same account. Have another person approve.",
      });
    }
    return voters;
  }

  async #checkUsers({ tenantId, memberId }: MemberCaller, users: readonly string[]): Promise<void> {
    if (users.length === 0) return;
    const named = await this.#db
      .of(tenantId)
      .onPrimary()
      .select({ id: members.id })
      .from(members)
      .where(
        or(
          inArray(members.id, users as MemberId[]),
          inArray(members.subject, [...users]),
          inArray(
            members.email,
            users.map((user) => user.trim().toLowerCase()),
          ),
          inArray(members.name, [...users]),
        ),
      )
      .limit(MAX_NAMED);
    for (const { id } of named) {
      if (!(await this.#mayBeOne(tenantId, memberId, id))) continue;
      throw new Problem(
        "ROLE_DENIED",
        "Nobody approves their own request: this is asked for on your behalf.",
        {
          why: "Have another person approve it.",
        },
      );
    }
  }

  /** Whoever made a key, or a rule of trust, of an agent just now may be who asks by it. */
  async #checkMakers({ tenantId, memberId }: MemberCaller, agentId: AgentId): Promise<void> {
    const since = this.#clock() - NEW_FOR_MS;
    const db = this.#db.of(tenantId).onPrimary();
    const makersOf = (table: typeof agentKeys | typeof agentTrustRules) =>
      db
        .selectDistinct({ by: table.createdBy })
        .from(table)
        .where(and(eq(table.agentId, agentId), isNotNull(table.createdBy), gt(table.createdAt, since)))
        .limit(MAX_NAMED);
    const [keys, rules] = await Promise.all([makersOf(agentKeys), makersOf(agentTrustRules)]);
    for (const { by } of [...keys, ...rules]) {
      if (by === null || !(await this.#mayBeOne(tenantId, memberId, by))) continue;
      throw new Problem(
        "ROLE_DENIED",
        "You, or somebody who may be you, let this agent in within 24 hours.",
        {
          why: "What takes two people takes two others until then: whoever has just made an agent's key may be that agent.",
        },
      );
    }
  }

  async #mayBeOne(tenantId: TenantId, one: MemberId, other: MemberId): Promise<boolean> {
    if (one === other || (await this.#kinship.mayBeOne(tenantId, one, other))) return true;
    const rows = await this.#db
      .of(tenantId)
      .onPrimary()
      .select({ issuer: members.issuer, subject: members.subject })
      .from(members)
      .where(inArray(members.id, [one, other]));
    const [a, b] = rows;
    return (
      a !== undefined &&
      b !== undefined &&
      a.subject !== null &&
      a.subject === b.subject &&
      a.issuer === b.issuer
    );
  }

  async #isVetted(tenantId: TenantId, memberId: MemberId): Promise<boolean> {
    try {
      await this.#kinship.requireVetted({ tenantId, memberId, script: false });
      return true;
    } catch (error) {
      if (error instanceof Problem && error.code === "ROLE_DENIED") return false;
      throw error;
    }
  }
}

/** Of these members, those who see and answer requests right now: people, of a role that may. Reads the primary. */
export async function whoMayAnswer(
  db: Database,
  tenantId: TenantId,
  ids: readonly MemberId[],
): Promise<readonly Pick<typeof members.$inferSelect, "id" | "issuer" | "subject">[]> {
  return db
    .of(tenantId)
    .onPrimary()
    .select({ id: members.id, issuer: members.issuer, subject: members.subject })
    .from(members)
    .where(
      and(
        // Not one parameter each: D1 binds a hundred.
        sql`${members.id} in (select value from json_each(${JSON.stringify(ids)}))`,
        inArray(members.role, ["admin", "editor"]),
        eq(members.script, false),
        isNull(members.revokedAt),
      ),
    );
}
