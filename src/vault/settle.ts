import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import type { MemberCaller, TokenCaller } from "../identity/caller.ts";
import { widensHosts } from "./allowed-hosts.ts";
import { type AccessTier, accessTierSchema, type SecretType } from "./schemas.ts";
import type { SecretRow } from "./sealed-secret.ts";

/** What a caller wants a secret to be; what is left out stays as it is. */
export interface SecretWrite {
  readonly value?: Redacted | undefined;
  readonly secretType?: SecretType | undefined;
  readonly accessTier?: AccessTier | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  readonly allowedHosts?: readonly string[] | null | undefined;
  readonly reveal?: "allow" | "deny" | null | undefined;
}

export type Settled = Pick<SecretRow, "secretType" | "accessTier" | "metadata" | "allowedHosts" | "reveal">;

const NEW: Settled = {
  secretType: "custom",
  accessTier: "standard",
  metadata: {},
  allowedHosts: null,
  reveal: null,
};

/**
 * What a secret will be, if this caller may make it so (attack 91):
 * - where it may be sent and whether agents may read it is for people (ROLE_DENIED); `reveal` is for admins;
 * - of a secret above the standard tier nobody alone widens the hosts, and nobody alone lowers any tier, which would
 *   be the way around it (APPROVAL_REQUIRED).
 */
export function settle(
  caller: MemberCaller | TokenCaller,
  held: Settled | undefined,
  write: SecretWrite,
): Settled {
  const from = held ?? NEW;
  const next: Settled = {
    secretType: write.secretType ?? from.secretType,
    accessTier: write.accessTier ?? from.accessTier,
    metadata: write.metadata ?? from.metadata,
    allowedHosts: write.allowedHosts === undefined ? from.allowedHosts : write.allowedHosts,
    reveal: write.reveal === undefined ? from.reveal : write.reveal,
  };
  if (caller.kind === "token" && write.allowedHosts !== undefined) {
    throw new Problem(
      "ROLE_DENIED",
      "Where a secret may be sent is decided by people: leave `allowed_hosts` out.",
    );
  }
  if (write.reveal !== undefined && !(caller.kind === "member" && caller.role === "admin")) {
    throw new Problem(
      "ROLE_DENIED",
      "Whether agents may read a secret is decided by admins: leave `reveal` out.",
    );
  }
  if (held === undefined) return next;
  if (strictness(next.accessTier) < strictness(held.accessTier)) {
    throw new Problem(
      "APPROVAL_REQUIRED",
      `Lowering the tier of a ${held.accessTier} secret needs a second person.`,
      {
        why: "Keep `access_tier` as it is, or make a new secret and give it its own value.",
      },
    );
  }
  if (next.accessTier !== "standard" && widensHosts(held.allowedHosts, next.allowedHosts)) {
    throw new Problem(
      "APPROVAL_REQUIRED",
      `Sending a ${next.accessTier} secret to more hosts needs a second person. Taking hosts away does not.`,
      { why: "Leave out the hosts that are new, or make a new secret for them and give it its own value." },
    );
  }
  return next;
}

function strictness(tier: AccessTier): number {
  return accessTierSchema.options.indexOf(tier);
}
