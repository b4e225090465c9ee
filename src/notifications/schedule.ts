/** Seconds from a failed try to the next: the example of the Standard Webhooks specification. */
const PAUSES_SECONDS = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400] as const;

/** So many tries, then a delivery is dead until a person replays it: about three days. */
export const MAX_ATTEMPTS = PAUSES_SECONDS.length + 1;
/** Of its pause, at most added to it: what failed together does not come back together. */
const JITTER = 0.2;
/** A receiver that asks for more is asked again after this. */
const MAX_RETRY_AFTER_SECONDS = 86_400;

/**
 * Milliseconds from the try of this number (from 1) to the next; null where there is none. A `Retry-After` makes it
 * longer, by a day at most, and never shorter. `random` is in [0, 1).
 */
export function pauseMs(attempt: number, retryAfter: number | null, random: number): number | null {
  const pause = PAUSES_SECONDS[attempt - 1];
  if (pause === undefined) return null;
  const asked = Math.min(retryAfter ?? 0, MAX_RETRY_AFTER_SECONDS);
  return Math.round(Math.max(pause, asked) * 1_000 + pause * 1_000 * JITTER * random);
}

/** `Retry-After` (RFC 9110, 10.2.3) in seconds from `now` (milliseconds since 1970); null where it says nothing. */
export function retryAfterSeconds(header: string | null, now: number): number | null {
  if (header === null) return null;
  if (/^[0-9]{1,9}$/.test(header)) return Number(header);
  if (!/^[A-Z][a-z]{2},? [^,]+ GMT$/.test(header)) return null;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - now) / 1_000));
}
