import { BoundedCache } from "./cache.ts";

/** A flight is its first request's and may die with it, without a word: after this somebody else flies as well. */
const PATIENCE_MS = 1_500;
/** Nobody waits longer than this. */
const LIMIT_MS = 5_000;
const MAX_FLIGHTS = 1_000;

interface Flight<V> {
  readonly landed: Promise<V>;
  readonly land: (value: V) => void;
  readonly crash: (error: unknown) => void;
  /** How often it was begun, and how many of these are still under way. */
  attempts: number;
  open: number;
}

/**
 * One piece of work at a time per key, whose result goes to all who ask meanwhile: a cold isolate under many calls asks
 * once. What is shared is data, never I/O. Work whose request was cancelled never settles, so those who wait for it
 * begin it anew after a while, one of them for all; where work fails they try once more, since its failure may have
 * been that request's own.
 */
export class SingleFlight<V> {
  readonly #flights = new BoundedCache<string, Flight<V>>(MAX_FLIGHTS);

  /** Throws what `work` throws, and `FlightLate` after 5 s. `waitUntil` is the caller's own request's. */
  async run(key: string, work: () => Promise<V>, waitUntil: (promise: Promise<unknown>) => void): Promise<V> {
    const done = new AbortController();
    const late = scheduler.wait(LIMIT_MS, { signal: done.signal }).then(() => {
      throw new FlightLate();
    });
    try {
      return await Promise.race([this.#board(key, work, waitUntil, done.signal), late]);
    } catch (error) {
      if (error instanceof FlightLate) this.#flights.delete(key);
      throw error;
    } finally {
      done.abort();
      late.catch(() => undefined);
    }
  }

  async #board(
    key: string,
    work: () => Promise<V>,
    waitUntil: (promise: Promise<unknown>) => void,
    done: AbortSignal,
  ): Promise<V> {
    const shared = this.#flights.get(key);
    if (shared === undefined) return this.#begin(key, work, waitUntil);
    try {
      return await this.#join(key, shared, work, waitUntil, done);
    } catch (error) {
      if (done.aborted) throw error;
      const next = this.#flights.get(key);
      if (next === undefined) return this.#begin(key, work, waitUntil);
      return this.#join(key, next, work, waitUntil, done);
    }
  }

  #begin(key: string, work: () => Promise<V>, waitUntil: (promise: Promise<unknown>) => void): Promise<V> {
    const { promise, resolve, reject } = Promise.withResolvers<V>();
    const flight: Flight<V> = { landed: promise, land: resolve, crash: reject, attempts: 0, open: 0 };
    promise.catch(() => undefined);
    this.#flights.set(key, flight);
    this.#attempt(key, flight, work, waitUntil);
    return promise;
  }

  /** Waits for the flight; whoever first finds that it has taken too long begins it once more. */
  async #join(
    key: string,
    flight: Flight<V>,
    work: () => Promise<V>,
    waitUntil: (promise: Promise<unknown>) => void,
    done: AbortSignal,
  ): Promise<V> {
    for (;;) {
      const { attempts } = flight;
      const impatient = scheduler.wait(PATIENCE_MS, { signal: done }).then(() => null);
      impatient.catch(() => undefined);
      const landed = await Promise.race([flight.landed.then((value) => ({ value })), impatient]);
      if (landed !== null) return landed.value;
      if (flight.attempts === attempts) this.#attempt(key, flight, work, waitUntil);
    }
  }

  #attempt(
    key: string,
    flight: Flight<V>,
    work: () => Promise<V>,
    waitUntil: (promise: Promise<unknown>) => void,
  ): void {
    flight.attempts++;
    flight.open++;
    const forget = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    const over = work().then(
      (value) => {
        forget();
        flight.land(value);
      },
      (error: unknown) => {
        flight.open--;
        if (flight.open > 0) return;
        forget();
        flight.crash(error);
      },
    );
    waitUntil(Promise.race([over, scheduler.wait(LIMIT_MS)]));
  }
}

export class FlightLate extends Error {
  override readonly name = "FlightLate";

  constructor() {
    super("no answer in time");
  }
}
