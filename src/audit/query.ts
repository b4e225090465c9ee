import { z } from "zod";
import { decodeCursor, encodeCursor } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { StoredEvent } from "./event.ts";
import type { BlockPage, BlockRange } from "./ledger.ts";

export interface AuditFilters {
  readonly event_type?: string;
  readonly resource_type?: string;
  readonly actor?: string;
  /** `start_time <= timestamp < end_time`, in ms since 1970. */
  readonly start_time?: number;
  readonly end_time?: number;
}

export interface PageRequest {
  /** 1 to 1,000; 100 if left out. */
  readonly limit?: number;
  /** A `next_cursor` from before. */
  readonly cursor?: string;
  /** 1-based, counted from the newest event of the moment; reaches 10,000 events back. Not with `cursor`. */
  readonly page?: number;
}

export interface EventPage {
  /** Newest first. May be short or empty although `next_cursor` says that there is more to look through. */
  readonly events: readonly StoredEvent[];
  readonly next_cursor: string | null;
}

/** Where blocks come from: a ledger, or an archive of one. */
export interface BlockSource {
  blocks(range: BlockRange): Promise<BlockPage>;
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const MAX_PAGED_EVENTS = 10_000;
const BLOCKS_PER_READ = 64;
/** The seq that what follows is older than, and how many matches are still to be skipped (for `page`). */
const CURSOR = z.tuple([z.int().min(1), z.int().min(0).max(MAX_PAGED_EVENTS)]);
/** One query looks at so much and then hands back what it has, so that a rare filter costs no more than a common one. */
const MAX_READS = 16;
const MAX_SCANNED_EVENTS = 20_000;

/**
 * The events that match every filter, newest first. A cursor is a place in the ledger, so a walk by cursors sees each
 * event that was there when it began exactly once, whatever is appended meanwhile. Throws `VALIDATION_ERROR`.
 */
export async function queryEvents(
  source: BlockSource,
  filters: AuditFilters,
  request: PageRequest,
): Promise<EventPage> {
  const limit = checkLimit(request.limit);
  let { before, skip } = startOf(request, limit);
  const matches = matcher(filters);
  const times = timesOf(filters);
  const found: StoredEvent[] = [];
  let scanned = 0;
  for (let reads = 0; reads < MAX_READS; reads += 1) {
    const page = await source.blocks({
      ...(before === undefined ? {} : { before }),
      maxBlocks: BLOCKS_PER_READ,
      times,
    });
    for (const block of page.blocks) {
      // Blocks are the ledger's own writing; the verifier is who doubts them.
      const events: StoredEvent[] = JSON.parse(block.events);
      for (const event of events.toReversed()) {
        if (before !== undefined && event.seq >= before) continue;
        if (!matches(event)) continue;
        if (skip > 0) {
          skip -= 1;
          continue;
        }
        // One more than asked for would be on the next page: only then is there one.
        if (found.length === limit) return { events: found, next_cursor: encodeCursor([event.seq + 1, 0]) };
        found.push(event);
      }
      scanned += events.length;
      if (scanned >= MAX_SCANNED_EVENTS)
        return { events: found, next_cursor: encodeCursor([block.first_seq, skip]) };
    }
    if (page.resume === null) return { events: found, next_cursor: null };
    before = page.resume;
  }
  return { events: found, next_cursor: before === undefined ? null : encodeCursor([before, skip]) };
}

/** The blocks that are worth looking at. */
export function timesOf({ start_time, end_time }: AuditFilters): NonNullable<BlockRange["times"]> {
  return {
    ...(start_time === undefined ? {} : { start: start_time }),
    ...(end_time === undefined ? {} : { end: end_time }),
  };
}

export function matcher(filters: AuditFilters): (event: StoredEvent) => boolean {
  const { event_type, resource_type, actor, start_time, end_time } = filters;
  return (event) => {
    if (event_type !== undefined && event.event_type !== event_type) return false;
    if (resource_type !== undefined && event.resource_type !== resource_type) return false;
    if (actor !== undefined && event.actor !== actor) return false;
    if (start_time === undefined && end_time === undefined) return true;
    const time = Date.parse(event.timestamp);
    return (start_time === undefined || time >= start_time) && (end_time === undefined || time < end_time);
  };
}

function checkLimit(limit = DEFAULT_LIMIT): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new Problem("VALIDATION_ERROR", `limit is a whole number from 1 to ${MAX_LIMIT}, like 100`);
}

function startOf({ cursor, page }: PageRequest, limit: number): { before: number | undefined; skip: number } {
  if (cursor !== undefined) {
    if (page === undefined) {
      const [before, skip] = decodeCursor(cursor, CURSOR);
      return { before, skip };
    }
    throw new Problem("VALIDATION_ERROR", "Give cursor or page, not both");
  }
  if (page === undefined) return { before: undefined, skip: 0 };
  if (Number.isInteger(page) && page >= 1 && page * limit <= MAX_PAGED_EVENTS) {
    return { before: undefined, skip: (page - 1) * limit };
  }
  throw new Problem(
    "VALIDATION_ERROR",
    `page is a whole number from 1 that reaches at most ${MAX_PAGED_EVENTS} events back; use cursor beyond that`,
  );
}
