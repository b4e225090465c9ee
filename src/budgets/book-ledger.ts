import type { LeaseAnswer, LeaseAsk } from "./lease.ts";
import { windowStart } from "./period.ts";

/** What part of a limit is announced when it is used. */
export const THRESHOLD = 0.8;
/** A slice is so much of what is left, or what is waiting for it where that is more. */
const SLICES = 16;
/** Versions follow the clock: so many of them fit into a millisecond. */
const VERSIONS_A_MS = 1_024;
/** And are later than what was written by so many, if the clock went back: most are not written down. */
const UNWRITTEN = 2 ** 20;
/** A holder's clock may be so far ahead of the book's. */
const MAX_AHEAD_MS = 60_000;
/** Where what holders have spent may come to less, all of them are asked again so often. */
const ASK_AGAIN_MS = 1_000;

/**
 * A holder's row: what it may have spent altogether in a window, how much of that it has, as far as it told, and the
 * version of that.
 */
export type SavedHolder = readonly [window: number, granted: number, spent: number, version: number];

/** What holders that are no more had spent in a window, and the version of that. */
export type SavedClosed = readonly [window: number, spent: number, version: number];

interface Holder {
  granted: number;
  spent: number;
  version: number;
}

/** What a ledger says to an ask: an answer, or that holders must be asked first what they have left. */
type Said =
  /** `saves`: the holder's row must be written before the answer goes. */
  | { readonly kind: "answer"; readonly answer: LeaseAnswer; readonly saves: boolean }
  | { readonly kind: "recall"; readonly holders: readonly string[] };

/**
 * Who holds how much of one budget's window. What is granted never exceeds the limit, but for what holders say they have
 * spent beyond; so neither does what they spend. Pure: no I/O, no clock of its own.
 */
export class BookLedger {
  #window = 0;
  /** What holders that are no more had spent in the window. */
  #closed = 0;
  #granted = 0;
  #version = 0;
  #askedAllAt = 0;
  readonly #holders = new Map<string, Holder>();
  /** Those that have a row of an earlier window. */
  readonly #past = new Set<string>();

  get window(): number {
    return this.#window;
  }

