/** An agent key as people see it. Times are milliseconds since 1970. */
export interface AgentKeyLife {
  readonly createdAt: number;
  /** null: never. */
  readonly expiresAt: number | null;
}

const DAY_MS = 86_400_000;
/** Keys should be rotated by then. */
const OLD_AFTER_DAYS = 90;
const EXPIRES_SOON_DAYS = 7;

/** Whole days since it was made. */
export function ageDays({ createdAt }: AgentKeyLife, now: number): number {
  return Math.max(0, Math.floor((now - createdAt) / DAY_MS));
}

/** What somebody should do something about. */
export function keyWarnings(key: AgentKeyLife, now: number): readonly string[] {
  const { expiresAt } = key;
  const warnings: string[] = [];
  if (ageDays(key, now) >= OLD_AFTER_DAYS) warnings.push(`older than ${OLD_AFTER_DAYS} days: rotate it`);
  if (expiresAt !== null && expiresAt <= now) warnings.push("expired");
  else if (expiresAt !== null && expiresAt - now <= EXPIRES_SOON_DAYS * DAY_MS) {
    warnings.push(`expires within ${EXPIRES_SOON_DAYS} days`);
  }
  return warnings;
}
