import { DurableObject } from "cloudflare:workers";
import { genesis, sealBlocks } from "../src/audit/chain.ts";
import { cleanEvent } from "../src/audit/clean.ts";
import type { AuditEvent } from "../src/audit/event.ts";
import type {
  AppendBatch,
  AppendResult,
  Block,
  BlockPage,
  BlockRange,
  Head,
  Ledger,
} from "../src/audit/ledger.ts";
import { MAX_BATCH_EVENTS } from "../src/audit/ledger.ts";
import type { BlockIds } from "../src/audit/recent-ids.ts";
import { RecentIds } from "../src/audit/recent-ids.ts";

/** Arrivals of this long share a block. */
const WINDOW_MS = 50;
/** So many waiting events do not wait for the window to end. */
const WAITING_EVENTS = 4_000;
const RECENT_IDS = 50_000;
/** A producer's clock is believed up to this far ahead of ours. */
const CLOCK_SKEW_MS = 60_000;
const PAGE_BLOCKS = 256;
const PAGE_BYTES = 8_000_000;
/** Rows looked at for one page, those left out by their times included. */
const PAGE_ROWS = 5_000;

/**
 * Rows are only ever added, each right after the last. `INSERT OR REPLACE` walks past UPDATE and DELETE triggers, so
 * the insert trigger refuses whatever does not continue the chain. Who can run code here can drop triggers: that is
 * what the hash chain and heads kept elsewhere are for.
 *
 * `latest` is the newest event time up to and including the row, so it never falls. `ids` holds one id a line.
 * `events` comes last: reading what stands before it does not read it.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS blocks (
    first_seq INTEGER PRIMARY KEY,
    last_seq INTEGER NOT NULL CHECK (last_seq >= first_seq),
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    ids TEXT NOT NULL,
    events TEXT NOT NULL
  ) STRICT;
  CREATE TRIGGER IF NOT EXISTS blocks_continue BEFORE INSERT ON blocks
    WHEN NEW.first_seq IS NOT coalesce((SELECT last_seq FROM blocks ORDER BY first_seq DESC LIMIT 1), 0) + 1
      OR NEW.prev_hash IS NOT
        coalesce((SELECT hash FROM blocks ORDER BY first_seq DESC LIMIT 1), NEW.prev_hash)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
  CREATE TRIGGER IF NOT EXISTS blocks_no_update BEFORE UPDATE ON blocks
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
  CREATE TRIGGER IF NOT EXISTS blocks_no_delete BEFORE DELETE ON blocks
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
`;

const FROM_SEQ = `last_seq >= ?3 AND first_seq >= coalesce(
  (SELECT first_seq FROM blocks WHERE first_seq <= ?3 ORDER BY first_seq DESC LIMIT 1), 0) ORDER BY first_seq`;
const BEFORE_SEQ = "first_seq < ?3 ORDER BY first_seq DESC";

interface Arrival {
  readonly events: readonly AuditEvent[];
  readonly redelivery: boolean;
  readonly settle: (result: AppendResult) => void;
}

interface State {
  readonly head: Head;
  readonly latest: number;
  readonly recent: RecentIds;
}

type BlockRow = Record<"first_seq" | "last_seq" | "first_time" | "last_time" | "latest", number> &
  Record<"prev_hash" | "hash", string> & { events: string | null };

/**
 * A tenant's audit ledger: one object named by the tenant id, one hash chain, one row per block.
 *
 * Reading the head and writing what follows it happen in one synchronous step, so no two appends can fork the chain.
 * The platform holds an answer back until what was written before it is durable.
 */
