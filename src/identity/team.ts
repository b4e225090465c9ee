import { and, asc, eq, gt, isNull, or } from "drizzle-orm";
import { z } from "zod";
import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent } from "../audit/event.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { idSchema, type MemberId, newId, type TenantId } from "../base/ids.ts";
import { jurisdictionOf } from "../base/jurisdiction.ts";
import { decodeCursor, encodeCursor, type Page } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import type { MemberCaller, Role } from "./caller.ts";
import { credentialDigest, newCredential } from "./credential.ts";
import { eventBy } from "./events.ts";
import { INVITATION_MS } from "./recognition.ts";
import type { MemberCreate } from "./schemas.ts";
import { members } from "./tables.ts";

/** Times are milliseconds since 1970. */
export interface TeamMember {
  readonly id: MemberId;
  readonly name: string;
  readonly role: Role;
  readonly script: boolean;
  /** `expired`: invited, and did not come in time. */
  readonly status: "invited" | "expired" | "active";
  readonly email: string | null;
  readonly issuer: string | null;
  readonly subject: string | null;
  readonly invitedAt: number | null;
  readonly invitedBy: MemberId | null;
  readonly joinedAt: number | null;
  /** Of a script's credential: when it was made; null for people. */
  readonly credentialCreatedAt: number | null;
  /** Until when it should be rotated: in a day where it came of a bootstrap, since it went through more hands. */
  readonly rotateBy: number | null;
  readonly createdAt: number;
}

/** `C` is null for a person, who has none. */
export interface NewMember<C = Redacted | null> {
  readonly member: TeamMember;
  /** Of a script: shown once; only its digest is kept. */
  readonly credential: C;
}

const DAY_MS = 24 * 3_600_000;
const ROTATE_AFTER_MS = 90 * DAY_MS;

const cursorSchema = z.tuple([idSchema("member")]);

/**
 * Who belongs to a tenant. What admins change counts from the next request on: nobody's role is remembered anywhere.
 * A tenant always keeps an admin who can act, and a person once there was one: a credential for scripts that is alone
 * lets in a first person. Nobody changes their own role.
 */
