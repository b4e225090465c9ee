import { and, asc, eq, gt, isNull, lte, sql } from "drizzle-orm";
import { z } from "zod";
import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent } from "../audit/event.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { idSchema, type MemberId, newId, type SessionId, type TenantId } from "../base/ids.ts";
import { jurisdictionOf } from "../base/jurisdiction.ts";
import { decodeCursor, encodeCursor, type Page } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import type { RequestInfo } from "../base/request.ts";
import type { MemberCaller, SignIn, SignInMethod } from "./caller.ts";
import { credentialDigest, isCredential, newCredential } from "./credential.ts";
import { eventBy } from "./events.ts";
import type { Member } from "./members.ts";
import { type OwnCookie, ownCookie } from "./session-cookie.ts";
import { members, sessions } from "./tables.ts";

/** A session that nobody uses ends by itself. */
const IDLE_MS = 12 * 3_600_000;
/** However much it is used. */
const LIFE_MS = 7 * 24 * 3_600_000;
/** How far behind "last seen" may be, so that not every request writes. */
const SEEN_EVERY_MS = 5 * 60_000;

export interface NewSession {
  readonly tenantId: TenantId;
  readonly memberId: MemberId;
  readonly method: Extract<SignInMethod, "oidc" | "passkey">;
  /** Milliseconds since 1970; null where nobody told, which is never fresh enough for anything. */
  readonly authenticatedAt: number | null;
  readonly request: RequestInfo;
  /** The same person's session that this one takes the place of (step-up); one of anybody else's stays. */
  readonly replaces?: SessionId | null;
  /** Milliseconds since 1970 at which it ends, if that is sooner than its own 7 days. */
  readonly notAfter?: number;
}

export interface StartedSession {
  readonly id: SessionId;
  /** For the browser's cookie and nowhere else. */
  readonly token: Redacted;
  /** The `Set-Cookie` header. */
  readonly cookie: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** One session as its owner and admins see it. Times are milliseconds since 1970. */
export interface Session {
  readonly id: SessionId;
  readonly memberId: MemberId;
  readonly method: "oidc" | "passkey";
  readonly authenticatedAt: number | null;
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly createdAt: number;
  /** Behind by 5 minutes at most. */
  readonly lastSeenAt: number;
  readonly expiresAt: number;
}

const cursorSchema = z.tuple([idSchema("session")]);

/**
 * Who is signed in with a browser. Only a digest of the token is kept; everything else about the member is read anew
 * with every request, so that a removal or another role counts at once.
 */
export class Sessions {
  readonly cookie: OwnCookie;
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #pepper: Uint8Array;
  readonly #onEvents: (tenantId: TenantId) => void;
  readonly #waitUntil: (promise: Promise<unknown>) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The deployment's PEPPER, 32 bytes. */
    readonly pepper: Uint8Array;
    /** False for http on loopback in development alone. */
    readonly secure: boolean;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
    readonly waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.cookie = ownCookie("valetkey-session", "Strict", parts.secure);
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#pepper = parts.pepper;
    this.#onEvents = parts.onEvents;
    this.#waitUntil = parts.waitUntil;
  }

