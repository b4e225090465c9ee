import { APPROVAL_DELAY_SECONDS } from "../base/tenant-settings.ts";

/** How far a tenant trusts an agent: what its requests need in approvals, and nothing else. */
export const TRUST_TIERS = ["untrusted", "standard", "trusted"] as const;
export type TrustTier = (typeof TRUST_TIERS)[number];

export type SecretTier = "standard" | "sensitive" | "critical";

/** What must happen before an agent gets at a secret. */
export interface ApprovalNeed {
  /** By so many people, none of whom asked for it. */
  readonly approvals: number;
  /** From the last approval until it counts: time for somebody to object. */
  readonly delaySeconds: number;
}

const NOT_TRUSTED_SECONDS = 60 * 60;

/**
 * What a request of an agent of `trustTier` for a secret of `secretTier` needs. `delaySeconds`: how long critical ones
 * wait as their namespaces have it, 1 or more.
 *
 * "Sensitive secrets require at least one human approval, critical secrets two and a delay" (security architecture, L3):
 * that is the standard tier. An agent that is not trusted needs one more step everywhere, a trusted one less; but
 * nobody gets at a critical secret alone, or at once.
 */
export function approvalNeed(
  secretTier: SecretTier,
  trustTier: TrustTier,
  delaySeconds: number = APPROVAL_DELAY_SECONDS,
): ApprovalNeed {
  const delay = Math.max(1, delaySeconds);
  const untrusted = trustTier === "untrusted";
  switch (secretTier) {
    case "standard":
      return { approvals: untrusted ? 1 : 0, delaySeconds: 0 };
    case "sensitive":
      return { approvals: untrusted ? 2 : trustTier === "standard" ? 1 : 0, delaySeconds: 0 };
    case "critical":
      return {
        approvals: trustTier === "trusted" ? 1 : 2,
        delaySeconds: untrusted ? Math.max(delay, NOT_TRUSTED_SECONDS) : delay,
      };
  }
}

/** Whether an agent is trusted less than before: what it got under the old tier is then taken back. */
export function isTrustedLess(before: TrustTier, after: TrustTier): boolean {
  return TRUST_TIERS.indexOf(after) < TRUST_TIERS.indexOf(before);
}
