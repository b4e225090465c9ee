import { lte } from "drizzle-orm";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { Jurisdiction } from "../base/jurisdiction.ts";
import { finishedSignIns, sessions } from "./tables.ts";

/** Clears away sessions that are over and sign-ins that can come back no more: housekeeping, nothing rests on it. */
export async function sweepPeople(parts: {
  readonly db: Database;
  readonly jurisdiction: Jurisdiction | null;
  readonly clock: Clock;
}): Promise<void> {
  const all = parts.db.acrossTenants("sessions and sign-ins that are over", parts.jurisdiction);
  const now = parts.clock();
  await all.batch([
    all.delete(sessions).where(lte(sessions.expiresAt, now)),
    all.delete(finishedSignIns).where(lte(finishedSignIns.expiresAt, now)),
  ]);
}