  /** Signs a person in. The caller has verified who it is; a member that was removed meanwhile gets nothing by it. */
  async start(input: NewSession): Promise<StartedSession> {
    const { tenantId, memberId, method, authenticatedAt, request, replaces = null } = input;
    const now = this.#clock();
    const id = newId("session");
    const token = newCredential("vks", jurisdictionOf(tenantId));
    const expiresAt = Math.min(now + LIFE_MS, input.notAfter ?? Number.MAX_SAFE_INTEGER);
    const db = this.#db.of(tenantId);
    const [member] = await db
      .select({ issuer: members.issuer, subject: members.subject })
      .from(members)
      .where(and(eq(members.id, memberId), eq(members.script, false), isNull(members.revokedAt)));
    if (member === undefined) throw new Problem("NOT_FOUND", "There is no such member.");
    const event = eventBy({ actor: `member:${memberId}`, request }, now, {
      event_type: "session.started",
      resource_type: "session",
      resource: id,
      context: { method, ...(replaces === null ? {} : { replaces }) },
    });
    const own = eq(sessions.memberId, memberId);
    await db.batch([
      db.insert(sessions).values({
        ...{ id, memberId, method, ...member },
        digest: credentialDigest(this.#pepper, token),
        // Never in the future: that would keep it fresh for longer.
        authenticatedAt: authenticatedAt === null ? null : Math.min(authenticatedAt, now),
        ip: request.ip,
        userAgent: request.userAgent,
        ...{ createdAt: now, lastSeenAt: now, expiresAt },
      }),
      db.delete(sessions).where(and(own, lte(sessions.expiresAt, now))),
      db.delete(sessions).where(and(own, eq(sessions.id, replaces ?? id), sql`${sessions.id} <> ${id}`)),
      db.insert(auditOutbox).values({ event: fitForOutbox(event) }),
    ]);
    this.#onEvents(tenantId);
    return {
      id,
      token,
      cookie: this.cookie.write(token.reveal(), Math.ceil((expiresAt - now) / 1_000)),
      expiresAt,
    };
  }

  /** Null for a token that is malformed, unknown or over, and for one whose member was removed or is another now. */
  async authenticate(token: string): Promise<(Member & { readonly signIn: SignIn }) | null> {
    if (!isCredential("vks", token)) return null;
    const jurisdiction = jurisdictionOf(token);
    if (!this.#db.jurisdictions.includes(jurisdiction)) return null;
    const now = this.#clock();
    const [row] = await this.#db
      .acrossTenants("whose session it is, by its digest", jurisdiction)
      .select({
        tenantId: members.tenantId,
        memberId: members.id,
        name: members.name,
        role: members.role,
        script: members.script,
        sessionId: sessions.id,
        method: sessions.method,
        authenticatedAt: sessions.authenticatedAt,
        lastSeenAt: sessions.lastSeenAt,
      })
      .from(sessions)
      .innerJoin(members, and(eq(members.id, sessions.memberId), eq(members.tenantId, sessions.tenantId)))
      .where(
        and(
          eq(sessions.digest, credentialDigest(this.#pepper, token)),
          gt(sessions.expiresAt, now),
          gt(sessions.lastSeenAt, now - IDLE_MS),
          isNull(members.revokedAt),
          eq(members.script, false),
          sql`${sessions.issuer} is ${members.issuer} and ${sessions.subject} is ${members.subject}`,
        ),
      );
    if (row === undefined) return null;
    const { sessionId, method, authenticatedAt, lastSeenAt, ...member } = row;
    if (now - lastSeenAt >= SEEN_EVERY_MS) this.#waitUntil(this.#touch(member.tenantId, sessionId, now));
    return { ...member, signIn: { method, authenticatedAt, sessionId } };
  }

  /** A member's sessions that hold. */
  async list(
    tenantId: TenantId,
    memberId: MemberId,
    page: Page,
  ): Promise<{ sessions: readonly Session[]; nextCursor: string | null }> {
    const after = page.cursor === undefined ? null : decodeCursor(page.cursor, cursorSchema)[0];
    const now = this.#clock();
    const rows = await this.#db
      .of(tenantId)
      .select()
      .from(sessions)
      .where(
        and(
          eq(sessions.memberId, memberId),
          gt(sessions.expiresAt, now),
          gt(sessions.lastSeenAt, now - IDLE_MS),
          after === null ? undefined : gt(sessions.id, after),
        ),
      )
      .orderBy(asc(sessions.id))
      .limit(page.limit + 1);
    const shown = rows.slice(0, page.limit).map(fromRow);
    const last = shown.at(-1);
    return { sessions: shown, nextCursor: rows.length > page.limit && last ? encodeCursor([last.id]) : null };
  }

  /** Ends one, from the next request on: the caller's own, or any where the caller is an admin. Throws NOT_FOUND. */
  async end(caller: MemberCaller, sessionId: SessionId): Promise<void> {
    const [row] = await this.#db
      .of(caller.tenantId)
      .select({ memberId: sessions.memberId })
      .from(sessions)
      .where(eq(sessions.id, sessionId));
    const isTheirs = row !== undefined && (row.memberId === caller.memberId || caller.role === "admin");
    if (!isTheirs) throw new Problem("NOT_FOUND", "There is no such session.");
    await this.#end(caller, row.memberId, sessionId);
  }

  /** Ends all that a member has. */
  async endAll(caller: MemberCaller, memberId: MemberId): Promise<void> {
    await this.#end(caller, memberId, null);
  }

  /** In one batch, and without an event where there is nothing to end. In SQL of its own: drizzle has no such insert. */
  async #end(caller: MemberCaller, memberId: MemberId, sessionId: SessionId | null): Promise<void> {
    const { tenantId } = caller;
    const event: AuditEvent = eventBy(caller, this.#clock(), {
      event_type: "session.ended",
      resource_type: sessionId === null ? "member" : "session",
      resource: sessionId ?? memberId,
      context: { member_id: memberId, ...(sessionId === null ? { all: true } : {}) },
    });
    const { $client: client } = this.#db.of(tenantId);
    const which = "tenant_id = ?1 and member_id = ?2 and (?3 is null or id = ?3)";
    await client.batch([
      client
        .prepare(
          `insert into audit_outbox (tenant_id, event) select ?1, ?4 where exists (select 1 from sessions where ${which})`,
        )
        .bind(tenantId, memberId, sessionId, JSON.stringify(fitForOutbox(event))),
      client.prepare(`delete from sessions where ${which}`).bind(tenantId, memberId, sessionId),
    ]);
    this.#onEvents(tenantId);
  }

  async #touch(tenantId: TenantId, sessionId: SessionId, now: number): Promise<void> {
    try {
      await this.#db.of(tenantId).update(sessions).set({ lastSeenAt: now }).where(eq(sessions.id, sessionId));
    } catch {
      console.error(
        JSON.stringify({ at: "sessions.touch", tenant: tenantId, error: "left for the next request" }),
      );
    }
  }
}

function fromRow(row: typeof sessions.$inferSelect): Session {
  const { tenantId: _tenantId, digest: _digest, issuer: _issuer, subject: _subject, ...session } = row;
  return session;
}
