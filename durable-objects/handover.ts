import type { AuditEvent } from "../src/audit/event.ts";
import type { CallOutcome } from "../src/tokens/charge.ts";

type Append = (
  events: readonly AuditEvent[],
  redelivery: boolean,
) => Promise<{ readonly ok: true } | { readonly ok: false }>;

const IDLE_MS = 3_000;
const BATCH = 16;
const MAX_EVENTS_PER_APPEND = 500;
/** In characters of JSON. A single larger event goes alone. */
const MAX_SIZE_PER_APPEND = 512 * 1024;
const APPEND_WITHIN_MS = 10_000;
/** Outcomes that became events of their own and are not handed over yet; more are dropped. */
const MAX_LATE = 2_000;
/** Events handed over whose outcome may still come. */
const MAX_REMEMBERED = 4_096;
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;

/** An event and about how many characters its JSON has. */
export interface Sized {
  readonly event: AuditEvent;
  readonly size: number;
}

interface Waiting {
  readonly seq: number;
  readonly addedAt: number;
  event: AuditEvent;
  readonly size: number;
  /** Its outcome is known, or none will come. */
  complete: boolean;
  /** The ledger may have it as it is: it keeps the first of an id, so an outcome needs an event of its own. */
  sent: boolean;
}

/** An outcome that became an event of its own. */
interface Late extends Sized {
  sent: boolean;
}

interface Batch {
  readonly waiting: readonly Waiting[];
  readonly late: readonly Late[];
}

/**
 * Brings a token's events to the ledger: with their outcome where it comes soon, without it after 3 s; at once when
 * idle, then at 16 waiting or every 3 s. Events go in sequence and one batch at a time, so one number tells what is
 * acknowledged. Lives in memory; what it loses in a crash is in the slots and comes back through `recover` (events)
 * and `recall` (what an outcome belongs to).
 */
export class Handover {
  readonly #append: Append;
  readonly #recall: (seq: number) => Sized | null;
  #waiting: Waiting[] = [];
  #acknowledged: number;
  #inFlight: Promise<boolean> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #lastAt = 0;
  #retries = 0;
  /** Taken for the append that is under way; their outcomes wait until it has ended. */
  #flying: Batch = { waiting: [], late: [] };
  #heldOutcomes: CallOutcome[] = [];
  #late: Late[] = [];
  #size = 0;
  #handedOver = new Map<number, Sized>();

  constructor(parts: {
    readonly append: Append;
    /** The event of a charged use that memory does not have, if its slot still does. */
    readonly recall: (seq: number) => Sized | null;
    readonly acknowledged: number;
  }) {
    this.#append = parts.append;
    this.#recall = parts.recall;
    this.#acknowledged = parts.acknowledged;
  }

  /** Every event up to this sequence is in the ledger. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  get waiting(): number {
    const { waiting, late } = this.#flying;
    return this.#waiting.length + waiting.length + this.#late.length + late.length;
  }

  /** About how many characters of JSON are waiting. */
  get size(): number {
    return this.#size;
  }

  /** An event from before a restart: the ledger may have it already. */
  recover(seq: number, event: AuditEvent, size: number): void {
    this.#size += size;
    this.#waiting.push({ seq, addedAt: 0, event, size, complete: true, sent: true });
  }

  add(seq: number, event: AuditEvent, size: number, outcomeFollows: boolean): void {
    this.#size += size;
    this.#waiting.push({ seq, addedAt: Date.now(), event, size, complete: !outcomeFollows, sent: false });
    this.#consider();
  }

