import type { AuditEvent } from "./event.ts";

/** The end of a chain: how many events there are and the hash of the last. A head kept elsewhere proves truncation. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

/** One row of a ledger: the events that arrived together. */
export interface Block {
  readonly first_seq: number;
  readonly last_seq: number;
  /** The oldest and newest timestamp among its events, in ms since 1970. */
  readonly first_time: number;
  readonly last_time: number;
  /** The hash before its first event, and that of its last. */
  readonly prev_hash: string;
  readonly hash: string;
  /** Canonical JSON: an array of `StoredEvent`. */
  readonly events: string;
}

export interface AppendBatch {
  /** At most `MAX_BATCH_EVENTS`. */
  readonly events: readonly AuditEvent[];
  /** Whether any of these may have been handed over before; then the ledger looks for them in what it has stored. */
  readonly redelivery: boolean;
}

/** `too_many_events`, `malformed_event` (neither gets better by trying again), `not_written`, `unreachable`. */
export type AppendRefusal = "too_many_events" | "malformed_event" | "not_written" | "unreachable";

export type AppendResult =
  | { readonly ok: true; readonly head: Head }
  | { readonly ok: false; readonly reason: AppendRefusal };

export interface BlockRange {
  /** Ascending, from the block that holds this seq on. Wins over `before`. */
  readonly from?: number;
  /** Descending, from the block that holds the seq before this one. Without either: descending from the head. */
  readonly before?: number;
  /** At most 256 count; a page is also cut at about 8 MB. */
  readonly maxBlocks: number;
  /** Leaves out blocks without an event in `start <= time < end`, in ms since 1970. */
  readonly times?: { readonly start?: number; readonly end?: number };
}

export interface BlockPage {
  readonly blocks: readonly Block[];
  /** Where to go on: the next `from` (ascending) or `before` (descending). `null`: nothing is left. */
  readonly resume: number | null;
}

export const MAX_BATCH_EVENTS = 1_000;

/** What a tenant's ledger object answers to. */
export interface Ledger {
  /** Resolves once the events are durable, whether they are new or were there already. Never throws. */
  append(batch: AppendBatch): Promise<AppendResult>;
  blocks(range: BlockRange): Promise<BlockPage>;
  head(): Promise<Head>;
}
