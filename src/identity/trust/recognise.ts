import type { TokenKind, VerifiedClaims } from "../oidc/claims.ts";
import type { SourceFailure } from "../oidc/issuer.ts";
import {
  type ExpectedToken,
  peekToken,
  type TokenRefusal,
  type VerifyDependencies,
  verifyToken,
} from "../oidc/verify.ts";
import { keysUriOf, matchTrust } from "./match.ts";
import { PRESETS } from "./presets.ts";
import type { TrustRule } from "./rule.ts";

export type Recognition =
  | { readonly kind: "recognised"; readonly rule: TrustRule; readonly claims: VerifiedClaims }
  /** `untrusted`: no rule names this issuer and audience. `no_match`: a genuine token that satisfies no rule. */
  | { readonly kind: "refused"; readonly reason: TokenRefusal | "untrusted" | "no_match" }
  | { readonly kind: "unavailable"; readonly failure: SourceFailure };

function expectedBy(rule: TrustRule, kind: TokenKind): ExpectedToken {
  const { issuer, audience, provider, algorithms } = rule;
  return {
    kind,
    issuer,
    audience,
    jwksUri: keysUriOf(rule),
    emptySubject: PRESETS[provider].emptySubject === true ? "allowed" : "refused",
    ...(algorithms === undefined ? {} : { algorithms }),
  };
}

/**
 * Who a workload's token stands for among an agent's trust rules. What the token says of itself only picks the rules it
 * is verified against; a rule is matched by nothing but a token verified with that rule's own issuer, keys and audience.
 */
export async function recognise(
  rules: readonly TrustRule[],
  token: string,
  kind: Exclude<TokenKind, "id_token">,
  dependencies: VerifyDependencies,
): Promise<Recognition> {
  const said = peekToken(token);
  if (said === null) return { kind: "refused", reason: "malformed" };
  const candidates = rules.filter(
    (rule) => rule.issuer === said.issuer && said.audiences.includes(rule.audience),
  );
  let outcome: Recognition = { kind: "refused", reason: "untrusted" };
  const tried = new Set<string>();
  for (const rule of candidates) {
    const expected = expectedBy(rule, kind);
    const name = JSON.stringify(expected);
    if (tried.has(name)) continue;
    tried.add(name);
    const verdict = await verifyToken(token, expected, dependencies);
    if (verdict.kind !== "ok") {
      outcome = verdict;
      continue;
    }
    const { issuer, audience, jwksUri } = expected;
    const proven = rules.filter((one) => JSON.stringify(expectedBy(one, kind)) === name);
    const match = matchTrust(proven, { issuer, audience, jwksUri, claims: verdict.claims });
    if (match.kind === "match") return { kind: "recognised", rule: match.rule, claims: verdict.claims };
    outcome = { kind: "refused", reason: "no_match" };
  }
  return outcome;
}
