import { unauthorized } from "../base/bearer.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { jurisdictionOf } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import type { RequestInfo } from "../base/request.ts";
import type { SignIn } from "./caller.ts";
import type { ClaimedProvider, IdentityProvider, IdentityProviders } from "./identity-providers.ts";
import type { Member } from "./members.ts";
import type { VerifiedClaims } from "./oidc/claims.ts";
import { readJws } from "./oidc/jws.ts";
import { MAX_TOKEN_CHARACTERS, peekToken, type VerifyDependencies, verifyToken } from "./oidc/verify.ts";
import type { Recognition } from "./recognition.ts";

/** ID tokens that come as bearers, and those that Cloudflare Access adds to a request. */
export interface PresentedToken {
  readonly kind: IdentityProvider["kind"];
  readonly token: string;
  /** As the request names it; null where it names none. */
  readonly tenantId: TenantId | null;
  readonly request: RequestInfo;
}

/** The token's own end counts; an ID token that lives for longer than most is taken for an hour. */
const MAX_AGE_SECONDS = 3_600;
const ACCESS_MAX_AGE_SECONDS = 86_400;

/** Who stands behind a token of an identity provider's that comes with the request itself: no session, no cookie. */
export class PresentedTokens {
  readonly #db: Database;
  readonly #providers: IdentityProviders;
  readonly #recognition: Recognition;
  readonly #verification: VerifyDependencies;

  constructor(parts: {
    readonly db: Database;
    readonly providers: IdentityProviders;
    readonly recognition: Recognition;
    readonly verification: VerifyDependencies;
  }) {
    this.#db = parts.db;
    this.#providers = parts.providers;
    this.#recognition = parts.recognition;
    this.#verification = parts.verification;
  }

  /**
   * Null for a token that is nobody's: of an issuer that no tenant has, not live, not for us, of who is no member.
   * Throws UNAVAILABLE where the issuer's keys are not at hand, UNAUTHORIZED where a member of several tenants does not
   * say which.
   */
  async authenticate(presented: PresentedToken): Promise<(Member & { readonly signIn: SignIn }) | null> {
    const { kind, token, tenantId, request } = presented;
    const candidates = await this.#candidates(kind, token, tenantId);
    const [first] = candidates;
    if (first === undefined) return null;
    // All have the token's issuer and one of its audiences; a token for several is refused.
    const claims = await this.#verify(first, token);
    if (claims === null) return null;
    const own = candidates.filter(({ audience }) => audience === first.audience);
    const known = own.filter(({ memberId }) => memberId !== null);
    const possible = known.length > 0 ? known : own;
    if (new Set(possible.map((provider) => provider.tenantId)).size > 1) throw severalTenants();
    // Two entries of one tenant may let in different domains.
    for (const provider of possible) {
      const member = await this.#recognition.recognise(provider, claims, request);
      if (member === null) continue;
      const method = kind === "oidc" ? "id_token" : "cloudflare_access";
      return { ...member, signIn: { method, authenticatedAt: authenticatedAt(claims), sessionId: null } };
    }
    return null;
  }

  async #candidates(
    kind: IdentityProvider["kind"],
    token: string,
    tenantId: TenantId | null,
  ): Promise<readonly ClaimedProvider[]> {
    const peeked = peekToken(token);
    const read = readJws(token, MAX_TOKEN_CHARACTERS);
    if (peeked === null || read.kind === "refused" || peeked.audiences.length === 0) return [];
    const subject = read.jws.payload["sub"];
    if (typeof subject !== "string") return [];
    const claimed = { ...peeked, subject };
    const { jurisdictions } = this.#db;
    if (tenantId !== null) {
      const isHere = jurisdictions.includes(jurisdictionOf(tenantId));
      return isHere ? this.#providers.claimed(kind, claimed, tenantId) : [];
    }
    const found = await Promise.all(
      jurisdictions.map((jurisdiction) => this.#providers.claimed(kind, claimed, { jurisdiction })),
    );
    return found.flat();
  }

  async #verify(provider: IdentityProvider, token: string): Promise<VerifiedClaims | null> {
    const isAccess = provider.kind === "cloudflare_access";
    const verdict = await verifyToken(
      token,
      {
        kind: "id_token",
        issuer: provider.issuer,
        audience: provider.audience,
        maxAgeSeconds: isAccess ? ACCESS_MAX_AGE_SECONDS : MAX_AGE_SECONDS,
        ...(isAccess ? { jwksUri: accessKeys(provider.issuer) } : {}),
      },
      this.#verification,
    );
    switch (verdict.kind) {
      case "ok":
        // Of Access's tokens only an application's speak of a person at this application.
        return isAccess && verdict.claims["type"] !== "app" ? null : verdict.claims;
      case "refused":
        return null;
      case "unavailable":
        throw new Problem("UNAVAILABLE", "The identity provider's keys are not at hand. Try again.", {
          headers: { "retry-after": "5" },
        });
    }
  }
}

/** Access has no discovery document for its application tokens. */
const accessKeys = (issuer: string): string => `${issuer.replace(/\/$/, "")}/cdn-cgi/access/certs`;

/**
 * When a verified token's person last showed who they are (OpenID Connect Core §2, `auth_time`), in milliseconds since
 * 1970; null where it does not say. `iat` says when the token was made, which is something else.
 */
export function authenticatedAt(claims: VerifiedClaims): number | null {
  const seconds = claims["auth_time"];
  return typeof seconds === "number" && Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : null;
}

function severalTenants(): Problem {
  const { message, options } = unauthorized();
  return new Problem("UNAUTHORIZED", message, {
    ...options,
    why: "This identity belongs to several tenants: name one in `X-Valetkey-Tenant`.",
  });
}
