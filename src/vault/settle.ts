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
  readonly tags?: readonly string[] | undefined;
  readonly allowedHosts?: readonly string[] | null | undefined;
  readonly reveal?: "allow" | "deny" | null | undefined;
  /** Milliseconds since 1970; null: never. */
  readonly expiresAt?: number | null | undefined;
}

export type Settled = Pick<
  SecretRow,
  "secretType" | "accessTier" | "metadata" | "tags" | "allowedHosts" | "reveal" | "expiresAt"
>;

const NEW: Omit<Settled, "accessTier"> = {
  secretType: "custom",
  metadata: {},
  tags: [],
  allowedHosts: null,
  reveal: null,
  expiresAt: null,
};

/** What a write is settled under. */
export interface Circumstances {
  /** The tier of a new secret that names none. */
  readonly tierDefault: AccessTier;
  /** What its namespaces say of agents' reading. */
  readonly strictReveal: "allow" | "deny";
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * What a secret will be, if this caller may make it so (attack 91):
 * - where it may be sent and whether agents may read it is for people (ROLE_DENIED); `reveal` is for admins;
 * - so is the tier of a secret that is there, and letting a value live longer: a token may do that with a new value;
 * - nothing is made to expire in the past (VALIDATION_ERROR);
 * - of a secret above the standard tier nobody alone widens the hosts or lets agents read it, and nobody alone lowers
 *   any tier, which would be the way around it (APPROVAL_REQUIRED).
 */
export function settle(
  caller: MemberCaller | TokenCaller,
  held: Settled | undefined,
  write: SecretWrite,
  { tierDefault, strictReveal, now }: Circumstances,
): Settled {
  const from = held ?? { ...NEW, accessTier: tierDefault };
  const next: Settled = {
    secretType: write.secretType ?? from.secretType,
    accessTier: write.accessTier ?? from.accessTier,
    metadata: write.metadata ?? from.metadata,
    tags: write.tags ?? from.tags,
    allowedHosts: write.allowedHosts === undefined ? from.allowedHosts : write.allowedHosts,
    reveal: write.reveal === undefined ? from.reveal : write.reveal,
    expiresAt: write.expiresAt === undefined ? from.expiresAt : write.expiresAt,
  };
  if (next.expiresAt !== null && next.expiresAt !== from.expiresAt && next.expiresAt <= now) {
    throw new Problem("VALIDATION_ERROR", "`expires_at`: must be in the future.");
  }
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
  if (caller.kind === "token") checkToken(held, next, write);
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
  const opens = (reveal: Settled["reveal"]): boolean => (reveal ?? strictReveal) === "allow";
  if (next.accessTier !== "standard" && opens(next.reveal) && !opens(held.reveal)) {
    throw new Problem(
      "APPROVAL_REQUIRED",
      `Letting agents read a ${next.accessTier} secret needs a second person. Forbidding it does not.`,
      { why: "Have agents call through a connection, or leave `reveal` as it is." },
    );
  }
  return next;
}

/** What a token may not make of a secret that is there. */
function checkToken(held: Settled, next: Settled, { value }: SecretWrite): void {
  if (next.accessTier !== held.accessTier) {
    throw new Problem("ROLE_DENIED", "A secret's tier is changed by people: leave `access_tier` out.");
  }
  const isLonger = (next.expiresAt ?? Infinity) > (held.expiresAt ?? Infinity);
  if (isLonger && value === undefined) {
    throw new Problem("ROLE_DENIED", "How long a value may live is decided by people.", {
      why: "Store a new value together with its own `expires_at`, or ask an editor.",
    });
  }
}

function strictness(tier: AccessTier): number {
  return accessTierSchema.options.indexOf(tier);
}
