import { and, eq, gt, isNull } from "drizzle-orm";
import { fitForOutbox } from "../audit/clean.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { MemberId, TenantId } from "../base/ids.ts";
import type { RequestInfo } from "../base/request.ts";
import { foldEmail, isOfDomain } from "./email.ts";
import { eventBy } from "./events.ts";
import type { IdentityProvider } from "./identity-providers.ts";
import type { Member } from "./members.ts";
import type { VerifiedClaims } from "./oidc/claims.ts";
import { members } from "./tables.ts";

/** How long an invitation waits for its first sign-in. */
export const INVITATION_MS = 14 * 24 * 3_600_000;

/**
 * Which member a verified identity is. What counts is `(iss, sub)` and nothing else: an address serves once, to bind an
 * invitation to whoever first signs in with it, so that an address that changes hands later opens nothing.
 */
export class Recognition {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#onEvents = parts.onEvents;
  }

  /** Null for who is no member. `claims` were verified against the provider's issuer and audience. */
  async recognise(
    provider: IdentityProvider,
    claims: VerifiedClaims,
    request: RequestInfo,
  ): Promise<Member | null> {
    const email = verifiedEmail(provider, claims);
    if (provider.allowedEmailDomains.length > 0) {
      if (email === null || !isOfDomain(email, provider.allowedEmailDomains)) return null;
    }
    const { tenantId } = provider;
    const known = await this.#bySubject(tenantId, claims);
    if (known !== null) {
      const { isWaiting, ...member } = known;
      if (isWaiting) await this.#join(member.memberId, provider, claims, request);
      return member;
    }
    const invited = email === null ? null : await this.#byInvitation(tenantId, email);
    if (invited === null) return null;
    await this.#join(invited, provider, claims, request);
    // Read again: of two who came at the same time, one was bound.
    const bound = await this.#bySubject(tenantId, claims);
    if (bound === null) return null;
    const { isWaiting: _, ...member } = bound;
    return member;
  }

  async #bySubject(
    tenantId: TenantId,
    { iss, sub }: VerifiedClaims,
  ): Promise<(Member & { readonly isWaiting: boolean }) | null> {
    const [row] = await this.#db
      .of(tenantId)
      .select()
      .from(members)
      .where(
        and(
          eq(members.issuer, iss),
          eq(members.subject, sub),
          eq(members.script, false),
          isNull(members.revokedAt),
        ),
      );
    if (row === undefined) return null;
    const { id: memberId, name, role, script, joinedAt, invitedAt } = row;
    const isWaiting = joinedAt === null;
    if (isWaiting && invitedAt !== null && invitedAt <= this.#clock() - INVITATION_MS) return null;
    return { tenantId, memberId, name, role, script, isWaiting };
  }

  async #byInvitation(tenantId: TenantId, email: string): Promise<MemberId | null> {
    const [row] = await this.#db
      .of(tenantId)
      .select({ id: members.id })
      .from(members)
      .where(
        and(
          eq(members.email, email),
          isNull(members.subject),
          isNull(members.joinedAt),
          isNull(members.revokedAt),
          eq(members.script, false),
          gt(members.invitedAt, this.#clock() - INVITATION_MS),
        ),
      );
    return row?.id ?? null;
  }

  /**
   * Binds a member who waits, once, with the event of it. In SQL of its own: drizzle has no guarded insert. The event
   * comes first, under the condition that the update is about to end.
   */
  async #join(
    memberId: MemberId,
    provider: IdentityProvider,
    { iss, sub }: VerifiedClaims,
    request: RequestInfo,
  ): Promise<void> {
    const { tenantId } = provider;
    const now = this.#clock();
    const event = eventBy({ actor: `member:${memberId}`, request }, now, {
      event_type: "member.joined",
      resource_type: "member",
      resource: memberId,
      context: { identity_provider: provider.id, issuer: iss, subject: sub },
    });
    const { $client: client } = this.#db.of(tenantId);
    const waits =
      "tenant_id = ?1 and id = ?2 and joined_at is null and revoked_at is null and (subject is null or (issuer = ?3 and subject = ?4))";
    await client.batch([
      client
        .prepare(
          `insert into audit_outbox (tenant_id, event) select ?1, ?5 where exists (select 1 from members where ${waits})`,
        )
        .bind(tenantId, memberId, iss, sub, JSON.stringify(fitForOutbox(event))),
      client
        .prepare(`update members set issuer = ?3, subject = ?4, joined_at = ?5 where ${waits}`)
        .bind(tenantId, memberId, iss, sub, now),
    ]);
    this.#onEvents(tenantId);
  }
}

/** Null for an address that nobody vouches for. `email_verified` is true or it is not: a string of it is not. */
function verifiedEmail(provider: IdentityProvider, claims: VerifiedClaims): string | null {
  return provider.trustEmail || claims["email_verified"] === true ? foldEmail(claims["email"]) : null;
}
