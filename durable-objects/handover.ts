import type { AuditEvent } from "../src/audit/event.ts";
import type { CallOutcome } from "../src/tokens/charge.ts";

type Append = (
  events: readonly AuditEvent[],
  redelivery: boolean,
) => Promise<{ readonly ok: true } | { readonly ok: false }>;

const IDLE_MS = 3_000;
const BATCH = 16;
const MAX_EVENTS_PER_APPEND = 500;
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;

interface Waiting {
  readonly seq: number;
  readonly addedAt: number;
  event: AuditEvent;
  /** Its outcome is known, or none will come. */
  complete: boolean;
}

/**
 * Brings a token's events to the ledger: with their outcome where it comes soon, without it after 3 s; at once when
 * idle, then at 16 waiting or every 3 s. Events go in sequence, so one number tells what is acknowledged. Lives in
 * memory; what it loses in a crash is in the slots and comes back through `recover`.
 */
export class Handover {
  readonly #append: Append;
  #waiting: Waiting[] = [];
  #acknowledged: number;
  #inFlight: Promise<boolean> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #lastAt = 0;
  #retries = 0;
  #redelivery = false;
  /** Taken for the append that is under way; their outcomes wait until it has ended. */
  #flying: readonly Waiting[] = [];
  #heldOutcomes: CallOutcome[] = [];
  #late: AuditEvent[] = [];
  #handedOver = new Map<number, AuditEvent>();

  constructor(append: Append, acknowledged: number) {
    this.#append = append;
    this.#acknowledged = acknowledged;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get waiting(): number {
    return this.#waiting.length + this.#flying.length + this.#late.length;
  }

  /** An event from before a restart: the ledger may have it already. */
  recover(seq: number, event: AuditEvent): void {
    this.#redelivery = true;
    this.#waiting.push({ seq, addedAt: 0, event, complete: true });
  }

  add(seq: number, event: AuditEvent, outcomeFollows: boolean): void {
    this.#waiting.push({ seq, addedAt: Date.now(), event, complete: !outcomeFollows });
    this.#consider();
  }

  settle(outcome: CallOutcome): void {
    const { seq, status, durationMs, bytes, error } = outcome;
    if (this.#flying.some((entry) => entry.seq === seq)) {
      this.#heldOutcomes.push(outcome);
      return;
    }
    const told = { status, duration_ms: durationMs, bytes, ...(error === undefined ? {} : { error }) };
    const entry = this.#waiting.find((waiting) => waiting.seq === seq);
    if (entry !== undefined) {
      const failed = error !== undefined;
      entry.event = {
        ...entry.event,
        outcome: failed ? "error" : entry.event.outcome,
        context: { ...entry.event.context, ...told },
      };
      entry.complete = true;
    } else {
      const event = this.#handedOver.get(seq);
      if (event === undefined) return;
      this.#handedOver.delete(seq);
      this.#late.push({
        ...event,
        id: `${event.id}.completed`,
        event_type: "connection.completed",
        outcome: error === undefined ? "success" : "error",
        timestamp: new Date().toISOString(),
        context: { outcome_of: event.id, ...told },
      });
    }
    this.#consider();
  }

  /** Hands everything over now; true when nothing is left. */
  async flush(): Promise<boolean> {
    if (this.#inFlight !== null) await this.#inFlight;
    while (this.waiting > 0) {
      if (!(await this.#start(true))) return false;
    }
    return true;
  }

  #ready(everything: boolean): Waiting[] {
    const now = Date.now();
    const ready: Waiting[] = [];
    for (const entry of this.#waiting) {
      if (!everything && !entry.complete && now - entry.addedAt < IDLE_MS) break;
      ready.push(entry);
      if (ready.length === MAX_EVENTS_PER_APPEND) break;
    }
    return ready;
  }

  #consider(): void {
    if (this.#inFlight !== null || this.waiting === 0) return;
    const ready = this.#ready(false).length + this.#late.length;
    const failing = this.#retries > 0;
    const idle = Date.now() - this.#lastAt >= IDLE_MS;
    if (!failing && ((idle && ready === this.waiting) || ready >= BATCH)) {
      void this.#start(false);
    } else {
      this.#timer ??= setTimeout(
        () => {
          this.#timer = null;
          if (this.#inFlight === null && this.#ready(false).length + this.#late.length > 0)
            void this.#start(false);
          else this.#consider();
        },
        failing ? Math.min(RETRY_MS * 2 ** this.#retries, MAX_RETRY_MS) : IDLE_MS,
      );
    }
  }

  #start(everything: boolean): Promise<boolean> {
    const run = this.#run(everything).finally(() => {
      this.#inFlight = null;
      this.#consider();
    });
    this.#inFlight = run;
    return run;
  }

  async #run(everything: boolean): Promise<boolean> {
    const batch = this.#ready(everything);
    const late = this.#late;
    this.#flying = batch;
    this.#waiting = this.#waiting.slice(batch.length);
    this.#late = [];
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#lastAt = Date.now();
    const delivered = await this.#deliver([...batch.map((entry) => entry.event), ...late]);
    this.#flying = [];
    if (delivered) {
      this.#retries = 0;
      this.#redelivery = false;
      for (const { seq, event, complete } of batch) {
        this.#acknowledged = seq;
        if (!complete) this.#handedOver.set(seq, event);
      }
    } else {
      this.#waiting = [...batch, ...this.#waiting];
      this.#late = [...late, ...this.#late];
      this.#redelivery = true;
    }
    for (const outcome of this.#heldOutcomes.splice(0)) this.settle(outcome);
    if (!delivered) this.#retries++;
    return delivered;
  }

  async #deliver(events: readonly AuditEvent[]): Promise<boolean> {
    try {
      return (await this.#append(events, this.#redelivery)).ok;
    } catch {
      return false;
    }
  }
}
