import { eq, lte } from "drizzle-orm";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { equalDigests, sha256Hex } from "../base/digest.ts";
import type { IdentityProviderId, SessionId, TenantId } from "../base/ids.ts";
import { jurisdictionOf } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import type { RequestInfo } from "../base/request.ts";
import type { IdentityProvider, IdentityProviders } from "./identity-providers.ts";
import {
  away,
  issuerAway,
  type IssuerEndpoints,
  issuerEndpoints,
  type IssuerMemory,
} from "./issuer-endpoints.ts";
import type { VerifiedClaims } from "./oidc/claims.ts";
import type { Fetch } from "./oidc/issuer.ts";
import { type VerifyDependencies, verifyToken } from "./oidc/verify.ts";
import { authenticatedAt } from "./presented-tokens.ts";
import type { Recognition } from "./recognition.ts";
import { type OwnCookie, ownCookie } from "./session-cookie.ts";
import type { Sessions, StartedSession } from "./sessions.ts";
import {
  derived,
  newSeed,
  openTransaction,
  sealTransaction,
  type SignInTransaction,
  TRANSACTION_MS,
} from "./sign-in-transaction.ts";
import { finishedSignIns, tenants } from "./tables.ts";
import { type Post, redeemCode } from "./token-endpoint.ts";

export interface SignInRequest {
  readonly tenantId: TenantId | undefined;
  /** Left out: the tenant's only one. */
  readonly providerId: IdentityProviderId | undefined;
  readonly returnTo: string;
  readonly fresh: boolean;
  readonly replaces: SessionId | null;
}

export interface SignInReturn {
  /** Of the path: whose answer this is to be. */
  readonly providerId: IdentityProviderId;
  readonly code: string | undefined;
  readonly state: string | undefined;
  readonly iss: string | undefined;
  /** The request's `Cookie` header. */
  readonly cookies: string | null;
  readonly request: RequestInfo;
}

/** A step-up that took longer than this after the person showed who they are would be refused anyway. */
const FRESH_MS = 5 * 60_000;

/**
 * Signing in with a browser: authorization code with PKCE (OpenID Connect Core §3.1, RFC 7636, RFC 9700). What a
 * sign-in needs to be finished lives in the browser that began it, signed, for 10 minutes, and serves once.
 */
