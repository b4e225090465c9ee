/** A call whose end was never told (its isolate died with it) is under way no longer than this. */
const FORGOTTEN_AFTER_MS = 10 * 60_000;
/** So many ends are remembered, to know them again. */
const MAX_ENDED = 4_096;

/**
 * A token's calls that are charged and have not ended, by connection. In memory only: a row for each end would double
 * what a call costs, so an object that was not asked for a while begins with none.
 */
export class OpenCalls {
  /** By the sequence of their charge, oldest first. */
  readonly #calls = new Map<number, { readonly connection: string; readonly at: number }>();
  readonly #counts = new Map<string, number>();
  readonly #ended = new Set<number>();

  /** How many are under way through a connection. */
  count(connection: string, now: number): number {
    for (const [seq, { at }] of this.#calls) {
      if (now - at < FORGOTTEN_AFTER_MS) break;
      this.#remove(seq);
    }
    return this.#counts.get(connection) ?? 0;
  }

  begin(seq: number, connection: string, now: number): void {
    this.#calls.set(seq, { connection, at: now });
    this.#counts.set(connection, (this.#counts.get(connection) ?? 0) + 1);
  }

  /** False where the end was told before, as far as that is remembered. */
  end(seq: number): boolean {
    this.#remove(seq);
    if (this.#ended.has(seq)) return false;
    this.#ended.add(seq);
    if (this.#ended.size > MAX_ENDED) {
      const oldest = this.#ended.values().next();
      if (!oldest.done) this.#ended.delete(oldest.value);
    }
    return true;
  }

  #remove(seq: number): void {
    const call = this.#calls.get(seq);
    if (call === undefined) return;
    this.#calls.delete(seq);
    const left = (this.#counts.get(call.connection) ?? 1) - 1;
    if (left === 0) this.#counts.delete(call.connection);
    else this.#counts.set(call.connection, left);
  }
}