export class AuditLedger extends DurableObject<Env> implements Ledger {
  #state: State | undefined;
  #waiting: Arrival[] = [];
  #waitingEvents = 0;
  #windowOpen = false;
  #committedAt = Number.NEGATIVE_INFINITY;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(SCHEMA);
  }

  append(batch: AppendBatch): Promise<AppendResult> {
    if (batch.events.length > MAX_BATCH_EVENTS) {
      return Promise.resolve({ ok: false, reason: "too_many_events" });
    }
    const events: AuditEvent[] = [];
    for (const event of batch.events) {
      const clean = cleanEvent(event);
      if (clean === undefined) return Promise.resolve({ ok: false, reason: "malformed_event" });
      events.push(clean);
    }
    return new Promise((settle) => {
      this.#waiting.push({ events, redelivery: batch.redelivery, settle });
      this.#waitingEvents += events.length;
      this.#commitSoon();
    });
  }

  /** At once after a quiet window or when much is waiting, else when the window that began with the last block ends. */
  #commitSoon(): void {
    const since = Date.now() - this.#committedAt;
    const wait = since < 0 ? WINDOW_MS : WINDOW_MS - since;
    if (wait <= 0 || this.#waitingEvents >= WAITING_EVENTS) {
      this.#commit();
    } else if (!this.#windowOpen) {
      this.#windowOpen = true;
      // Not the business of the request that opened the window: it may go away.
      this.ctx.waitUntil(
        scheduler.wait(wait).then(() => {
          this.#windowOpen = false;
          this.#commit();
        }),
      );
    }
  }

  #commit(): void {
    const arrivals = this.#waiting;
    if (arrivals.length === 0) return;
    this.#waiting = [];
    this.#waitingEvents = 0;
    let result: AppendResult;
    try {
      result = { ok: true, head: this.#write(arrivals) };
    } catch (error) {
      // What was written is rolled back, and memory changes only after the last row.
      result = { ok: false, reason: "not_written" };
      console.error("audit ledger: not written:", error instanceof Error ? error.message : "unknown");
    }
    for (const arrival of arrivals) arrival.settle(result);
  }

  /** Synchronous from the first read to the last write. */
  #write(arrivals: readonly Arrival[]): Head {
    const state = this.#load();
    const blocks = sealBlocks(state.head, this.#unseen(state.recent, arrivals));
    if (blocks.length === 0) return state.head;
    let { head, latest } = state;
    const believable = Date.now() + CLOCK_SKEW_MS;
    const added: BlockIds[] = [];
    this.ctx.storage.transactionSync(() => {
      for (const block of blocks) {
        latest = Math.max(latest, Math.min(block.last_time, believable));
        this.ctx.storage.sql.exec(
          "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
          block.first_seq,
          block.last_seq,
          block.first_time,
          block.last_time,
          latest,
          block.prev_hash,
          block.hash,
          block.ids.join("\n"),
          block.events,
        );
        added.push({ firstSeq: block.first_seq, ids: block.ids, latest });
        head = { seq: block.last_seq, hash: block.hash };
      }
    });
    for (const block of added) state.recent.push(block);
    this.#state = { head, latest, recent: state.recent };
    this.#committedAt = Date.now();
    return head;
  }

  #load(): State {
    if (this.#state !== undefined) return this.#state;
    const [last] = this.ctx.storage.sql.exec<{ last_seq: number; hash: string; latest: number }>(
      "SELECT last_seq, hash, latest FROM blocks ORDER BY first_seq DESC LIMIT 1",
    );
    const head = last === undefined ? genesis(this.#tenantId()) : { seq: last.last_seq, hash: last.hash };
    const latest = last?.latest ?? 0;
    this.#state = { head, latest, recent: new RecentIds(RECENT_IDS, head.seq + 1, latest) };
    return this.#state;
  }

  #tenantId(): string {
    const { name } = this.ctx.id;
    if (name === undefined) throw new Error("a ledger is reached by its tenant's id");
    return name;
  }

  /** The events whose ids are not in the ledger yet, each once, in order of arrival. */
  #unseen(recent: RecentIds, arrivals: readonly Arrival[]): AuditEvent[] {
    const stored = this.#findStored(recent, arrivals);
    const fresh = new Map<string, AuditEvent>();
    for (const { events } of arrivals) {
      for (const event of events) {
        if (recent.has(event.id) || stored.has(event.id) || fresh.has(event.id)) continue;
        fresh.set(event.id, event);
      }
    }
    return [...fresh.values()];
  }

  /**
   * Which redelivered ids stand in rows that memory does not cover. A producer whose clock runs more than a minute
   * ahead is outside this: its events are recognised by memory alone.
   */
  #findStored(recent: RecentIds, arrivals: readonly Arrival[]): ReadonlySet<string> {
    const wanted = new Map<string, number>();
    for (const { events, redelivery } of arrivals) {
      if (!redelivery) continue;
      for (const { id, timestamp } of events) {
        const time = Date.parse(timestamp);
        if (recent.mayBeEarlier(id, time)) wanted.set(id, time);
      }
    }
    return wanted.size === 0 ? new Set() : recent.findEarlier(wanted, this.#idsBefore(recent.fromSeq));
  }

  *#idsBefore(seq: number): Generator<BlockIds> {
    const rows = this.ctx.storage.sql.exec<{ first_seq: number; ids: string; latest: number }>(
      "SELECT first_seq, ids, latest FROM blocks WHERE first_seq < ? ORDER BY first_seq DESC",
      seq,
    );
    for (const row of rows) yield { firstSeq: row.first_seq, ids: row.ids.split("\n"), latest: row.latest };
  }

  async head(): Promise<Head> {
    return this.#load().head;
  }

  async blocks(range: BlockRange): Promise<BlockPage> {
    const ascending = range.from !== undefined;
    const start = range.times?.start ?? Number.NEGATIVE_INFINITY;
    const end = range.times?.end ?? Number.POSITIVE_INFINITY;
    const maxBlocks = Math.min(Math.max(1, range.maxBlocks), PAGE_BLOCKS);
    const rows = this.ctx.storage.sql.exec<BlockRow>(
      `SELECT first_seq, last_seq, first_time, last_time, latest, prev_hash, hash,
        CASE WHEN last_time >= ?1 AND first_time < ?2 THEN events END AS events
      FROM blocks WHERE ${ascending ? FROM_SEQ : BEFORE_SEQ} LIMIT ?4`,
      start,
      end,
      range.from ?? range.before ?? Number.MAX_SAFE_INTEGER,
      PAGE_ROWS,
    );
    const blocks: Block[] = [];
    let bytes = 0;
    let looked = 0;
    let resume: number | null = null;
    for (const { latest, events, ...row } of rows) {
      // Going back, nothing from here on is new enough.
      if (!ascending && latest < start) return { blocks, resume: null };
      looked += 1;
      resume = ascending ? row.last_seq + 1 : row.first_seq;
      if (events === null) continue;
      blocks.push({ ...row, events });
      bytes += events.length;
      if (blocks.length >= maxBlocks || bytes >= PAGE_BYTES) return { blocks, resume };
    }
    return { blocks, resume: looked < PAGE_ROWS ? null : resume };
  }
}
