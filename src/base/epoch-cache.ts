import { BoundedCache } from "./cache.ts";
import { Problem } from "./problem.ts";

/** A value and the tenant's epoch at which D1 held it (both read in one batch). */
export interface AtEpoch<V> {
  readonly epoch: number;
  readonly value: V;
}

const ATTEMPTS = 4;
const SHARED_WAIT_MS = 3_000;

/**
 * What a tenant has configured, per isolate. An entry counts only for callers who accept its epoch: whoever decides
 * names the epoch of its lease and never gets anything older. Reads of one key are flown once at a time; the flight is
 * kept alive by `waitUntil`, and no one waits longer than 3 s for a flight of somebody else's request.
 */
export class EpochCache<V> {
  readonly #entries: BoundedCache<string, AtEpoch<V>>;
  readonly #flights = new Map<string, Promise<AtEpoch<V>>>();

  constructor(capacity: number) {
    this.#entries = new BoundedCache(capacity);
  }

  /** What is at hand, whatever its epoch. */
  peek(key: string): AtEpoch<V> | undefined {
    return this.#entries.get(key);
  }

  /** The value at `epoch` or later. `read` asks the primary. Throws UNAVAILABLE where D1 stays behind the gate. */
  async get(
    key: string,
    epoch: number,
    read: () => Promise<AtEpoch<V>>,
    waitUntil: (promise: Promise<unknown>) => void,
  ): Promise<AtEpoch<V>> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const entry = this.#entries.get(key);
      if (entry !== undefined && entry.epoch >= epoch) return entry;
      await this.#fly(key, read, waitUntil);
    }
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.epoch >= epoch) return entry;
    throw new Problem("UNAVAILABLE", "The configuration could not be read as of now. Try again.");
  }

  async #fly(
    key: string,
    read: () => Promise<AtEpoch<V>>,
    waitUntil: (promise: Promise<unknown>) => void,
  ): Promise<void> {
    const shared = this.#flights.get(key);
    if (shared !== undefined) {
      await Promise.race([shared.catch(() => undefined), scheduler.wait(SHARED_WAIT_MS)]);
      if (this.#flights.get(key) === shared) this.#flights.delete(key);
      return;
    }
    const flight = read();
    this.#flights.set(key, flight);
    waitUntil(flight.catch(() => undefined));
    try {
      const entry = await flight;
      const held = this.#entries.get(key);
      if (held === undefined || held.epoch <= entry.epoch) this.#entries.set(key, entry);
    } finally {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    }
  }
}
