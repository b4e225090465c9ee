import { Problem } from "../base/problem.ts";
import type { MemberCaller } from "../identity/caller.ts";

/** How long a sign-in is fresh: for revealing plaintext, approving, changing keys and members. */
const FRESH_MS = 5 * 60_000;

/**
 * Throws STEP_UP_REQUIRED for a person who has not shown who they are within 5 minutes. A credential for scripts passes:
 * it can manage, and what it may not do says `person` in its declaration. `now` is in milliseconds since 1970.
 */
export function requireFresh(caller: MemberCaller, now: number): void {
  if (caller.script) return;
  const at = caller.signIn?.authenticatedAt ?? null;
  if (at !== null && at <= now && now - at <= FRESH_MS) return;
  throw new Problem("STEP_UP_REQUIRED", "This takes a sign-in that is at most 5 minutes old.", {
    why: "Sign in again, by passkey or at `/auth/sign-in?fresh=1`, then repeat this.",
  });
}
