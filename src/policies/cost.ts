/*
 * What an evaluation may cost, counted in steps and never timed (attack 88). Whatever looks at data is charged for
 * the data before it runs: loops for every element, comparisons for everything below their operands, texts and
 * patterns by length. So the work is bounded whatever the condition and whatever the body.
 */

/** Of one decision, all its conditions together. */
export const MAX_STEPS = 1_000_000;

/** Characters that are compared, searched or joined in one step. */
const CHARACTERS_A_STEP = 16;
/** What is cheaper to measure again than to remember. */
const SMALL = 64;

/** What is left of a decision's steps, and what is known of the sizes of its values. */
export class Meter {
  #sizes: WeakMap<object, number> | undefined;
  #left: number;

  constructor(steps: number = MAX_STEPS) {
    this.#left = steps;
  }

  /** What is left of the steps. */
  get left(): number {
    return this.#left;
  }

  /** Once it is spent, whatever came out counts no more: the language's own `||` would swallow the error. */
  get spent(): boolean {
    return this.#left < 0;
  }

  /** Takes steps before they are made; throws when there are not that many. */
  charge(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) {
      this.#left = -1;
      throw TOO_COSTLY;
    }
  }

  /** Steps to look at all of a value. What is in the facts is measured once. */
  stepsOf(value: unknown): number {
    if (typeof value === "string") return 1 + value.length / CHARACTERS_A_STEP;
    if (typeof value !== "object" || value === null) return 1;
    const known = this.#sizes?.get(value);
    if (known !== undefined) return known;
    let steps = 1;
    if (Array.isArray(value) || value instanceof Set) {
      for (const item of value) steps += this.stepsOf(item);
    } else if (value instanceof Map) {
      for (const [key, item] of value) steps += this.stepsOf(key) + this.stepsOf(item);
    } else if (value instanceof Uint8Array) {
      steps += value.length / CHARACTERS_A_STEP;
    } else {
      for (const [key, item] of Object.entries(value)) steps += this.stepsOf(key) + this.stepsOf(item);
    }
    if (steps > SMALL) (this.#sizes ??= new WeakMap()).set(value, steps);
    return steps;
  }
}

const TOO_COSTLY = new Error("The condition takes too many steps on this call.");
