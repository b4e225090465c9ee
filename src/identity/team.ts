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
import type { Kinship } from "./kinship.ts";
import { isRaised, MemberChanges, RAISED } from "./member-changes.ts";
import type { MemberCreate } from "./schemas.ts";
import { members } from "./tables.ts";
import { type TeamMember, teamMemberOf } from "./team-member.ts";

/** `C` is null for a person, who has none. */
export interface NewMember<C = Redacted | null> {
  readonly member: TeamMember;
  /** Of a script: shown once; only its digest is kept. */
  readonly credential: C;
}

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
  readonly #changes: MemberChanges;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The deployment's PEPPER, 32 bytes. */
    readonly pepper: Uint8Array;
    readonly kinship: Pick<Kinship, "requireVetted">;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#pepper = parts.pepper;
    this.#changes = new MemberChanges(parts);
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
    return teamMemberOf(row, this.#clock());
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
    const shown = rows.slice(0, page.limit).map((row) => teamMemberOf(row, now));
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
    const isReplaced = present !== undefined && teamMemberOf(present, now).status === "expired";
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
    const now = this.#clock();
    await this.#changes.apply(caller, memberId, {
      isHarmless: role === "admin",
      ...(isRaised(before.role, role)
        ? { set: RAISED, values: [role, now, caller.memberId] }
        : { set: "role = ?3", values: [role] }),
      event: this.#eventOf(caller, "member.role_changed", memberId, { role, before: before.role }),
    });
    this.#onEvents(tenantId);
    return this.get(tenantId, memberId);
  }

  /** The member's sessions end with it, as does its credential. Throws NOT_FOUND, CONFLICT for the last admin. */
  async remove(caller: MemberCaller, memberId: MemberId): Promise<void> {
    const { role, name } = await this.get(caller.tenantId, memberId);
    await this.#changes.apply(caller, memberId, {
      isHarmless: false,
      set: "revoked_at = ?3",
      values: [this.#clock()],
      event: this.#eventOf(caller, "member.removed", memberId, { role, name }),
      endSessions: true,
    });
    this.#onEvents(caller.tenantId);
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

const notFound = (): Problem => new Problem("NOT_FOUND", "There is no such member.");

const conflict = (): Problem =>
  new Problem("CONFLICT", "This person is a member, or invited, already.", {
    why: "Change the role of the member there is, or remove it first.",
  });
