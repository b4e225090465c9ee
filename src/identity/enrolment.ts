import { and, eq, gt, isNotNull, isNull, lt } from "drizzle-orm";
import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent } from "../audit/event.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { type EnrolmentId, type MemberId, newId, type TenantId } from "../base/ids.ts";
import { jurisdictionOf } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import type { RequestInfo } from "../base/request.ts";
import type { MemberCaller } from "./caller.ts";
import { credentialDigest, isCredential, newCredential } from "./credential.ts";
import { eventBy } from "./events.ts";
import { heldSession } from "./held-session.ts";
import { passkeyCreated, type PasskeyRegistration, unverified } from "./passkey-registration.ts";
import type { RegistrationInput } from "./passkey-schemas.ts";
import type { SignedIn } from "./passkey-sign-in.ts";
import type { Sessions } from "./sessions.ts";
import { enrolments, members } from "./tables.ts";

export interface EnrolmentCode {
  readonly id: EnrolmentId;
  readonly memberId: MemberId;
  /** `vke_…`, shown once: whoever has it becomes the member. */
  readonly code: Redacted;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

const CODE_MS = 15 * 60_000;
const KEPT_MS = 30 * 24 * 3_600_000;

/**
 * How a person gets a first passkey: an admin hands over a code, and whoever has it registers a device and is the member
 * from then on. It is also the way back in for who has lost all devices.
 */
export class Enrolment {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #pepper: Uint8Array;
  readonly #registration: PasskeyRegistration;
  readonly #sessions: Sessions;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The deployment's PEPPER, 32 bytes. */
    readonly pepper: Uint8Array;
    readonly registration: PasskeyRegistration;
    readonly sessions: Sessions;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#pepper = parts.pepper;
    this.#registration = parts.registration;
    this.#sessions = parts.sessions;
    this.#onEvents = parts.onEvents;
  }

