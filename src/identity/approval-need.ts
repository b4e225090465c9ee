/** How far a tenant trusts an agent: what its requests need in approvals, and nothing else. */
export const TRUST_TIERS = ["untrusted", "standard", "trusted"] as const;
export type TrustTier = (typeof TRUST_TIERS)[number];

export type SecretTier = "standard" | "sensitive" | "critical";

/** What must happen before an agent gets at a secret. */
export interface ApprovalNeed {
  /** By so many people, none of whom asked for it. */
  readonly approvals: 0 | 1 | 2;
  /** From the last approval until it counts: time for somebody to object. */
  readonly delaySeconds: number;
}

const FREE: ApprovalNeed = { approvals: 0, delaySeconds: 0 };
const ONE: ApprovalNeed = { approvals: 1, delaySeconds: 0 };
const TWO: ApprovalNeed = { approvals: 2, delaySeconds: 0 };
const SOON = 15 * 60;
const LATER = 60 * 60;

/**
 * "Sensitive secrets require at least one human approval, critical secrets two and a delay" (security architecture, L3):
 * that is the standard tier. An agent that is not trusted needs one more step everywhere, a trusted one less; but
 * nobody gets at a critical secret alone, or at once.
 */
const NEEDS = {
  untrusted: { standard: ONE, sensitive: TWO, critical: { approvals: 2, delaySeconds: LATER } },
  standard: { standard: FREE, sensitive: ONE, critical: { approvals: 2, delaySeconds: SOON } },
  trusted: { standard: FREE, sensitive: FREE, critical: { approvals: 1, delaySeconds: SOON } },
} as const satisfies Record<TrustTier, Record<SecretTier, ApprovalNeed>>;

/** What a request of an agent of `trustTier` for a secret of `secretTier` needs. */
export function approvalNeed(secretTier: SecretTier, trustTier: TrustTier): ApprovalNeed {
  return NEEDS[trustTier][secretTier];
}

/** Whether an agent is trusted less than before: what it got under the old tier is then taken back. */
export function isTrustedLess(before: TrustTier, after: TrustTier): boolean {
  return TRUST_TIERS.indexOf(after) < TRUST_TIERS.indexOf(before);
}
