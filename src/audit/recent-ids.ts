/** The ids of one stored block. `latest` is the newest event time in the ledger up to and including it, in ms. */
export interface BlockIds {
  readonly firstSeq: number;
  readonly ids: readonly string[];
  readonly latest: number;
}

/**
 * The event ids of the newest blocks, bounded. It also knows what it does not know: an event newer than
 * `completeAfter` is either in here or not in the ledger at all, because every earlier block holds only older ones.
 */
export class RecentIds {
  readonly #capacity: number;
  readonly #ids = new Set<string>();
  /** Oldest first, without a gap up to the head. */
  #blocks: BlockIds[] = [];
  #completeAfter: number;
  #nextSeq: number;

  /** Starts empty behind a head: `nextSeq` is the seq to be given next, `latest` the ledger's newest event time. */
  constructor(capacity: number, nextSeq: number, latest: number) {
    this.#capacity = capacity;
    this.#nextSeq = nextSeq;
    this.#completeAfter = latest;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Whether an event that happened at `time` can be stored in a block before those in here. */
  mayBeEarlier(id: string, time: number): boolean {
    return time <= this.#completeAfter && !this.#ids.has(id);
  }

  /** The seq from which on everything is known; earlier blocks start below it. */
  get fromSeq(): number {
    return this.#blocks[0]?.firstSeq ?? this.#nextSeq;
  }

  /** Adds the newest block, forgetting the oldest ones where there is no room. */
  push(block: BlockIds): void {
    this.#blocks.push(block);
    this.#nextSeq = block.firstSeq + block.ids.length;
    for (const id of block.ids) this.#ids.add(id);
    while (this.#ids.size > this.#capacity) {
      const oldest = this.#blocks.shift();
      if (oldest === undefined) break;
      for (const id of oldest.ids) this.#ids.delete(id);
      this.#completeAfter = oldest.latest;
    }
  }

  /**
   * Which of the wanted ids (with their event times) stand in earlier blocks: those before `fromSeq`, newest first.
   * Reads only as far back as the oldest can be, and keeps what it read while there is room, so that a wave of
   * redeliveries reads it once.
   */
  findEarlier(wanted: ReadonlyMap<string, number>, earlier: Iterable<BlockIds>): Set<string> {
    const found = new Set<string>();
    const oldest = Math.min(...wanted.values());
    const kept: BlockIds[] = [];
    let room = this.#capacity - this.#ids.size;
    let keeping = true;
    // Unless a block is left out below, no block is left before the kept ones.
    let completeAfter = Number.NEGATIVE_INFINITY;
    for (const block of earlier) {
      const enough = block.latest < oldest || found.size === wanted.size;
      if (keeping && (enough || block.ids.length > room)) {
        keeping = false;
        completeAfter = block.latest;
      }
      if (enough) break;
      for (const id of block.ids) if (wanted.has(id)) found.add(id);
      if (keeping) {
        kept.push(block);
        room -= block.ids.length;
      }
    }
    for (const block of kept) for (const id of block.ids) this.#ids.add(id);
    this.#blocks = [...kept.toReversed(), ...this.#blocks];
    this.#completeAfter = completeAfter;
    return found;
  }
}
