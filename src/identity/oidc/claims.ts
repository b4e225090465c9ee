import type { Members } from "./jws.ts";

/** Leeway for clocks that disagree, both ways. */
const SKEW_SECONDS = 60;

/**
 * - `id_token`: OpenID Connect Core §2, for signing people in. `azp`, where it is there, must be ours.
 * - `access_token`: RFC 9068; its `typ` must say `at+jwt`, so that no other token is one.
 * - `workload`: what a platform issues to a workload, RFC 8693's `urn:ietf:params:oauth:token-type:jwt`.
 */
export type TokenKind = "id_token" | "access_token" | "workload";

/** What a token has to be. */
export interface Expected {
  readonly kind: TokenKind;
  /** Compared character by character. */
  readonly issuer: string;
  readonly audience: string;
  /** A token for several audiences is refused unless this is set and stands in `azp`. */
  readonly authorizedParty?: string;
  /** Required in the token where it is set. */
  readonly nonce?: string;
  /** How old `iat` may be. Default: 10 minutes for an ID token, a day for others. */
  readonly maxAgeSeconds?: number;
  /** Cloudflare Access writes an empty `sub` for service tokens. */
  readonly emptySubject?: "allowed" | "refused";
}

/** The claims of a token whose signature and every claim below were checked. */
export interface VerifiedClaims extends Members {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string | readonly string[];
  readonly exp: number;
  readonly iat: number;
}

export type ClaimRefusal =
  | "type"
  | "issuer"
  | "audience"
  | "authorized_party"
  | "subject"
  | "expired"
  | "not_yet_valid"
  | "issued_at"
  | "nonce";

const DEFAULT_MAX_AGE_SECONDS: Readonly<Record<TokenKind, number>> = {
  id_token: 600,
  access_token: 86_400,
  workload: 86_400,
};
/** SPIFFE allows `JOSE` (JWT-SVID §2.3). */
const TYPES: Readonly<Record<TokenKind, readonly (string | null)[]>> = {
  id_token: [null, "jwt", "application/jwt"],
  access_token: ["at+jwt", "application/at+jwt"],
  workload: [null, "jwt", "application/jwt", "jose"],
};
const MAX_SUBJECT_CHARACTERS = 2_048;
/** The year 9999: beyond it a number counts something else than seconds. */
const MAX_SECONDS = 253_402_300_799;

/** A NumericDate (RFC 7519 §2): a number, never a string that looks like one. */
function isDate(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= MAX_SECONDS;
}

function checkTimes(payload: Members, expected: Expected, nowMs: number): ClaimRefusal | null {
  const now = nowMs / 1_000;
  const { exp, iat, nbf } = payload;
  if (!isDate(exp) || exp <= now - SKEW_SECONDS) return "expired";
  if (nbf !== undefined && !(isDate(nbf) && nbf <= now + SKEW_SECONDS)) return "not_yet_valid";
  if (!isDate(iat) || iat > now + SKEW_SECONDS || iat > exp) return "issued_at";
  const maxAge = expected.maxAgeSeconds ?? DEFAULT_MAX_AGE_SECONDS[expected.kind];
  return iat < now - maxAge - SKEW_SECONDS ? "issued_at" : null;
}

function checkAudience(payload: Members, expected: Expected): ClaimRefusal | null {
  const { aud, azp } = payload;
  const { kind, audience, authorizedParty } = expected;
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audiences.includes(audience) || !audiences.every((one) => typeof one === "string")) return "audience";
  if (audiences.length > 1) {
    if (authorizedParty === undefined) return "audience";
    if (azp !== authorizedParty) return "authorized_party";
  }
  if (kind === "id_token" && azp !== undefined && azp !== (authorizedParty ?? audience)) {
    return "authorized_party";
  }
  return null;
}

/**
 * What is wrong with a token's type and claims, null where nothing is (attacks 54, 55). Everything is checked that RFC
 * 7519 and OpenID Connect Core §3.1.3.7 ask for, and more strictly where they leave a choice: `iat` is required, several
 * audiences are refused by default.
 */
export function checkClaims(
  type: string | null,
  payload: Members,
  expected: Expected,
  nowMs: number,
): ClaimRefusal | null {
  if (!TYPES[expected.kind].includes(type)) return "type";
  if (payload["iss"] !== expected.issuer) return "issuer";
  const { sub } = payload;
  if (typeof sub !== "string" || sub.length > MAX_SUBJECT_CHARACTERS) return "subject";
  if (sub === "" && expected.emptySubject !== "allowed") return "subject";
  const wrong = checkAudience(payload, expected) ?? checkTimes(payload, expected, nowMs);
  if (wrong !== null) return wrong;
  return expected.nonce !== undefined && payload["nonce"] !== expected.nonce ? "nonce" : null;
}