export class SignIns {
  readonly cookie: OwnCookie;
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #pepper: Uint8Array;
  readonly #origin: string;
  readonly #providers: IdentityProviders;
  readonly #recognition: Recognition;
  readonly #sessions: Sessions;
  readonly #verification: VerifyDependencies;
  readonly #issuers: { readonly memory: IssuerMemory; readonly get: Fetch };
  readonly #post: Post;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The deployment's PEPPER, 32 bytes. */
    readonly pepper: Uint8Array;
    /** The gateway's own, `https://host[:port]`. */
    readonly origin: string;
    readonly providers: IdentityProviders;
    readonly recognition: Recognition;
    readonly sessions: Sessions;
    readonly verification: VerifyDependencies;
    readonly memory: IssuerMemory;
    readonly get: Fetch;
    readonly post: Post;
  }) {
    this.cookie = ownCookie("valetkey-sign-in", "Lax", parts.origin.startsWith("https:"));
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#pepper = parts.pepper;
    this.#origin = parts.origin;
    this.#providers = parts.providers;
    this.#recognition = parts.recognition;
    this.#sessions = parts.sessions;
    this.#verification = parts.verification;
    this.#issuers = { memory: parts.memory, get: parts.get };
    this.#post = parts.post;
  }

  /** To what one would sign in, and by whom. Throws NOT_FOUND as `begin`. */
  async asked(
    tenantId: TenantId | undefined,
    providerId: IdentityProviderId | undefined,
  ): Promise<{ readonly tenant: string; readonly issuer: string }> {
    if (tenantId === undefined) throw noSuchSignIn();
    const { issuer } = await this.#provider(tenantId, providerId);
    const [row] = await this.#db
      .of(tenantId)
      .select({ name: tenants.name })
      .from(tenants)
      .where(eq(tenants.id, tenantId));
    return { tenant: row?.name ?? tenantId, issuer };
  }

  /**
   * Where the browser goes, and the cookie with which it comes back. Throws NOT_FOUND for a tenant or identity provider
   * that there is not, UNAVAILABLE where the issuer does not say where to go.
   */
  async begin(wanted: SignInRequest): Promise<{ readonly location: string; readonly cookie: string }> {
    const { tenantId, returnTo, fresh, replaces } = wanted;
    if (tenantId === undefined) throw noSuchSignIn();
    const provider = await this.#provider(tenantId, wanted.providerId);
    const { authorization } = await this.#endpoints(provider.issuer);
    const expiresAt = this.#clock() + TRANSACTION_MS;
    const seed = newSeed();
    const providerId = provider.id;
    const transaction = { tenantId, providerId, seed, returnTo, fresh, replaces, expiresAt };
    const url = new URL(authorization);
    const verifier = derived(this.#pepper, transaction, "verifier");
    const parameters = {
      response_type: "code",
      client_id: provider.clientId,
      redirect_uri: redirectUri(this.#origin, providerId),
      scope: "openid email",
      state: derived(this.#pepper, transaction, "state"),
      nonce: derived(this.#pepper, transaction, "nonce"),
      code_challenge: Buffer.from(sha256Hex(verifier), "hex").toString("base64url"),
      code_challenge_method: "S256",
      ...(fresh ? { prompt: "login", max_age: "0" } : {}),
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    const sealed = sealTransaction(this.#pepper, transaction);
    return { location: url.href, cookie: this.cookie.write(sealed, TRANSACTION_MS / 1_000) };
  }

  /**
   * Finishes what this browser began. Throws CSRF_REFUSED for what it did not begin, or has finished; SIGN_IN_FAILED
   * where the issuer does not say who it is, or who it is is no member, which are told apart by nobody;
   * STEP_UP_REQUIRED where the person did not show anew who they are; UNAVAILABLE where the issuer does not answer.
   */
  async finish(back: SignInReturn): Promise<{ readonly session: StartedSession; readonly returnTo: string }> {
    const now = this.#clock();
    const sealed = this.cookie.read(back.cookies);
    const transaction = sealed === null ? null : openTransaction(this.#pepper, sealed, now);
    if (transaction === null || !this.#isItsState(transaction, back.state)) throw notBegunHere();
    // The answer of another issuer than the one that was asked, which many do not say in `iss` (RFC 9700 §4.4.2).
    if (transaction.providerId !== back.providerId) throw notBegunHere();
    if (await this.#isFinished(transaction)) throw notBegunHere();
    const { tenantId, providerId, fresh, replaces, returnTo } = transaction;
    const provider = await this.#provider(tenantId, providerId);
    const claims = await this.#claims(provider, transaction, back);
    const member = await this.#recognition.recognise(provider, claims, back.request);
    if (member === null) throw failed();
    const at = authenticatedAt(claims);
    if (fresh && (at === null || this.#clock() - at > FRESH_MS)) throw notAnew();
    await this.#finishOnce(transaction, now);
    const session = await this.#sessions.start({
      ...{ tenantId, replaces, method: "oidc", request: back.request },
      memberId: member.memberId,
      authenticatedAt: at,
    });
    return { session, returnTo };
  }

  #isItsState(transaction: SignInTransaction, state: string | undefined): boolean {
    const own = derived(this.#pepper, transaction, "state");
    return state !== undefined && equalDigests(Buffer.from(own), Buffer.from(state));
  }

  #finishedId(transaction: SignInTransaction): string {
    return sha256Hex(derived(this.#pepper, transaction, "state"));
  }

  async #isFinished(transaction: SignInTransaction): Promise<boolean> {
    const rows = await this.#db
      .of(transaction.tenantId)
      .select({ id: finishedSignIns.id })
      .from(finishedSignIns)
      .where(eq(finishedSignIns.id, this.#finishedId(transaction)));
    return rows.length > 0;
  }

  /**
   * Of two who come back with the same, one goes on. Only once it is known who it is: strangers, who can begin as many
   * sign-ins as they like, write nothing (attack 89).
   */
  async #finishOnce(transaction: SignInTransaction, now: number): Promise<void> {
    const db = this.#db.of(transaction.tenantId);
    const row = { id: this.#finishedId(transaction), expiresAt: transaction.expiresAt };
    const [, inserted] = await db.batch([
      db.delete(finishedSignIns).where(lte(finishedSignIns.expiresAt, now)),
      db.insert(finishedSignIns).values(row).onConflictDoNothing().returning({ id: finishedSignIns.id }),
    ]);
    if (inserted.length !== 1) throw notBegunHere();
  }

  async #claims(
    provider: BrowserProvider,
    transaction: SignInTransaction,
    { code, iss }: SignInReturn,
  ): Promise<VerifiedClaims> {
    if (code === undefined) throw failed();
    const endpoints = await this.#endpoints(provider.issuer);
    // RFC 9207 §2.4: the answer of another issuer than the one that was asked.
    if (iss === undefined ? endpoints.namesItself : iss !== provider.issuer) throw failed();
    const exchange = {
      endpoint: endpoints.token,
      authMethods: endpoints.authMethods,
      clientId: provider.clientId,
      clientSecret: await this.#providers.clientSecret(provider.tenantId, provider.id),
      ...{ code, redirectUri: redirectUri(this.#origin, provider.id) },
      verifier: derived(this.#pepper, transaction, "verifier"),
    };
    const { checkDestination } = this.#verification;
    const idToken = await redeemCode(exchange, { post: this.#post, checkDestination }).catch(issuerAway);
    if (idToken === null) throw failed();
    const nonce = derived(this.#pepper, transaction, "nonce");
    const verdict = await verifyToken(
      idToken,
      { kind: "id_token", issuer: provider.issuer, audience: provider.clientId, nonce },
      this.#verification,
    );
    if (verdict.kind === "ok") return verdict.claims;
    if (verdict.kind === "unavailable") throw away();
    throw failed();
  }

  #endpoints(issuer: string): Promise<IssuerEndpoints> {
    const { checkDestination } = this.#verification;
    return issuerEndpoints(issuer, { ...this.#issuers, clock: this.#clock, checkDestination });
  }

  /** Throws NOT_FOUND, also for one that takes no browsers. */
  async #provider(tenantId: TenantId, providerId: IdentityProviderId | undefined): Promise<BrowserProvider> {
    if (!this.#db.jurisdictions.includes(jurisdictionOf(tenantId))) throw noSuchSignIn();
    const providers = (await this.#providers.list(tenantId)).filter(isForBrowsers);
    const [provider, ...more] =
      providerId === undefined ? providers : providers.filter(({ id }) => id === providerId);
    if (provider === undefined || more.length > 0) throw noSuchSignIn();
    return provider;
  }
}

/**
 * Where an issuer sends browsers back to: each identity provider's own, registered with its client, so that no client's
 * code comes back to the sign-in of another (mix-up, RFC 9700 §4.4; attack 93).
 */
export function redirectUri(origin: string, id: IdentityProviderId): string {
  return `${origin}/auth/callback/${id}`;
}

type BrowserProvider = IdentityProvider & { readonly clientId: string };

function isForBrowsers(provider: IdentityProvider): provider is BrowserProvider {
  return provider.kind === "oidc" && provider.clientId !== null;
}

const noSuchSignIn = (): Problem =>
  new Problem("NOT_FOUND", "There is no such tenant or identity provider to sign in with.", {
    why: "Use the link that an admin of your tenant gave you.",
  });

const notBegunHere = (): Problem =>
  new Problem("CSRF_REFUSED", "This browser did not begin this sign-in, or it is over.", {
    why: "Begin again at `/auth/sign-in`.",
  });

const failed = (): Problem =>
  new Problem("SIGN_IN_FAILED", "You were not signed in.", {
    why: "Sign in with the account that was invited, and whose address its provider has verified; or ask an admin of your tenant.",
  });

const notAnew = (): Problem =>
  new Problem("STEP_UP_REQUIRED", "The identity provider did not ask you anew who you are.", {
    why: "Use a passkey, or an identity provider that tells `auth_time`.",
  });
