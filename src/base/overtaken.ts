import { Problem } from "./problem.ts";

const ATTEMPTS = 4;

/**
 * Makes a change to something as it was read: `attempt` reads it, plans and makes the change, and fails where it is not as
 * it was read any more, which `isOvertaken` tells of its error. Then it is planned again, so that nobody's change is lost.
 * Throws CONFLICT where that goes on.
 */
export async function againIfOvertaken<T>(
  what: string,
  isOvertaken: (error: unknown) => boolean,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tries = 0; tries < ATTEMPTS; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isOvertaken(error)) throw error;
    }
  }
  throw new Problem("CONFLICT", `Others are changing this ${what} at the same time. Try again.`);
}
