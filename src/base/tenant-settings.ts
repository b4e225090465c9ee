type Tier = "standard" | "sensitive" | "critical";

/** What a tenant may say about its secrets, as it is stored: what it has not said is not there. */
export interface StoredSecretSettings {
  readonly tier_default?: Tier;
  readonly version_retention?: Partial<VersionRetention>;
  readonly recovery_days?: number;
}

/** A version is kept while it is among the newest `keep` of its secret, or younger than `days`. */
export interface VersionRetention {
  /** 1 or more: the current version stays. */
  readonly keep: number;
  readonly days: number;
}

export interface SecretSettings {
  /** Of new secrets that name none, where no namespace says otherwise. */
  readonly tier_default: Tier;
  readonly version_retention: VersionRetention;
  /** How long a deleted secret can be restored; 0: not at all. */
  readonly recovery_days: number;
}

/** With what holds for a tenant that has not said. */
export function secretSettings(stored: StoredSecretSettings | undefined): SecretSettings {
  return {
    tier_default: stored?.tier_default ?? "standard",
    version_retention: {
      keep: stored?.version_retention?.keep ?? 10,
      days: stored?.version_retention?.days ?? 30,
    },
    recovery_days: stored?.recovery_days ?? 7,
  };
}

/** How long after the last approval what reaches a critical secret waits, where its namespace does not say. */
export const APPROVAL_DELAY_SECONDS = 300;

export const DAY_MS = 86_400_000;