  settle(outcome: CallOutcome): void {
    const { seq, status, durationMs, bytes, error } = outcome;
    if (this.#flying.waiting.some((entry) => entry.seq === seq)) {
      this.#heldOutcomes.push(outcome);
      return;
    }
    const told = { status, duration_ms: durationMs, bytes, ...(error === undefined ? {} : { error }) };
    const entry = this.#waiting.find((waiting) => waiting.seq === seq);
    if (entry !== undefined && !entry.sent) {
      const failed = error !== undefined;
      entry.event = {
        ...entry.event,
        outcome: failed ? "error" : entry.event.outcome,
        context: { ...entry.event.context, ...told },
      };
      entry.complete = true;
    } else {
      const called = entry ?? this.#handedOver.get(seq) ?? this.#recall(seq);
      if (called === null) return;
      this.#handedOver.delete(seq);
      if (entry !== undefined) entry.complete = true;
      if (this.#late.length + this.#flying.late.length >= MAX_LATE) return;
      const { event, size } = called;
      const completed: AuditEvent = {
        ...event,
        id: `${event.id}.completed`,
        event_type: "connection.completed",
        outcome: error === undefined ? "success" : "error",
        timestamp: new Date().toISOString(),
        context: { outcome_of: event.id, ...told },
      };
      this.#size += size;
      this.#late.push({ event: completed, size, sent: false });
    }
    this.#consider();
  }

  /** Hands everything over now; true when nothing is left. */
  async flush(): Promise<boolean> {
    for (;;) {
      while (this.#inFlight !== null) await this.#inFlight;
      if (this.waiting === 0) return true;
      if (!(await this.#start(true))) return false;
    }
  }

  #isReady(entry: Waiting, now: number): boolean {
    return entry.complete || entry.sent || now - entry.addedAt >= IDLE_MS;
  }

  /** How many could go now, counted up to `BATCH`. */
  #countReady(): number {
    const now = Date.now();
    let count = 0;
    for (const entry of this.#waiting) {
      if (count >= BATCH || !this.#isReady(entry, now)) break;
      count++;
    }
    return count + this.#late.length;
  }

  #take(everything: boolean): Batch {
    const now = Date.now();
    let size = 0;
    let count = 0;
    const fits = (next: Sized): boolean => {
      if (count > 0 && (count >= MAX_EVENTS_PER_APPEND || size + next.size > MAX_SIZE_PER_APPEND))
        return false;
      size += next.size;
      count++;
      return true;
    };
    let events = 0;
    for (const entry of this.#waiting) {
      if ((!everything && !this.#isReady(entry, now)) || !fits(entry)) break;
      events++;
    }
    let outcomes = 0;
    for (const entry of this.#late) {
      if (!fits(entry)) break;
      outcomes++;
    }
    return { waiting: this.#waiting.splice(0, events), late: this.#late.splice(0, outcomes) };
  }

  #consider(): void {
    if (this.#inFlight !== null || this.waiting === 0) return;
    const failing = this.#retries > 0;
    if (!failing) {
      const ready = this.#countReady();
      const idle = Date.now() - this.#lastAt >= IDLE_MS;
      if ((idle && ready === this.waiting) || ready >= BATCH) {
        void this.#start(false);
        return;
      }
    }
    this.#timer ??= setTimeout(
      () => {
        this.#timer = null;
        if (this.#inFlight === null && this.#countReady() > 0) void this.#start(false);
        else this.#consider();
      },
      failing ? Math.min(RETRY_MS * 2 ** this.#retries, MAX_RETRY_MS) : IDLE_MS,
    );
  }

  /** One at a time: while one is under way, that one. */
  #start(everything: boolean): Promise<boolean> {
    this.#inFlight ??= this.#run(everything).finally(() => {
      this.#inFlight = null;
      this.#consider();
    });
    return this.#inFlight;
  }

  async #run(everything: boolean): Promise<boolean> {
    const batch = this.#take(everything);
    this.#flying = batch;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#lastAt = Date.now();
    const all = [...batch.waiting, ...batch.late];
    const delivered = await this.#deliver(all);
    this.#flying = { waiting: [], late: [] };
    if (delivered) {
      this.#retries = 0;
      for (const { size } of all) this.#size -= size;
      for (const { seq, event, size, complete } of batch.waiting) {
        this.#acknowledged = seq;
        if (!complete) this.#remember(seq, { event, size });
      }
    } else {
      this.#retries++;
      for (const entry of all) entry.sent = true;
      this.#waiting = [...batch.waiting, ...this.#waiting];
      this.#late = [...batch.late, ...this.#late];
    }
    for (const outcome of this.#heldOutcomes.splice(0)) this.settle(outcome);
    return delivered;
  }

  #remember(seq: number, called: Sized): void {
    this.#handedOver.set(seq, called);
    if (this.#handedOver.size <= MAX_REMEMBERED) return;
    const oldest = this.#handedOver.keys().next();
    if (!oldest.done) this.#handedOver.delete(oldest.value);
  }

  async #deliver(entries: readonly (Waiting | Late)[]): Promise<boolean> {
    const events = entries.map(({ event }) => event);
    const redelivery = entries.some(({ sent }) => sent);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<{ readonly ok: false }>((resolve) => {
      timer = setTimeout(() => resolve({ ok: false }), APPEND_WITHIN_MS);
    });
    try {
      return (await Promise.race([this.#append(events, redelivery), late])).ok;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}