  /**
   * A code for a person, good for 15 minutes and once; an earlier one of theirs is void. A credential for scripts may make
   * them until an admin has joined, and from then on only for whom an identity provider vouches for: it could make itself
   * a person, and approve. Throws NOT_FOUND, ROLE_DENIED.
   */
  async create(caller: MemberCaller, memberId: MemberId): Promise<EnrolmentCode> {
    const { tenantId } = caller;
    const db = this.#db.of(tenantId);
    const [member] = await db
      .select({ issuer: members.issuer })
      .from(members)
      .where(and(eq(members.id, memberId), eq(members.script, false), isNull(members.revokedAt)));
    // Of no use to whom an identity provider vouches for: that takes their own session, too.
    const isVouchedFor = member !== undefined && member.issuer !== null;
    if (caller.script && !isVouchedFor && (await this.#hasAdmin(tenantId))) {
      throw new Problem(
        "ROLE_DENIED",
        "Credentials for scripts enrol the first admin only, and there is one.",
        {
          why: "Have an admin do this who is signed in.",
        },
      );
    }
    if (member === undefined) throw new Problem("NOT_FOUND", "There is no such person.");
    const now = this.#clock();
    const id = newId("enrolment");
    const code = newCredential("vke", jurisdictionOf(tenantId));
    const expiresAt = now + CODE_MS;
    const event = eventBy(caller, now, {
      event_type: "member.enrolment_created",
      resource_type: "member",
      resource: memberId,
      context: { enrolment_id: id, expires_at: new Date(expiresAt).toISOString() },
    });
    await db.batch([
      db.delete(enrolments).where(and(eq(enrolments.memberId, memberId), isNull(enrolments.spentAt))),
      db.delete(enrolments).where(lt(enrolments.createdAt, now - KEPT_MS)),
      db.insert(enrolments).values({
        ...{ id, memberId, expiresAt },
        digest: credentialDigest(this.#pepper, code),
        ...{ createdBy: caller.memberId, createdAt: now },
      }),
      db.insert(auditOutbox).values({ event: fitForOutbox(event) }),
    ]);
    this.#onEvents(tenantId);
    return { id, memberId, code, expiresAt };
  }

  /** What to ask an authenticator for. Throws UNAUTHORIZED for a code that is unknown, spent or too old. */
  async options(code: string) {
    const { tenantId, memberId, name, id } = await this.#find(code);
    const existing = await this.#registration.existing(tenantId, memberId);
    return this.#registration.options(`enrol ${id}`, { tenantId, memberId, name }, existing);
  }

  /**
   * Spends the code: the passkey is the member's, who has joined and is signed in. All in one batch; of two who come at
   * the same time one does. Throws UNAUTHORIZED (also for an identity provider's person who is not signed in in this
   * browser), VALIDATION_ERROR where the authenticator's answer does not verify.
   */
  async complete(
    code: string,
    input: RegistrationInput,
    name: string,
    cookies: string | null,
    request: RequestInfo,
  ): Promise<SignedIn> {
    const person = await this.#find(code);
    const { tenantId, memberId, issuer, id: enrolmentId } = person;
    const held = await heldSession(this.#db, this.#sessions, person, cookies);
    const { verified } = await this.#registration.verify(`enrol ${enrolmentId}`, input, cookies);
    const now = this.#clock();
    const id = newId("passkey");
    const by = { actor: `member:${memberId}`, request };
    const more = { enrolment_id: enrolmentId };
    const joined: AuditEvent = eventBy(by, now, {
      ...{ event_type: "member.joined", resource_type: "member", resource: memberId },
      context: more,
    });
    const created: AuditEvent = eventBy(by, now, passkeyCreated(id, memberId, name, more));
    const { $client: client } = this.#db.of(tenantId);
    const isMade = "exists (select 1 from passkeys where tenant_id = ?1 and id = ?2)";
    // In SQL of its own: drizzle cannot put a guarded `insert … select` with parameters into a batch.
    const [made] = await client.batch([
      client
        .prepare(
          `insert into passkeys (id, tenant_id, member_id, credential_id, public_key, counter, transports, name, backed_up, created_at)
           select ?2, ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 from enrolments
           where tenant_id = ?1 and id = ?11 and spent_at is null and expires_at > ?10
           and not exists (select 1 from passkeys where tenant_id = ?1 and credential_id = ?4)
           and exists (
             select 1 from members where tenant_id = ?1 and id = ?3 and revoked_at is null and issuer is ?12
           ) returning id`,
        )
        .bind(
          ...[tenantId, id, memberId, verified.credentialId, verified.publicKey, verified.counter],
          ...[
            JSON.stringify(input.response.transports),
            name,
            verified.backedUp ? 1 : 0,
            now,
            enrolmentId,
            issuer,
          ],
        ),
      client
        .prepare(
          `insert into audit_outbox (tenant_id, event) select ?1, ?3
           where exists (select 1 from members where tenant_id = ?1 and id = ?4 and joined_at is null) and ${isMade}`,
        )
        .bind(tenantId, id, JSON.stringify(fitForOutbox(joined)), memberId),
      client
        .prepare(`insert into audit_outbox (tenant_id, event) select ?1, ?3 where ${isMade}`)
        .bind(tenantId, id, JSON.stringify(fitForOutbox(created))),
      client
        .prepare(
          `update members set joined_at = coalesce(joined_at, ?3) where tenant_id = ?1 and id = ?4 and ${isMade}`,
        )
        .bind(tenantId, id, now, memberId),
      client
        .prepare(`update enrolments set spent_at = ?3 where tenant_id = ?1 and id = ?4 and ${isMade}`)
        .bind(tenantId, id, now, enrolmentId),
    ]);
    if (made?.results.length !== 1) throw unverified();
    this.#onEvents(tenantId);
    const session = await this.#sessions.start({
      ...{ tenantId, memberId, authenticatedAt: now, request },
      ...held,
    });
    return { tenantId, memberId, session };
  }

  async #hasAdmin(tenantId: TenantId): Promise<boolean> {
    const [row] = await this.#db
      .of(tenantId)
      .select({ id: members.id })
      .from(members)
      .where(
        and(
          ...[eq(members.role, "admin"), eq(members.script, false)],
          ...[isNull(members.revokedAt), isNotNull(members.joinedAt)],
        ),
      )
      .limit(1);
    return row !== undefined;
  }

  async #find(code: string) {
    const unknown = new Problem("UNAUTHORIZED", "This code enrols nobody.", {
      why: "Codes are good for 15 minutes and once. Ask an admin for another one.",
    });
    if (!isCredential("vke", code)) throw unknown;
    const jurisdiction = jurisdictionOf(code);
    if (!this.#db.jurisdictions.includes(jurisdiction)) throw unknown;
    const [row] = await this.#db
      .acrossTenants("whom a code enrols, by its digest", jurisdiction)
      .select({
        id: enrolments.id,
        tenantId: enrolments.tenantId,
        memberId: enrolments.memberId,
        name: members.name,
        issuer: members.issuer,
      })
      .from(enrolments)
      .innerJoin(members, and(eq(members.id, enrolments.memberId), eq(members.tenantId, enrolments.tenantId)))
      .where(
        and(
          eq(enrolments.digest, credentialDigest(this.#pepper, code)),
          ...[isNull(enrolments.spentAt), gt(enrolments.expiresAt, this.#clock())],
          ...[isNull(members.revokedAt), eq(members.script, false)],
        ),
      );
    if (row === undefined) throw unknown;
    return row;
  }
}
