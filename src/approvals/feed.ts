import type { MemberId } from "../base/ids.ts";

/** So long a feed is open: whoever watches shows who they are again then. */
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
export interface FeedEnd {
  readonly code: number;
  readonly reason: string;
}

/** Its time is up, another took its place, or it could not be told whether its member may still watch. */
export const FEED_OVER: FeedEnd = { code: 4001, reason: "time is up: open it again" };
/** Its member was removed, or has a role that does not see this. */
export const FEED_LOST: FeedEnd = { code: 4003, reason: "you may not watch any more" };
