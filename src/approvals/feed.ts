import type { MemberId } from "../base/ids.ts";

/** So long a feed is open: who watches is asked for again then, so that a demotion counts. */
export const FEED_LASTS_MS = 15 * 60_000;
/** Of one tenant at a time; the oldest makes room. */
export const MOST_FEEDS = 200;

/** In which header the desk is told who watches: nobody but the gateway reaches a desk. */
export const FEED_MEMBER = "x-feed-member";

/** What a feed's socket remembers while its desk sleeps. */
export interface Watching {
  readonly memberId: MemberId;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** Why a feed ended (RFC 6455 §7.4.2: 4000 and up are ours). */
export const FEED_OVER = { code: 4001, reason: "time is up: open it again" } as const;