  /** What is closed, and the window that it belongs to. */
  get closed(): SavedClosed {
    return [this.#window, this.#closed, this.#version];
  }

  /** What holders have spent, as far as they told. */
  get spent(): number {
    let spent = this.#closed;
    for (const holder of this.#holders.values()) spent += holder.spent;
    return spent;
  }

  get holders(): ReadonlyMap<string, Readonly<Holder>> {
    return this.#holders;
  }

  /** Holders whose rows say nothing any more. */
  get past(): ReadonlySet<string> {
    return this.#past;
  }

  recover(closed: SavedClosed, rows: Iterable<readonly [string, SavedHolder]>): void {
    const all = [...rows];
    this.#window = all.reduce((latest, [, [window]]) => Math.max(latest, window), closed[0]);
    this.#closed = closed[0] === this.#window ? closed[1] : 0;
    this.#version = all.reduce((latest, [, row]) => Math.max(latest, row[3]), closed[2]) + UNWRITTEN;
    for (const [name, [window, granted, spent, version]] of all) {
      if (window < this.#window) {
        this.#past.add(name);
        continue;
      }
      this.#granted += granted;
      this.#holders.set(name, { granted, spent, version });
    }
  }

  saved(name: string): SavedHolder | null {
    const holder = this.#holders.get(name);
    return holder === undefined ? null : [this.#window, holder.granted, holder.spent, holder.version];
  }

  /** `limit`: by the newest terms. `recalled`: whoever was to be asked has been, and whether all have answered. */
  ask(ask: LeaseAsk, limit: number, now: number, recalled: "not yet" | "all" | "some" = "not yet"): Said {
    const { holder: name, terms, spent, need, want } = ask;
    this.roll(ask.window, terms.period, now);
    const window = this.#window;
    if (ask.window !== window) {
      // It asks again for the window that it is told of, or comes back when the book's clock has caught up.
      const answer: LeaseAnswer =
        ask.window < window
          ? { kind: "granted", window, granted: 0, version: this.#next(ask.version) }
          : { kind: "exhausted", window: ask.window, final: false };
      return { kind: "answer", answer, saves: false };
    }
    const holder = this.#holderOf(name);
    const before = holder.granted;
    holder.spent = spent;
    if (spent > holder.granted) this.#set(holder, spent);
    const left = limit - this.#closed - this.#granted;
    const missing = spent + need - holder.granted;
    if (left < 0 || missing > left) {
      const holders = recalled === "not yet" ? this.#toRecall(name, left < 0, terms.returns, now) : [];
      if (holders.length > 0) return { kind: "recall", holders };
      const final = !terms.returns && recalled !== "some";
      const answer: LeaseAnswer = { kind: "exhausted", window, final };
      return { kind: "answer", answer, saves: holder.granted !== before };
    }
    if (missing > 0) {
      const slice = Math.max(missing, Math.floor(left / SLICES), Math.min(want, limit));
      this.#set(holder, holder.granted + Math.min(slice, left));
    }
    holder.version = this.#next(ask.version);
    const { granted, version } = holder;
    const answer: LeaseAnswer = { kind: "granted", window, granted, version };
    return { kind: "answer", answer, saves: granted !== before };
  }

  /** A recall's version; null where there is nothing to give back. */
  recall(name: string): number | null {
    const holder = this.#holders.get(name);
    if (holder === undefined) return null;
    holder.version = this.#next(0);
    return holder.version;
  }

  /** What a holder has spent, as it answered a recall; true where its row must be written. */
  recalled(name: string, window: number, version: number, spent: number): boolean {
    const holder = this.#holders.get(name);
    if (holder === undefined || window !== this.#window || version !== holder.version) return false;
    holder.spent = spent;
    if (holder.granted === spent) return false;
    this.#set(holder, spent);
    return true;
  }

  /** A holder has ended; true where there was such a one: its row goes, and what is closed is written. */
  close(name: string, window: number, spent: number): boolean {
    this.#past.delete(name);
    const holder = this.#holders.get(name);
    if (holder === undefined) return false;
    this.#set(holder, 0);
    this.#holders.delete(name);
    if (window === this.#window) this.#closed += spent;
    return true;
  }

  /** Versions are later than this, in milliseconds since 1970. */
  tick(now: number): void {
    this.#version = Math.max(this.#version, now * VERSIONS_A_MS);
  }

  /** Goes on to the window that a holder is in, or that `now` is; never back. True where it did. */
  roll(window: number, period: LeaseAsk["terms"]["period"], now: number): boolean {
    this.tick(now);
    if (window <= this.#window || window > windowStart(period, now + MAX_AHEAD_MS)) return false;
    for (const name of this.#holders.keys()) this.#past.add(name);
    this.#holders.clear();
    this.#window = window;
    this.#closed = 0;
    this.#granted = 0;
    return true;
  }

  forgetPast(): void {
    this.#past.clear();
  }

  /** More is granted than the limit, where that was lowered or a call came to more: then it is for the asking one as well. */
  #toRecall(asking: string, isBeyond: boolean, returns: boolean, now: number): readonly string[] {
    const isTimeForAll = returns && now - this.#askedAllAt >= ASK_AGAIN_MS;
    if (isTimeForAll) this.#askedAllAt = now;
    const names: string[] = [];
    for (const [name, { granted, spent }] of this.#holders) {
      if (name === asking && !isBeyond) continue;
      if (granted > spent || (isTimeForAll && granted > 0)) names.push(name);
    }
    return names;
  }

  #holderOf(name: string): Holder {
    this.#past.delete(name);
    const known = this.#holders.get(name);
    if (known !== undefined) return known;
    const holder: Holder = { granted: 0, spent: 0, version: 0 };
    this.#holders.set(name, holder);
    return holder;
  }

  #set(holder: Holder, granted: number): void {
    this.#granted += granted - holder.granted;
    holder.granted = granted;
  }

  /** Later than all before, those of an earlier instance and those that a holder knows among them. */
  #next(known: number): number {
    this.#version = Math.max(this.#version, known) + 1;
    return this.#version;
  }
}
