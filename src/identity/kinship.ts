import { and, eq, gt, isNotNull, or } from "drizzle-orm";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { MemberId, TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { MemberCaller } from "./caller.ts";
import { enrolments, identityProviders, members } from "./tables.ts";

/** So long the others have to notice who was let in, before that one counts as somebody else's second person. */
export const KIN_FOR_MS = 24 * 3_600_000;

/** Who let whom in, or raised whose role, within the last day: whoever did may be that person. */
interface Kin {
  /** By the one who was let in. */
  readonly makers: ReadonlyMap<MemberId, readonly MemberId[]>;
  readonly scripts: ReadonlySet<MemberId>;
}

/**
 * Whether two are two. A person is let in by a code that an admin made, by an invitation, or by an identity provider that
 * an admin added, and each of these can be used by its maker: who needs a second person must not have made one up just
 * now, nor through one made up before (attack 74). Nor may a credential for scripts, which is no person, make itself one
 * (attack 96).
 */
export class Kinship {
  readonly #db: Database;
  readonly #clock: Clock;

  constructor(parts: { readonly db: Database; readonly clock: Clock }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
  }

  /** Whether one of two persons may be the other, through however many who came within the last day. */
  async mayBeOne(tenantId: TenantId, one: MemberId, other: MemberId): Promise<boolean> {
    const { makers, scripts } = await this.#kin(tenantId, null);
    const near = new Map<MemberId, MemberId[]>();
    const join = (from: MemberId, to: MemberId) => near.set(from, [...(near.get(from) ?? []), to]);
    for (const [made, by] of makers) {
      // Through a script nobody is joined: the first admins all come by the same one.
      for (const maker of by.filter((each) => !scripts.has(each))) {
        join(made, maker);
        join(maker, made);
      }
    }
    return reach(one, (member) => near.get(member) ?? []).has(other);
  }

  /**
   * Throws ROLE_DENIED for a person whom a credential for scripts let in, or made an admin or editor, within the last day,
   * at first or second hand, when an admin was there already who could have.
   */
  async requireVetted({
    tenantId,
    memberId,
    script,
  }: Pick<MemberCaller, "tenantId" | "memberId" | "script">): Promise<void> {
    if (script) return;
    const since = await this.#firstAdminJoinedAt(tenantId, memberId);
    if (since === null) return;
    const { makers, scripts } = await this.#kin(tenantId, since);
    const line = reach(memberId, (member) => (scripts.has(member) ? [] : (makers.get(member) ?? [])));
    if (![...line].some((member) => scripts.has(member))) return;
    throw new Problem(
      "ROLE_DENIED",
      "A credential for scripts let you in, or raised your role, within the last 24 hours.",
      {
        why: "Wait, or have an admin who signs in do so. Until then you neither approve nor read plaintext.",
      },
    );
  }

  /** `since`: what was done up to then, in milliseconds since 1970, does not count against a script. */
  async #kin(tenantId: TenantId, since: number | null): Promise<Kin> {
    const db = this.#db.of(tenantId);
    const from = this.#clock() - KIN_FOR_MS;
    const [codes, people, providers] = await Promise.all([
      db
        .select({ memberId: enrolments.memberId, by: enrolments.createdBy, at: enrolments.createdAt })
        .from(enrolments)
        .where(and(isNotNull(enrolments.spentAt), gt(enrolments.spentAt, from))),
      db
        .select({
          id: members.id,
          script: members.script,
          issuer: members.issuer,
          by: members.invitedBy,
          at: members.invitedAt,
          joinedAt: members.joinedAt,
          raisedBy: members.raisedBy,
          raisedAt: members.raisedAt,
        })
        .from(members)
        .where(or(eq(members.script, true), gt(members.joinedAt, from), gt(members.raisedAt, from))),
      db
        .select({
          issuer: identityProviders.issuer,
          by: identityProviders.createdBy,
          at: identityProviders.createdAt,
        })
        .from(identityProviders)
        .where(gt(identityProviders.createdAt, from)),
    ]);
    const scripts = new Set(people.filter(({ script }) => script).map(({ id }) => id));
    const makers = new Map<MemberId, MemberId[]>();
    const made = (id: MemberId, by: MemberId | null, at: number | null) => {
      const isEarly = by !== null && scripts.has(by) && since !== null && (at ?? 0) <= since;
      if (by !== null && !isEarly) makers.set(id, [...(makers.get(id) ?? []), by]);
    };
    for (const { memberId, by, at } of codes) made(memberId, by, at);
    const byCode = new Set(codes.map(({ memberId }) => memberId));
    for (const { id, script, issuer, by, at, joinedAt, raisedBy, raisedAt } of people) {
      if ((raisedAt ?? 0) > from) {
        for (const raiser of raisedBy?.split(" ") ?? []) made(id, raiser as MemberId, raisedAt);
      }
      if ((joinedAt ?? 0) <= from) continue;
      // Who came by a code came by whoever made that, whoever had invited them.
      if (script || (issuer === null && byCode.has(id))) continue;
      made(id, by, at);
      for (const provider of providers) if (provider.issuer === issuer) made(id, provider.by, provider.at);
    }
    return { makers, scripts };
  }

  async #firstAdminJoinedAt(tenantId: TenantId, except: MemberId): Promise<number | null> {
    const rows = await this.#db
      .of(tenantId)
      .select({ id: members.id, joinedAt: members.joinedAt })
      .from(members)
      // Removed ones, too: a script might have removed them to be alone.
      .where(and(eq(members.role, "admin"), eq(members.script, false), isNotNull(members.joinedAt)));
    const times = rows.flatMap(({ id, joinedAt }) => (id === except || joinedAt === null ? [] : [joinedAt]));
    return times.length === 0 ? null : Math.min(...times);
  }
}

function reach(from: MemberId, next: (member: MemberId) => readonly MemberId[]): ReadonlySet<MemberId> {
  const seen = new Set([from]);
  // A set grows while it is gone through.
  for (const member of seen) for (const other of next(member)) seen.add(other);
  return seen;
}
