import type { AuditEvent } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { MemberId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { MemberCaller, Role } from "./caller.ts";
import { KIN_FOR_MS, type Kinship } from "./kinship.ts";

/**
 * Who raised it before is kept for as long as it counts: raised once more by somebody else, it was raised by both
 * (attacks 74, 96).
 */
export const RAISED = `role = ?3, raised_at = ?7, raised_by = case
  when raised_at is null or raised_at <= ?5 then ?8
  when instr(raised_by, ?8) > 0 then raised_by
  else raised_by || ' ' || ?8 end`;

/** Whether a role lets its holder approve, or decide more, than before. */
export function isRaised(before: Role, after: Role): boolean {
  return after === "admin" || (after === "editor" && before !== "admin");
}

/** Changes to who may act for a tenant, which always keeps an admin who can. */
export class MemberChanges {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #kinship: Pick<Kinship, "requireVetted">;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    readonly kinship: Pick<Kinship, "requireVetted">;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#kinship = parts.kinship;
  }

  /**
   * One change to one member, with its event and only if an admin is left who can act: all in one batch, so that two
   * admins who remove each other at the same time do not both succeed. By a script, or whom one let in, only if one is
   * left who has been here for a day, or before the member: somebody is to notice (attack 96). In SQL of its own:
   * drizzle has no guarded insert. Throws CONFLICT.
   */
  async apply(
    caller: MemberCaller,
    memberId: MemberId,
    change: {
      /** It leaves as many admins as there are. */
      readonly isHarmless: boolean;
      /** Of the member's row; the values are `?3`, then `?7` and on; `?5` is a day ago. */
      readonly set: typeof RAISED | "role = ?3" | "revoked_at = ?3";
      readonly values: readonly [string | number, ...(string | number)[]];
      readonly event: AuditEvent;
      readonly endSessions?: boolean;
    },
  ): Promise<void> {
    const { tenantId } = caller;
    const { $client: client } = this.#db.of(tenantId);
    const mayBe = `tenant_id = ?1 and id = ?2 and revoked_at is null and (?4 = 1 or role <> 'admin' or exists (
      select 1 from members other where other.tenant_id = ?1 and other.id <> ?2 and other.role = 'admin'
      and other.script <= members.script
      and (?6 = 0 or members.script = 1 or (coalesce(other.raised_at, 0) <= ?5
        and (other.joined_at <= ?5 or other.joined_at <= members.joined_at)))
      and other.revoked_at is null and (other.invited_at is null or other.joined_at is not null)))`;
    const harmless = change.isHarmless ? 1 : 0;
    const since = this.#clock() - KIN_FOR_MS;
    const isWatched = harmless === 0 && (await this.#isLetInByScript(caller)) ? 1 : 0;
    const [value, ...more] = change.values;
    const [written] = await client.batch([
      client
        .prepare(
          `insert into audit_outbox (tenant_id, event) select ?1, ?3 where exists (select 1 from members where ${mayBe})
           returning seq`,
        )
        .bind(tenantId, memberId, JSON.stringify(change.event), harmless, since, isWatched),
      client
        .prepare(`update members set ${change.set} where ${mayBe}`)
        .bind(tenantId, memberId, value, harmless, since, isWatched, ...more),
      ...(change.endSessions
        ? [
            client
              .prepare(
                `delete from sessions where tenant_id = ?1 and member_id = ?2 and exists (
                   select 1 from members where tenant_id = ?1 and id = ?2 and revoked_at is not null)`,
              )
              .bind(tenantId, memberId),
          ]
        : []),
    ]);
    if (written?.results.length !== 1) {
      throw new Problem("CONFLICT", "The tenant would have no admin left, or none who is a person.", {
        why: isWatched
          ? "Make somebody else an admin first, and wait for 24 hours after they signed in; or have an admin who signs in do this."
          : "Make somebody else an admin first, and let them sign in.",
      });
    }
  }

  /** Or is one: what it does, others must be able to notice. */
  async #isLetInByScript(caller: MemberCaller): Promise<boolean> {
    if (caller.script) return true;
    try {
      await this.#kinship.requireVetted(caller);
      return false;
    } catch (error) {
      if (error instanceof Problem && error.code === "ROLE_DENIED") return true;
      throw error;
    }
  }
}
