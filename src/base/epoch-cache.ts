import { BoundedCache } from "./cache.ts";
import { databaseAway } from "./database-away.ts";
import { Problem } from "./problem.ts";
import { SingleFlight } from "./single-flight.ts";

/** A value and the tenant's epoch at which D1 held it (both read in one batch). */
export interface AtEpoch<V> {
  readonly epoch: number;
  readonly value: V;
}

const ATTEMPTS = 4;

/**
 * What a tenant has configured, per isolate. An entry counts only for callers who accept its epoch: whoever decides
 * names the epoch of its lease and never gets anything older. Reads of one key are flown once at a time
 * (`SingleFlight`), and their result is kept even where the request that asked has gone.
 */
export class EpochCache<V> {
  readonly #entries: BoundedCache<string, AtEpoch<V>>;
  readonly #flights = new SingleFlight<AtEpoch<V>>();

  constructor(capacity: number) {
    this.#entries = new BoundedCache(capacity);
  }

  /** What is at hand, whatever its epoch. */
  peek(key: string): AtEpoch<V> | undefined {
    return this.#entries.get(key);
  }

  /**
   * The value at `epoch` or later. `read` asks the primary. Throws UNAVAILABLE where D1 does not answer within 5 s, or
   * stays behind the gate.
   */
  async get(
    key: string,
    epoch: number,
    read: () => Promise<AtEpoch<V>>,
    waitUntil: (promise: Promise<unknown>) => void,
  ): Promise<AtEpoch<V>> {
    const readAndKeep = async (): Promise<AtEpoch<V>> => {
      const entry = await read().catch((error: unknown) => Promise.reject(databaseAway(error)));
      const held = this.#entries.get(key);
      if (held === undefined || held.epoch <= entry.epoch) this.#entries.set(key, entry);
      return entry;
    };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const entry = this.#entries.get(key);
      if (entry !== undefined && entry.epoch >= epoch) return entry;
      try {
        await this.#flights.run(key, readAndKeep, waitUntil);
      } catch (error) {
        throw databaseAway(error);
      }
    }
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.epoch >= epoch) return entry;
    throw new Problem("UNAVAILABLE", "The configuration could not be read as of now. Try again.", {
      headers: { "retry-after": "2" },
    });
  }
}
