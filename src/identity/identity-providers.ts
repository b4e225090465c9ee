import { and, asc, eq, inArray, isNotNull, isNull, sql } from "drizzle-orm";
import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent } from "../audit/event.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { type IdentityProviderId, type MemberId, newId, type TenantId } from "../base/ids.ts";
import { type Jurisdiction, jurisdictionOf } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import { Redacted } from "../base/redacted.ts";
import type { SealedTexts } from "../vault/sealed-text.ts";
import type { MemberCaller } from "./caller.ts";
import { eventBy } from "./events.ts";
import type { CheckDestination } from "./oidc/issuer.ts";
import type { IdentityProviderCreate, IdentityProviderPatch } from "./schemas.ts";
import { identityProviders, members, sessions } from "./tables.ts";

type Row = typeof identityProviders.$inferSelect;

/** Who may say for a tenant who people are. */
export interface IdentityProvider extends Omit<Row, "clientSecret"> {
  /** Whether there is a client secret: without one it is a public client, with PKCE alone. */
  readonly confidential: boolean;
}

/** One that a token says it comes from, and the member that its subject has joined its tenant as. */
export interface ClaimedProvider extends IdentityProvider {
  readonly memberId: MemberId | null;
}

const MAX_PROVIDERS = 10;

/** A tenant's identity providers. One of another tenant is one that does not exist. */
export class IdentityProviders {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #sealed: SealedTexts;
  readonly #checkDestination: CheckDestination;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    readonly sealed: SealedTexts;
    /** Throws where nothing may be fetched from a URL. */
    readonly checkDestination: CheckDestination;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#sealed = parts.sealed;
    this.#checkDestination = parts.checkDestination;
    this.#onEvents = parts.onEvents;
  }

  async list(tenantId: TenantId): Promise<readonly IdentityProvider[]> {
    const rows = await this.#db
      .of(tenantId)
      .select()
      .from(identityProviders)
      .orderBy(asc(identityProviders.id));
    return rows.map(fromRow);
  }

  /** Throws NOT_FOUND. */
  async get(tenantId: TenantId, id: IdentityProviderId): Promise<IdentityProvider> {
    return fromRow(await this.#must(tenantId, id));
  }

  /** Of a confidential client; null of a public one. Throws NOT_FOUND, and as `SealedTexts.open`. */
  async clientSecret(tenantId: TenantId, id: IdentityProviderId): Promise<Redacted | null> {
    const { clientSecret } = await this.#must(tenantId, id);
    return clientSecret === null ? null : this.#sealed.open(tenantId, sealedName(id), clientSecret);
  }

  /** Throws DESTINATION_DENIED for an issuer that nothing may be fetched from, CONFLICT beyond 10. */
  async create(caller: MemberCaller, input: IdentityProviderCreate): Promise<IdentityProvider> {
    const { tenantId } = caller;
    this.#checkDestination(input.issuer);
    if ((await this.list(tenantId)).length >= MAX_PROVIDERS) {
      throw new Problem(
        "CONFLICT",
        `A tenant has at most ${MAX_PROVIDERS} identity providers. Delete one first.`,
      );
    }
    const now = this.#clock();
    const id = newId("identityProvider");
    const clientId = input.kind === "oidc" ? (input.client_id ?? null) : null;
    const secret = input.kind === "oidc" ? input.client_secret : undefined;
    const row = {
      id,
      tenantId,
      name: input.name,
      kind: input.kind,
      issuer: input.issuer,
      clientId,
      clientSecret: secret === undefined ? null : await this.#seal(tenantId, id, secret),
      // The schema has one of the two.
      audience: input.audience ?? clientId ?? "",
      allowedEmailDomains: input.allowed_email_domains,
      trustEmail: input.kind === "cloudflare_access" && input.trust_email,
      createdAt: now,
      createdBy: caller.memberId,
    };
    const db = this.#db.of(tenantId);
    await db.batch([
      db.insert(identityProviders).values(row),
      this.#event(caller, "identity_provider.created", id, {
        ...{ name: row.name, kind: row.kind, issuer: row.issuer, audience: row.audience },
        ...{ allowed_email_domains: row.allowedEmailDomains, trust_email: row.trustEmail },
      }),
    ]);
    this.#onEvents(tenantId);
    return fromRow(row);
  }

  /** Throws NOT_FOUND, VALIDATION_ERROR for a client secret where there is no client. */
  async update(
    caller: MemberCaller,
    id: IdentityProviderId,
    patch: IdentityProviderPatch,
  ): Promise<IdentityProvider> {
    const { tenantId } = caller;
    const before = await this.#must(tenantId, id);
    const secret = patch.client_secret ?? null;
    if (secret !== null && before.clientId === null) {
      throw new Problem("VALIDATION_ERROR", "`client_secret`: this identity provider has no `client_id`.");
    }
    const changed = {
      ...(patch.name === undefined ? {} : { name: patch.name }),
      ...(patch.allowed_email_domains === undefined
        ? {}
        : { allowedEmailDomains: patch.allowed_email_domains }),
      ...(patch.client_secret === undefined
        ? {}
        : { clientSecret: secret === null ? null : await this.#seal(tenantId, id, secret) }),
    };
    const { client_secret, ...told } = patch;
    const db = this.#db.of(tenantId);
    await db.batch([
      db.update(identityProviders).set(changed).where(eq(identityProviders.id, id)),
      this.#event(caller, "identity_provider.updated", id, {
        ...told,
        ...(client_secret === undefined
          ? {}
          : { client_secret: client_secret === null ? "removed" : "changed" }),
      }),
    ]);
    this.#onEvents(tenantId);
    return fromRow({ ...before, ...changed });
  }

  /**
   * Nobody signs in by it from then on, and the sessions that began by its issuer end with it, unless another of the
   * tenant's identity providers has the same issuer. Throws NOT_FOUND.
   */
  async delete(caller: MemberCaller, id: IdentityProviderId): Promise<void> {
    const { tenantId } = caller;
    const { issuer } = await this.#must(tenantId, id);
    const isOnly = (await this.list(tenantId)).every((other) => other.id === id || other.issuer !== issuer);
    const db = this.#db.of(tenantId);
    const itsSessions = and(eq(sessions.issuer, issuer), eq(sessions.method, "oidc"));
    await db.batch([
      db.delete(identityProviders).where(eq(identityProviders.id, id)),
      ...(isOnly ? [db.delete(sessions).where(itsSessions)] : []),
      this.#event(caller, "identity_provider.deleted", id, { issuer, sessions_ended: isOnly }),
    ]);
    this.#onEvents(tenantId);
  }

  /**
   * Whose token it could be that comes with a request: the identity providers that have its issuer and one of its
   * audiences, those first where its subject is a member. Of one tenant, or of a jurisdiction's. Nothing about the token
   * has been verified yet.
   */
  async claimed(
    kind: IdentityProvider["kind"],
    token: { readonly issuer: string; readonly audiences: readonly string[]; readonly subject: string },
    where: TenantId | { readonly jurisdiction: Jurisdiction | null },
  ): Promise<readonly ClaimedProvider[]> {
    const jurisdiction = typeof where === "string" ? jurisdictionOf(where) : where.jurisdiction;
    const rows = await this.#db
      .acrossTenants("whose identity provider a token comes from, by its issuer and audience", jurisdiction)
      .select({ provider: identityProviders, memberId: members.id })
      .from(identityProviders)
      .leftJoin(
        members,
        and(
          eq(members.tenantId, identityProviders.tenantId),
          eq(members.issuer, identityProviders.issuer),
          eq(members.subject, token.subject),
          isNull(members.revokedAt),
          // Whom a tenant has only invited has not said that they belong to it.
          isNotNull(members.joinedAt),
        ),
      )
      .where(
        and(
          eq(identityProviders.kind, kind),
          eq(identityProviders.issuer, token.issuer),
          inArray(identityProviders.audience, token.audiences.slice(0, MAX_AUDIENCES)),
          typeof where === "string" ? eq(identityProviders.tenantId, where) : undefined,
        ),
      )
      .orderBy(sql`${members.id} is null`)
      .limit(MAX_CLAIMED);
    return rows.map(({ provider, memberId }) => ({ ...fromRow(provider), memberId }));
  }

  async #must(tenantId: TenantId, id: IdentityProviderId): Promise<Row> {
    const [row] = await this.#db
      .of(tenantId)
      .select()
      .from(identityProviders)
      .where(eq(identityProviders.id, id));
    if (row === undefined) throw new Problem("NOT_FOUND", "There is no such identity provider.");
    return row;
  }

  #seal(tenantId: TenantId, id: IdentityProviderId, secret: string) {
    return this.#sealed.seal(tenantId, sealedName(id), new Redacted(secret));
  }

  #event(
    caller: MemberCaller,
    type: Extract<AuditEvent["event_type"], `identity_provider.${string}`>,
    id: IdentityProviderId,
    context: AuditEvent["context"],
  ) {
    const event = eventBy(caller, this.#clock(), {
      event_type: type,
      resource_type: "identity_provider",
      resource: id,
      context,
    });
    return this.#db
      .of(caller.tenantId)
      .insert(auditOutbox)
      .values({ event: fitForOutbox(event) });
  }
}

const MAX_AUDIENCES = 5;
const MAX_CLAIMED = 50;

const sealedName = (id: IdentityProviderId): string => `identity provider ${id}`;

function fromRow({ clientSecret, ...row }: Row): IdentityProvider {
  return { ...row, confidential: clientSecret !== null };
}