export class Team {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #pepper: Uint8Array;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The deployment's PEPPER, 32 bytes. */
    readonly pepper: Uint8Array;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#pepper = parts.pepper;
    this.#onEvents = parts.onEvents;
  }

  /** Throws NOT_FOUND, for one that was removed too. */
  async get(tenantId: TenantId, memberId: MemberId): Promise<TeamMember> {
    const [row] = await this.#db
      .of(tenantId)
      .select()
      .from(members)
      .where(and(eq(members.id, memberId), isNull(members.revokedAt)));
    if (row === undefined) throw notFound();
    return fromRow(row, this.#clock());
  }

  async list(
    tenantId: TenantId,
    page: Page,
  ): Promise<{ members: readonly TeamMember[]; nextCursor: string | null }> {
    const after = page.cursor === undefined ? null : decodeCursor(page.cursor, cursorSchema)[0];
    const rows = await this.#db
      .of(tenantId)
      .select()
      .from(members)
      .where(and(isNull(members.revokedAt), after === null ? undefined : gt(members.id, after)))
      .orderBy(asc(members.id))
      .limit(page.limit + 1);
    const now = this.#clock();
    const shown = rows.slice(0, page.limit).map((row) => fromRow(row, now));
    const last = shown.at(-1);
    return { members: shown, nextCursor: rows.length > page.limit && last ? encodeCursor([last.id]) : null };
  }

  /**
   * Invites a person, by address or by identity, or makes a credential for scripts. Throws CONFLICT where the person is
   * here already; an invitation that has run out is replaced.
   */
  async add(caller: MemberCaller, input: MemberCreate): Promise<NewMember> {
    const { tenantId, memberId: invitedBy } = caller;
    const now = this.#clock();
    const id = newId("member");
    const isScript = "script" in input;
    const credential = isScript ? newCredential("vkm", jurisdictionOf(tenantId)) : null;
    const email = "email" in input ? input.email : null;
    const identity = "subject" in input ? { issuer: input.issuer, subject: input.subject } : null;
    const row: typeof members.$inferInsert = {
      ...{ id, tenantId, role: input.role, script: isScript, email, createdAt: now, ...identity },
      name: input.name ?? email ?? id,
      digest: credential === null ? id : credentialDigest(this.#pepper, credential),
      ...(isScript ? { digestAt: now } : { invitedAt: now, invitedBy }),
    };
    const db = this.#db.of(tenantId);
    const sameAddress = email === null ? undefined : eq(members.email, email);
    const sameIdentity =
      identity === null
        ? undefined
        : and(eq(members.issuer, identity.issuer), eq(members.subject, identity.subject));
    const same = or(sameAddress, sameIdentity);
    const [present] =
      same === undefined
        ? []
        : await db
            .select()
            .from(members)
            .where(and(same, isNull(members.revokedAt)));
    const isReplaced = present !== undefined && fromRow(present, now).status === "expired";
    if (present !== undefined && !isReplaced) throw conflict();
    const event = this.#eventOf(caller, isScript ? "member.created" : "member.invited", id, {
      ...{ role: input.role, name: row.name },
      ...(isScript ? { script: true } : { email, ...identity }),
    });
    try {
      await db.batch([
        db
          .update(members)
          .set({ revokedAt: now })
          .where(and(eq(members.id, present?.id ?? id), isNull(members.joinedAt), eq(members.script, false))),
        db.insert(members).values(row),
        db.insert(auditOutbox).values({ event }),
      ]);
    } catch (error) {
      // Somebody else invited the same person just now.
      if (/UNIQUE constraint failed/.test(String(error instanceof Error ? error.cause : error)))
        throw conflict();
      throw error;
    }
    this.#onEvents(tenantId);
    return { member: await this.get(tenantId, id), credential };
  }

  /** Throws NOT_FOUND, CONFLICT for one's own role and for the last admin's. */
  async changeRole(caller: MemberCaller, memberId: MemberId, role: Role): Promise<TeamMember> {
    const { tenantId } = caller;
    const before = await this.get(tenantId, memberId);
    if (memberId === caller.memberId) {
      throw new Problem("CONFLICT", "Nobody changes their own role.", { why: "Ask another admin." });
    }
    if (before.role === role) return before;
    await this.#change(caller, memberId, {
      isHarmless: role === "admin",
      set: "role = ?3, raised_at = coalesce(?5, raised_at), raised_by = coalesce(?6, raised_by)",
      values: isRaised(before.role, role) ? [role, this.#clock(), caller.memberId] : [role, null, null],
      event: this.#eventOf(caller, "member.role_changed", memberId, { role, before: before.role }),
    });
    return this.get(tenantId, memberId);
  }

  /** The member's sessions end with it, as does its credential. Throws NOT_FOUND, CONFLICT for the last admin. */
  async remove(caller: MemberCaller, memberId: MemberId): Promise<void> {
    const { role, name } = await this.get(caller.tenantId, memberId);
    await this.#change(caller, memberId, {
      isHarmless: false,
      set: "revoked_at = ?3",
      values: [this.#clock()],
      event: this.#eventOf(caller, "member.removed", memberId, { role, name }),
      endSessions: true,
    });
  }

  /** A new credential in the place of a script's old one, which ends at once. Throws NOT_FOUND, CONFLICT for a person. */
  async rotateCredential(caller: MemberCaller, memberId: MemberId): Promise<NewMember<Redacted>> {
    const { tenantId } = caller;
    const { script } = await this.get(tenantId, memberId);
    if (!script) {
      throw new Problem("CONFLICT", "People have no credential: they sign in.", {
        why: 'Make one for scripts with `POST /v1/members` and `"script": true`.',
      });
    }
    const credential = newCredential("vkm", jurisdictionOf(tenantId));
    const db = this.#db.of(tenantId);
    await db.batch([
      db
        .update(members)
        .set({ digest: credentialDigest(this.#pepper, credential), digestAt: this.#clock() })
        .where(and(eq(members.id, memberId), isNull(members.revokedAt))),
      db
        .insert(auditOutbox)
        .values({ event: this.#eventOf(caller, "member.credential_rotated", memberId, {}) }),
    ]);
    this.#onEvents(tenantId);
    return { member: await this.get(tenantId, memberId), credential };
  }

  /**
   * One change to one member, with its event and only if an admin is left who can act: all in one batch, so that two
   * admins who remove each other at the same time do not both succeed. In SQL of its own: drizzle has no guarded insert.
   */
  async #change(
    caller: MemberCaller,
    memberId: MemberId,
    change: {
      /** It leaves as many admins as there are. */
      readonly isHarmless: boolean;
      /** Of the member's row; the values are `?3`, then `?5` and on. */
      readonly set:
        | "role = ?3, raised_at = coalesce(?5, raised_at), raised_by = coalesce(?6, raised_by)"
        | "revoked_at = ?3";
      readonly values: readonly [string | number, ...(string | number | null)[]];
      readonly event: AuditEvent;
      readonly endSessions?: boolean;
    },
  ): Promise<void> {
    const { tenantId } = caller;
    const { $client: client } = this.#db.of(tenantId);
    const mayBe = `tenant_id = ?1 and id = ?2 and revoked_at is null and (?4 = 1 or role <> 'admin' or exists (
      select 1 from members other where other.tenant_id = ?1 and other.id <> ?2 and other.role = 'admin'
      and other.script <= members.script
      and other.revoked_at is null and (other.invited_at is null or other.joined_at is not null)))`;
    const harmless = change.isHarmless ? 1 : 0;
    const [value, ...more] = change.values;
    const [written] = await client.batch([
      client
        .prepare(
          `insert into audit_outbox (tenant_id, event) select ?1, ?3 where exists (select 1 from members where ${mayBe})
           returning seq`,
        )
        .bind(tenantId, memberId, JSON.stringify(change.event), harmless),
      client
        .prepare(`update members set ${change.set} where ${mayBe}`)
        .bind(tenantId, memberId, value, harmless, ...more),
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
        why: "Make somebody else an admin first, and let them sign in.",
      });
    }
    this.#onEvents(tenantId);
  }

  #eventOf(
    caller: MemberCaller,
    type: Extract<AuditEvent["event_type"], `member.${string}`>,
    memberId: MemberId,
    context: AuditEvent["context"],
  ): AuditEvent {
    const what = { event_type: type, resource_type: "member" as const, resource: memberId, context };
    return fitForOutbox(eventBy(caller, this.#clock(), what));
  }
}

/** Whether a role lets its holder approve, or decide more, than before. */
function isRaised(before: Role, after: Role): boolean {
  return after === "admin" || (after === "editor" && before !== "admin");
}

const notFound = (): Problem => new Problem("NOT_FOUND", "There is no such member.");

const conflict = (): Problem =>
  new Problem("CONFLICT", "This person is a member, or invited, already.", {
    why: "Change the role of the member there is, or remove it first.",
  });

function fromRow(row: typeof members.$inferSelect, now: number): TeamMember {
  const { tenantId: _tenantId, digest: _digest, digestAt, revokedAt: _revokedAt, ...member } = row;
  const waits = row.invitedAt !== null && row.joinedAt === null;
  const isLate = waits && row.invitedAt !== null && now - row.invitedAt >= INVITATION_MS;
  return {
    ...member,
    status: isLate ? "expired" : waits ? "invited" : "active",
    credentialCreatedAt: row.script ? (digestAt ?? row.createdAt) : null,
    rotateBy: row.script ? (digestAt === null ? row.createdAt + DAY_MS : digestAt + ROTATE_AFTER_MS) : null,
  };
}
