import { asc, eq } from "drizzle-orm";
import { fitForOutbox } from "../audit/clean.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { type MemberId, newId, type PasskeyId, type TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { MemberCaller } from "./caller.ts";
import { spending } from "./challenges.ts";
import { eventBy } from "./events.ts";
import { passkeyCreated, type PasskeyRegistration, unverified } from "./passkey-registration.ts";
import type { RegistrationInput } from "./passkey-schemas.ts";
import { passkeys } from "./tables.ts";

/** One passkey as its owner sees it. Times are milliseconds since 1970. */
export interface Passkey {
  readonly id: PasskeyId;
  readonly memberId: MemberId;
  readonly name: string;
  readonly backedUp: boolean;
  readonly transports: readonly string[];
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
}

/** Per member: enough for every device, and no way to fill the table. */
const MAX_PASSKEYS = 20;

/** The passkeys that people have: they add their own, and remove them. */
export class Passkeys {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #registration: PasskeyRegistration;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    readonly registration: PasskeyRegistration;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#registration = parts.registration;
    this.#onEvents = parts.onEvents;
  }

  /** What to ask an authenticator for so that the caller gets one more. Throws CONFLICT as `add`. */
  async additionOptions(caller: MemberCaller) {
    const { tenantId, memberId, name } = caller;
    const existing = await this.#addable(caller);
    return this.#registration.options(`add ${memberId}`, { tenantId, memberId, name }, existing);
  }

  /**
   * Gives the caller one more. Throws CONFLICT where they have too many, VALIDATION_ERROR where the authenticator's
   * answer does not verify.
   */
  async add(
    caller: MemberCaller,
    input: RegistrationInput,
    name: string,
    cookies: string | null,
  ): Promise<Passkey> {
    const { tenantId, memberId } = caller;
    await this.#addable(caller);
    const { challenge, verified } = await this.#registration.verify(`add ${memberId}`, input, cookies);
    const now = this.#clock();
    const id = newId("passkey");
    const { transports } = input.response;
    const event = eventBy(caller, now, passkeyCreated(id, memberId, name));
    const { $client: client } = this.#db.of(tenantId);
    // In SQL of its own: drizzle cannot put a guarded `insert … select` with parameters into a batch.
    const [made] = await client.batch([
      client
        .prepare(
          `insert into passkeys (id, tenant_id, member_id, credential_id, public_key, counter, transports, name, backed_up, created_at)
           select ?2, ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
           where not exists (select 1 from spent_challenges where tenant_id = ?1 and id = ?11)
           and not exists (select 1 from passkeys where tenant_id = ?1 and credential_id = ?4) returning id`,
        )
        .bind(
          ...[tenantId, id, memberId, verified.credentialId, verified.publicKey, verified.counter],
          ...[JSON.stringify(transports), name, verified.backedUp ? 1 : 0, now, challenge.digest],
        ),
      client
        .prepare(
          `insert into audit_outbox (tenant_id, event)
           select ?1, ?2 where exists (select 1 from passkeys where tenant_id = ?1 and id = ?3)`,
        )
        .bind(tenantId, JSON.stringify(fitForOutbox(event)), id),
      ...spending(client, tenantId, challenge, now),
    ]);
    if (made?.results.length !== 1) throw unverified();
    this.#onEvents(tenantId);
    const { backedUp } = verified;
    return { id, memberId, name, backedUp, transports, createdAt: now, lastUsedAt: null };
  }

  /** The caller's own, oldest first. */
  async list({ tenantId, memberId }: MemberCaller): Promise<readonly Passkey[]> {
    return this.#db
      .of(tenantId)
      .select({
        id: passkeys.id,
        memberId: passkeys.memberId,
        name: passkeys.name,
        backedUp: passkeys.backedUp,
        transports: passkeys.transports,
        createdAt: passkeys.createdAt,
        lastUsedAt: passkeys.lastUsedAt,
      })
      .from(passkeys)
      .where(eq(passkeys.memberId, memberId))
      .orderBy(asc(passkeys.createdAt), asc(passkeys.id));
  }

  /**
   * Removes one: the caller's own, or any where the caller is an admin. It signs nobody in from then on, and its owner's
   * other sessions end: one of them may be the thief's. Throws NOT_FOUND, and CONFLICT for the last one of the last admin.
   */
  async remove(caller: MemberCaller, id: PasskeyId): Promise<void> {
    const { tenantId } = caller;
    const db = this.#db.of(tenantId);
    const [row] = await db.select({ memberId: passkeys.memberId }).from(passkeys).where(eq(passkeys.id, id));
    const isTheirs = row !== undefined && (row.memberId === caller.memberId || caller.role === "admin");
    if (!isTheirs) throw new Problem("NOT_FOUND", "There is no such passkey.");
    const { memberId } = row;
    const event = eventBy(caller, this.#clock(), {
      event_type: "passkey.deleted",
      resource_type: "passkey",
      resource: id,
      context: { member_id: memberId },
    });
    const { $client: client } = db;
    const [, removed] = await client.batch([
      client
        .prepare(
          `insert into audit_outbox (tenant_id, event)
           select ?1, ?2 where exists (select 1 from passkeys where tenant_id = ?1 and id = ?3) and ${SOMEBODY_IS_LEFT}`,
        )
        .bind(tenantId, JSON.stringify(fitForOutbox(event)), id, memberId),
      client
        .prepare(`delete from passkeys where tenant_id = ?1 and id = ?3 and ${SOMEBODY_IS_LEFT} returning id`)
        .bind(tenantId, null, id, memberId),
      client
        .prepare(
          `delete from sessions where tenant_id = ?1 and member_id = ?2 and id is not ?3
           and not exists (select 1 from passkeys where tenant_id = ?1 and id = ?4)`,
        )
        .bind(tenantId, memberId, caller.signIn?.sessionId ?? null, id),
    ]);
    if (removed?.results.length !== 1) {
      throw new Problem("CONFLICT", "This is the last passkey of the last admin.", {
        why: "Register another one first, or have another admin enrolled.",
      });
    }
    this.#onEvents(tenantId);
  }

  /** The passkeys that a person has who may have one more. */
  async #addable({ tenantId, memberId }: MemberCaller) {
    const existing = await this.#registration.existing(tenantId, memberId);
    if (existing.length < MAX_PASSKEYS) return existing;
    throw new Problem("CONFLICT", `You have ${MAX_PASSKEYS} passkeys, and nobody may have more.`, {
      why: "Remove one that you do not use.",
    });
  }
}

/** Of `?3`, a passkey of member `?4`: that a person who is an admin can still sign in without it, or it is no admin's. */
const SOMEBODY_IS_LEFT = `(
  not exists (select 1 from members where tenant_id = ?1 and id = ?4 and role = 'admin' and revoked_at is null)
  or exists (
    select 1 from members m where m.tenant_id = ?1 and m.role = 'admin' and m.script = 0 and m.revoked_at is null
    and (m.issuer is not null or exists (
      select 1 from passkeys p where p.tenant_id = ?1 and p.member_id = m.id and p.id <> ?3
    ))
  )
)`;
