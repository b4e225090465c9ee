import type { BoundedCache } from "../base/cache.ts";
import type { Clock } from "../base/clock.ts";
import type { TokenId } from "../base/ids.ts";
import type { CallOutcome } from "./charge.ts";

/** Outcomes of an isolate's calls are told together. */
const OUTCOMES_EVERY_MS = 200;
/** After this the request that was to tell them is taken for dead. */
const TELLER_LOST_MS = 1_000;
/** So many are told at once. */
const MAX_OUTCOMES = 500;

export interface WaitingOutcomes {
  readonly openedAt: number;
  readonly outcomes: CallOutcome[];
  /** Gone along with charges that have not been answered yet. */
  readonly carried: Set<readonly CallOutcome[]>;
}

/** Outcomes that go along with a charge: to be told what became of it. */
export interface Carried {
  readonly outcomes: readonly CallOutcome[];
  /** The token's object has them. */
  delivered(): void;
  /** It may not have them: they wait again. To be told twice is harmless. */
  lost(): void;
}

const NOTHING: Carried = { outcomes: [], delivered: () => undefined, lost: () => undefined };

/**
 * What became of charged calls, on its way from this isolate to the tokens' objects: in messages of its own, together
 * with others of the same token and a little later; or at once, with the token's next charge, so that a call that has
 * ended does not count as one under way.
 */
export class Outcomes {
  readonly #memory: BoundedCache<TokenId, WaitingOutcomes>;
  readonly #send: (tokenId: TokenId, outcomes: readonly CallOutcome[]) => Promise<void>;
  readonly #clock: Clock;
  readonly #waitUntil: (promise: Promise<unknown>) => void;

  constructor(parts: {
    readonly memory: BoundedCache<TokenId, WaitingOutcomes>;
    readonly send: (tokenId: TokenId, outcomes: readonly CallOutcome[]) => Promise<void>;
    readonly clock: Clock;
    readonly waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.#memory = parts.memory;
    this.#send = parts.send;
    this.#clock = parts.clock;
    this.#waitUntil = parts.waitUntil;
  }

  /**
   * Collects outcomes to tell. The request that began to collect tells them all; where it died, a later one takes them
   * over.
   */
  add(tokenId: TokenId, added: readonly CallOutcome[]): void {
    const now = this.#clock();
    const waiting = this.#memory.get(tokenId);
    if (waiting !== undefined && waiting.outcomes.length + added.length >= MAX_OUTCOMES) {
      this.#memory.delete(tokenId);
      this.#waitUntil(this.#tell(tokenId, [...takeAll(waiting), ...added]));
    } else if (waiting !== undefined && now - waiting.openedAt < TELLER_LOST_MS) {
      waiting.outcomes.push(...added);
    } else {
      const outcomes = [...(waiting === undefined ? [] : takeAll(waiting)), ...added];
      const own: WaitingOutcomes = { openedAt: now, outcomes, carried: new Set() };
      this.#memory.set(tokenId, own);
      this.#waitUntil(this.#tellSoon(tokenId, own));
    }
  }

  /** Takes what waits of a token along with its next charge. */
  carry(tokenId: TokenId): Carried {
    const waiting = this.#memory.get(tokenId);
    if (waiting === undefined || waiting.outcomes.length === 0) return NOTHING;
    const outcomes = waiting.outcomes.splice(0);
    // Until the charge is answered they stay here as well: a request that dies with its charge loses none.
    waiting.carried.add(outcomes);
    return {
      outcomes,
      delivered: () => waiting.carried.delete(outcomes),
      lost: () => {
        if (waiting.carried.delete(outcomes)) this.add(tokenId, outcomes);
      },
    };
  }

  async #tellSoon(tokenId: TokenId, waiting: WaitingOutcomes): Promise<void> {
    await scheduler.wait(OUTCOMES_EVERY_MS);
    if (this.#memory.get(tokenId) === waiting) this.#memory.delete(tokenId);
    await this.#tell(tokenId, takeAll(waiting));
  }

  async #tell(tokenId: TokenId, outcomes: readonly CallOutcome[]): Promise<void> {
    for (let at = 0; at < outcomes.length; at += MAX_OUTCOMES) {
      await this.#send(tokenId, outcomes.slice(at, at + MAX_OUTCOMES)).catch(() => undefined);
    }
  }
}

function takeAll({ outcomes, carried }: WaitingOutcomes): CallOutcome[] {
  const all = [...carried].flat().concat(outcomes.splice(0));
  carried.clear();
  return all;
}
