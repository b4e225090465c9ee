/** How often a budget refills. Windows begin in UTC: a week's on Monday, a month's on its first day. */
export const PERIODS = ["minute", "hour", "day", "week", "month", "total"] as const;
export type Period = (typeof PERIODS)[number];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
/** 1 January 1970 was a Thursday. */
const FIRST_MONDAY_MS = 4 * DAY_MS;

/** When the window around `now` began, in milliseconds since 1970; 0 for "total". */
export function windowStart(period: Period, now: number): number {
  switch (period) {
    case "minute":
      return now - (now % MINUTE_MS);
    case "hour":
      return now - (now % HOUR_MS);
    case "day":
      return now - (now % DAY_MS);
    case "week":
      return now - ((now - FIRST_MONDAY_MS + WEEK_MS) % WEEK_MS);
    case "month": {
      const at = new Date(now);
      return Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1);
    }
    case "total":
      return 0;
  }
}

/** When the window that began at `start` ends and the next one begins; null: never. */
export function windowEnd(period: Period, start: number): number | null {
  switch (period) {
    case "minute":
      return start + MINUTE_MS;
    case "hour":
      return start + HOUR_MS;
    case "day":
      return start + DAY_MS;
    case "week":
      return start + WEEK_MS;
    case "month": {
      const at = new Date(start);
      return Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 1);
    }
    case "total":
      return null;
  }
}
