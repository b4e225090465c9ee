import type { Tally } from "../src/tokens/permission.ts";

/** Sums by key, as a slot holds them. */
export type Sums = readonly (readonly [key: string, sum: number])[];

/** More keys than any permission has constraints: whoever brings further ones is refused. */
const MAX_KEYS = 200;

/**
 * What a token's permission has used up: sums that only grow and are kept for the token's life. There are few, so every
 * slot holds all of them, and they cost no row of their own.
 */
export class Tallies {
  #sums: ReadonlyMap<string, number> = new Map();

  /** From the newest slot, before anything else is asked. */
  recover(sums: Sums | undefined): void {
    this.#sums = new Map(sums);
  }

  /** The key of the first whose sum would go beyond its maximum, or whose amount is none. */
  refusal(tallies: readonly Tally[]): string | null {
    const sums = new Map(this.#sums);
    for (const { key, amount, max } of tallies) {
      const sum = (sums.get(key) ?? 0) + amount;
      if (!Number.isSafeInteger(amount) || amount < 0 || !Number.isSafeInteger(sum) || !(sum <= max))
        return key;
      sums.set(key, sum);
      if (sums.size > MAX_KEYS) return key;
    }
    return null;
  }

  /** Adds what `refusal` let through, in the same turn. */
  charge(tallies: readonly Tally[]): void {
    const sums = new Map(this.#sums);
    for (const { key, amount } of tallies) sums.set(key, (sums.get(key) ?? 0) + amount);
    this.#sums = sums;
  }

  /** For the slot of the use; undefined where there is nothing to keep. */
  get saved(): Sums | undefined {
    return this.#sums.size === 0 ? undefined : [...this.#sums];
  }
}
