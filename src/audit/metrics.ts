import type { StoredEvent } from "./event.ts";
import { type BlockSource, timesOf } from "./query.ts";

/** What a tenant's agents and people did in a period, counted from the ledger itself. */
export interface Metrics {
  /** Everything of the period was counted; else only the newest of it, from `from` on. */
  readonly complete: boolean;
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly calls: {
    /** Passed on, and refused (repeated refusals each). */
    readonly allowed: number;
    readonly denied: number;
    /** Passed on, and failed behind the gateway. */
    readonly failed: number;
    /** Of all, the refused: 0 to 1; null where there were none. */
    readonly denialRate: number | null;
  };
  readonly tokens: {
    readonly issued: number;
    /** Of those, never used so far. */
    readonly unused: number;
    readonly unusedRate: number | null;
    /** Uses that were refused beside calls: on secrets, or of what is dead. */
    readonly denied: number;
    readonly revoked: number;
  };
  readonly approvals: Readonly<Record<"requested" | "granted" | "denied" | "timedOut", number>>;
  /** By slug, the most called first; the others are left out. */
  readonly connections: readonly {
    readonly connection: string;
    readonly allowed: number;
    readonly denied: number;
  }[];
}

const BLOCKS_PER_READ = 64;
/** So much of the ledger is looked through for one answer. */
const MAX_EVENTS = 100_000;
const MAX_READS = 100;
const SHOWN_CONNECTIONS = 20;

/** Counts what happened from `start` to `end`, in milliseconds since 1970, newest first until it is too much. */
export async function measure(source: BlockSource, start: number, end: number): Promise<Metrics> {
  const counts = new Counts(end);
  let before: number | undefined;
  let seen = 0;
  for (let reads = 0; reads < MAX_READS; reads++) {
    const page = await source.blocks({
      ...(before === undefined ? {} : { before }),
      maxBlocks: BLOCKS_PER_READ,
      times: timesOf({ start_time: start, end_time: end }),
    });
    for (const block of page.blocks) {
      const events: StoredEvent[] = JSON.parse(block.events);
      for (const event of events) {
        const at = Date.parse(event.timestamp);
        if (at >= start && at < end) counts.add(event, at);
      }
      seen += events.length;
      if (seen >= MAX_EVENTS) return counts.result(false, counts.oldest);
    }
    if (page.resume === null) return counts.result(true, start);
    before = page.resume;
  }
  return counts.result(false, counts.oldest);
}

/** How often an event stands for what happened: a flood of refusals is told with a count. */
function weightOf({ context }: StoredEvent): number {
  // An event of its own tells of the repeats, and not of a first one.
  if (typeof context["repeated"] === "number") return context["repeated"];
  return 1 + (typeof context["repeated_before"] === "number" ? context["repeated_before"] : 0);
}

class Counts {
  /** When the oldest event happened that was counted. */
  oldest: number;
  readonly #byType = new Map<string, number>();
  readonly #byConnection = new Map<string, { allowed: number; denied: number }>();
  readonly #issued = new Set<string>();
  readonly #used = new Set<string>();
  #failed = 0;

  constructor(end: number) {
    this.oldest = end;
  }

  add(event: StoredEvent, at: number): void {
    const { event_type: type, resource, context, outcome } = event;
    const weight = weightOf(event);
    this.oldest = Math.min(this.oldest, at);
    this.#byType.set(type, (this.#byType.get(type) ?? 0) + weight);
    if (type === "token.issued") this.#issued.add(resource);
    const isCall = type === "connection.called" || type === "connection.denied";
    if (isCall) {
      const connection = this.#byConnection.get(resource) ?? { allowed: 0, denied: 0 };
      connection[type === "connection.called" ? "allowed" : "denied"] += weight;
      this.#byConnection.set(resource, connection);
    }
    if ((type === "connection.called" || type === "connection.completed") && outcome === "error")
      this.#failed++;
    const isUse = type === "connection.called" || type === "token.used" || type.startsWith("secret.");
    if (isUse && typeof context["token_id"] === "string") this.#used.add(context["token_id"]);
  }

  result(complete: boolean, from: number): Metrics {
    const of = (type: string): number => this.#byType.get(type) ?? 0;
    const allowed = of("connection.called");
    const denied = of("connection.denied");
    const issued = this.#issued.size;
    const unused = [...this.#issued].filter((tokenId) => !this.#used.has(tokenId)).length;
    return {
      complete,
      from,
      calls: { allowed, denied, failed: this.#failed, denialRate: share(denied, allowed + denied) },
      tokens: {
        ...{ issued, unused, unusedRate: share(unused, issued) },
        ...{ denied: of("token.denied"), revoked: of("token.revoked") },
      },
      approvals: {
        requested: of("approval.requested"),
        granted: of("approval.granted"),
        denied: of("approval.denied"),
        timedOut: of("approval.timed_out"),
      },
      connections: [...this.#byConnection]
        .map(([connection, counts]) => ({ connection, ...counts }))
        .toSorted((a, b) => b.allowed + b.denied - a.allowed - a.denied)
        .slice(0, SHOWN_CONNECTIONS),
    };
  }
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 10_000) / 10_000;
}
