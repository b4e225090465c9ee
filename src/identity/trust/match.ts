import type { KeySource } from "../oidc/jwks.ts";
import type { VerifiedClaims } from "../oidc/claims.ts";
import { claimAt, matchesClaim } from "./claim.ts";
import { PRESETS } from "./presets.ts";
import type { TrustRule, TrustRuleInput } from "./rule.ts";

/** Claims with what they were verified against: another rule's keys or audience prove nothing to this rule. */
export interface VerifiedToken extends KeySource {
  readonly audience: string;
  readonly claims: VerifiedClaims;
}

export type TrustMatch = { readonly kind: "match"; readonly rule: TrustRule } | { readonly kind: "none" };

/** Where a rule's keys are: its own `jwks_uri`, its provider's, or (undefined) to be discovered. */
export function keysUriOf({ issuer, jwks_uri: own, provider }: TrustRuleInput): string | undefined {
  const { keysPath } = PRESETS[provider];
  return own ?? (keysPath === undefined ? undefined : `${issuer}${keysPath}`);
}

function matches(rule: TrustRule, token: VerifiedToken): boolean {
  const { issuer, jwksUri, audience, claims } = token;
  if (rule.issuer !== issuer || rule.audience !== audience || keysUriOf(rule) !== jwksUri) return false;
  if (rule.subject !== undefined && !matchesClaim(claims.sub, rule.subject)) return false;
  const asked = { ...PRESETS[rule.provider].required, ...rule.claims };
  return Object.entries(asked).every(([name, match]) => matchesClaim(claimAt(claims, name), match));
}

/** The first rule, in their order, that a verified token satisfies completely. Pure; what no rule asks for is denied. */
export function matchTrust(rules: readonly TrustRule[], token: VerifiedToken): TrustMatch {
  const rule = rules.find((candidate) => matches(candidate, token));
  return rule === undefined ? { kind: "none" } : { kind: "match", rule };
}
