import { and, asc, eq, isNull } from "drizzle-orm";
import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { idSchema, type MemberId, newId, type PasskeyId, type TenantId } from "../base/ids.ts";
import { jurisdictionOf } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import type { RequestInfo } from "../base/request.ts";
import type { MemberCaller } from "./caller.ts";
import type { Challenge, Challenges } from "./challenges.ts";
import { eventBy } from "./events.ts";
import { heldSession } from "./held-session.ts";
import type { AssertionInput, RegistrationInput } from "./passkey-schemas.ts";
import type { Sessions, StartedSession } from "./sessions.ts";
import { members, passkeys } from "./tables.ts";
import {
  creationOptions,
  readUserHandle,
  requestOptions,
  verifyAssertion,
  verifyRegistration,
} from "./webauthn.ts";

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

export interface SignedIn {
  readonly tenantId: TenantId;
  readonly memberId: MemberId;
  readonly session: StartedSession;
}

/** Per member: enough for every device, and no way to fill the table. */
const MAX_PASSKEYS = 20;

/**
 * The built-in sign-in. Whom an identity provider vouches for comes in through that; a passkey makes their session fresh
 * (heldSession).
 */
export class Passkeys {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #origin: string;
  readonly #challenges: Challenges;
  readonly #sessions: Sessions;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The gateway's own, `https://host[:port]`: passkeys are for its host, and signed for it alone. */
    readonly origin: string;
    readonly challenges: Challenges;
    readonly sessions: Sessions;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#origin = parts.origin;
    this.#challenges = parts.challenges;
    this.#sessions = parts.sessions;
    this.#onEvents = parts.onEvents;
  }

  /** What to ask an authenticator for, and the cookie that binds the answer to this browser. Says nothing about anyone. */
  signInOptions() {
    const { challenge, cookie } = this.#challenges.make("sign-in");
    return { options: requestOptions(challenge, new URL(this.#origin).hostname), cookie };
  }

  /**
   * Signs a person in, always with a new session; the browser's own one of the same person ends. Whatever is wrong
   * (no such passkey, a removed one, one of a removed member or of an identity provider's who is not signed in, another origin, an answer given before, a counter that
   * went back) the answer is one: UNAUTHORIZED.
   */
  async signIn(input: AssertionInput, cookies: string | null, request: RequestInfo): Promise<SignedIn> {
    const challenge = this.#challenges.read(cookies, "sign-in");
    const found = challenge === null ? null : await this.#find(input);
    if (challenge === null || found === null) throw refused();
    const { tenantId, memberId, id } = found;
    const verified = await verifyAssertion(input, challenge.challenge, this.#origin, found);
    if (verified === null) throw refused();
    const held = await heldSession(this.#db, this.#sessions, found, cookies).catch(refuse);
    if (!(await this.#spend(tenantId, id, challenge, verified))) throw refused();
    const session = await this.#sessions.start({
      ...{ tenantId, memberId, authenticatedAt: this.#clock(), request },
      ...held,
    });
    return { tenantId, memberId, session };
  }

  /** What to ask an authenticator for so that the caller gets one more. Throws CONFLICT as `add`. */
  async additionOptions(caller: MemberCaller) {
    const { tenantId, memberId, name } = caller;
    const existing = await this.#addable(caller);
    const { challenge, cookie } = this.#challenges.make(`add ${memberId}`);
    const rpId = new URL(this.#origin).hostname;
    return { options: creationOptions({ challenge, rpId, tenantId, memberId, name, existing }), cookie };
  }

  /**
   * Gives the caller one more. Throws CONFLICT where they have too many, VALIDATION_ERROR where the authenticator's answer does not verify.
   */
  async add(
    caller: MemberCaller,
    input: RegistrationInput,
    name: string,
    cookies: string | null,
  ): Promise<Passkey> {
    const { tenantId, memberId } = caller;
    await this.#addable(caller);
    const challenge = this.#challenges.read(cookies, `add ${memberId}`);
    const verified =
      challenge === null ? null : await verifyRegistration(input, challenge.challenge, this.#origin);
    if (challenge === null || verified === null) throw unverified();
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
      ...this.#spending(tenantId, challenge, now),
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

  /** Whose passkey an assertion is said to be of, by what the authenticator keeps with it; nobody is looked up by guess. */
  async #find({ id, response }: AssertionInput) {
    const handle = response.userHandle ? readUserHandle(response.userHandle) : null;
    const tenantId = idSchema("tenant").safeParse(handle?.[0]);
    const memberId = idSchema("member").safeParse(handle?.[1]);
    if (!tenantId.success || !memberId.success) return null;
    if (!this.#db.jurisdictions.includes(jurisdictionOf(tenantId.data))) return null;
    const [row] = await this.#db
      .of(tenantId.data)
      .select({
        id: passkeys.id,
        tenantId: passkeys.tenantId,
        memberId: passkeys.memberId,
        credentialId: passkeys.credentialId,
        publicKey: passkeys.publicKey,
        counter: passkeys.counter,
        issuer: members.issuer,
      })
      .from(passkeys)
      .innerJoin(members, and(eq(members.id, passkeys.memberId), eq(members.tenantId, passkeys.tenantId)))
      .where(
        and(
          eq(passkeys.credentialId, id),
          eq(passkeys.memberId, memberId.data),
          ...[eq(members.script, false), isNull(members.revokedAt)],
        ),
      );
    return row ?? null;
  }

  /** Takes an answer, once: false where its challenge was answered before or the counter has moved on meanwhile. */
  async #spend(
    tenantId: TenantId,
    id: PasskeyId,
    challenge: Challenge,
    { counter, backedUp }: { readonly counter: number; readonly backedUp: boolean },
  ): Promise<boolean> {
    const now = this.#clock();
    const { $client: client } = this.#db.of(tenantId);
    const [used] = await client.batch([
      client
        .prepare(
          `update passkeys set counter = ?3, backed_up = ?4, last_used_at = ?5
           where tenant_id = ?1 and id = ?2 and (counter < ?3 or (counter = 0 and ?3 = 0))
           and not exists (select 1 from spent_challenges where tenant_id = ?1 and id = ?6) returning id`,
        )
        .bind(tenantId, id, counter, backedUp ? 1 : 0, now, challenge.digest),
      ...this.#spending(tenantId, challenge, now),
    ]);
    return used?.results.length === 1;
  }

  #spending(tenantId: TenantId, { digest, expiresAt }: Challenge, now: number): D1PreparedStatement[] {
    const { $client: client } = this.#db.of(tenantId);
    return [
      client
        .prepare("delete from spent_challenges where tenant_id = ?1 and expires_at <= ?2")
        .bind(tenantId, now),
      client
        .prepare(
          `insert into spent_challenges (id, tenant_id, expires_at)
           select ?2, ?1, ?3 where not exists (select 1 from spent_challenges where tenant_id = ?1 and id = ?2)`,
        )
        .bind(tenantId, digest, expiresAt),
    ];
  }

  /** The passkeys that a person has who may have one more. */
  async #addable({ tenantId, memberId }: MemberCaller) {
    const db = this.#db.of(tenantId);
    const existing = await db
      .select({ credentialId: passkeys.credentialId, transports: passkeys.transports })
      .from(passkeys)
      .where(eq(passkeys.memberId, memberId));
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

export function passkeyCreated(
  id: PasskeyId,
  memberId: MemberId,
  name: string,
  more: Readonly<Record<string, unknown>> = {},
): Pick<AuditEvent, "event_type" | "resource_type" | "resource" | "context"> {
  return {
    event_type: "passkey.created",
    resource_type: "passkey",
    resource: id,
    context: { member_id: memberId, name, ...more },
  };
}

/** The one answer to a registration that is not right. */
export function unverified(): Problem {
  return new Problem("VALIDATION_ERROR", "The authenticator's answer could not be verified.", {
    why: "Ask for new options and let the authenticator answer them within 5 minutes, in the same browser.",
  });
}

/** The one answer to whoever does not get in: which part was wrong is nobody's business. */
function refused(): Problem {
  return new Problem("UNAUTHORIZED", "This does not sign anybody in.", {
    why: "Use a passkey that is registered here, in the browser that asked for it and within 5 minutes. Who comes through an identity provider signs in there first.",
  });
}

function refuse(cause: unknown): never {
  throw cause instanceof Problem && cause.code === "UNAUTHORIZED" ? refused() : cause;
}
