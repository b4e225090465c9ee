import { FOLD } from "./fold.ts";

/**
 * Knuth, Morris and Pratt's search for one folded pattern: never more than two comparisons a byte, whatever the
 * text. Slower than skipping, hence only where a text makes skipping useless.
 */
export class KnuthMorrisPratt {
  readonly #pattern: Uint8Array;
  readonly #border: Uint32Array;

  constructor(pattern: Uint8Array) {
    this.#pattern = pattern;
    this.#border = new Uint32Array(pattern.length + 1);
    let matched = 0;
    for (let i = 1; i < pattern.length; i++) {
      while (matched > 0 && pattern[i] !== pattern[matched]) matched = this.#border[matched]!;
      if (pattern[i] === pattern[matched]) matched++;
      this.#border[i + 1] = matched;
    }
  }

  /** Tells the start of every occurrence in `bytes[from, to)`, overlapping ones too; answers the comparisons made. */
  each(bytes: Uint8Array, from: number, to: number, found: (start: number) => void): number {
    const pattern = this.#pattern;
    const border = this.#border;
    let steps = 0;
    let matched = 0;
    for (let i = from; i < to; i++) {
      const byte = FOLD[bytes[i]!];
      while (matched > 0 && byte !== pattern[matched]) {
        matched = border[matched]!;
        steps++;
      }
      if (byte === pattern[matched]) matched++;
      steps++;
      if (matched === pattern.length) {
        found(i + 1 - matched);
        matched = border[matched]!;
      }
    }
    return steps;
  }
}
