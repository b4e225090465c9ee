import type { LineMember, TokenState } from "../src/tokens/charge.ts";
import type { Rate } from "../src/tokens/schemas.ts";

/** What has expired so long ago is forgotten: its own expiry refuses it. */
const FORGOTTEN_AFTER_MS = 10 * 60_000;
const KEY = "children";

type Window = readonly [start: number, count: number];

/** How often a token was charged, itself and all below it, and the current window of its rate. */
export type Counter = readonly [tokenId: string, uses: number, window: Window, expiresAt: number];

interface Saved {
  /** The counters are those after the slot with this sequence: later slots know better. */
  readonly seq: number;
  readonly counters: readonly Counter[];
  readonly revoked: readonly (readonly [tokenId: string, expiresAt: number])[];
}

type Refusal =
  | { readonly reason: "revoked" | "expired" | "uses" }
  | { readonly reason: "rate"; readonly retryAfterSeconds: number };

/** The rate's window after one more use, and, where that is one too many, in how many seconds there is another. */
export function windowAfter(
  window: Window,
  rate: Rate,
  now: number,
): readonly [Window, retryAfter: number | null] {
  const [start, count] = window;
  const length = rate.windowSeconds * 1000;
  if (now - start >= length) return [[now, 1], null];
  const late = count >= rate.count ? Math.max(1, Math.ceil((start + length - now) / 1000)) : null;
  return [[start, count + 1], late];
}

/**
 * The lives of all that descends from a token, in that token's object: so that one call is charged to a child and to
 * everything above it in one step. A slot holds the counters that its use moved, and nothing else is written for it.
 * Before such a slot is written over, all counters are saved in one row, in the same atomic step: at most one row more a
 * call, none for a token without children, and less the busier it is, since slots are used again only after a while.
 */
export class Children {
  readonly #storage: SyncKvStorage;
  readonly #counters = new Map<string, Counter>();
  readonly #revoked = new Map<string, number>();
  /** The oldest slot whose counters are saved nowhere else. */
  #unsavedFrom: number | null = null;
  readonly #savedSeq: number;

  constructor(storage: SyncKvStorage) {
    this.#storage = storage;
    const text = storage.get<string>(KEY);
    const saved: Saved =
      text === undefined ? { seq: 0, counters: [], revoked: [] } : (JSON.parse(text) as Saved);
    this.#savedSeq = saved.seq;
    for (const counter of saved.counters) this.#counters.set(counter[0], counter);
    for (const [tokenId, expiresAt] of saved.revoked) this.#revoked.set(tokenId, expiresAt);
  }

  /** Slots from before a restart, in sequence. */
  recover(seq: number, counters: readonly Counter[] | undefined): void {
    if (counters === undefined || seq <= this.#savedSeq) return;
    for (const counter of counters) this.#counters.set(counter[0], counter);
    this.#unsavedFrom ??= seq;
  }

  /** Why a use by the last of a line is refused, if it is. */
  refusal(line: readonly LineMember[], now: number): Refusal | null {
    if (line.some(({ tokenId }) => this.#revoked.has(tokenId))) return { reason: "revoked" };
    if (line.some(({ expiresAt }) => expiresAt <= now)) return { reason: "expired" };
    if (line.some(({ tokenId, maxUses }) => maxUses !== null && this.#uses(tokenId) >= maxUses)) {
      return { reason: "uses" };
    }
    let retryAfterSeconds = 0;
    for (const { tokenId, rate } of line) {
      if (rate === null) continue;
      const [, late] = windowAfter(this.#window(tokenId), rate, now);
      retryAfterSeconds = Math.max(retryAfterSeconds, late ?? 0);
    }
    return retryAfterSeconds === 0 ? null : { reason: "rate", retryAfterSeconds };
  }

  /** One use of each of a line: the counters after it, for its slot. */
  use(seq: number, line: readonly LineMember[], now: number): readonly Counter[] {
    const moved = line.map(({ tokenId, rate, expiresAt }): Counter => {
      const window = this.#window(tokenId);
      return [
        tokenId,
        this.#uses(tokenId) + 1,
        rate === null ? window : windowAfter(window, rate, now)[0],
        expiresAt,
      ];
    });
    for (const counter of moved) this.#counters.set(counter[0], counter);
    this.#unsavedFrom ??= seq;
    return moved;
  }

  /** Call before the slot `old` is written over by the slot `next`, in the same turn. */
  beforeReuse(old: number, next: number, now: number): void {
    if (this.#unsavedFrom !== null && old >= this.#unsavedFrom) this.#save(next, now);
  }

  /** `seq`: the newest slot's. */
  revoke(tokenId: string, expiresAt: number, seq: number, now: number): void {
    if (this.#revoked.has(tokenId)) return;
    this.#revoked.set(tokenId, expiresAt);
    this.#save(seq, now);
  }

  /** Of the last of a line; revoked, where one above it below the root is. */
  state(line: readonly string[]): TokenState {
    return {
      uses: this.#uses(line.at(-1) ?? ""),
      revoked: line.some((tokenId) => this.#revoked.has(tokenId)),
    };
  }

  /** By token, how often each of a line was charged. */
  uses(line: readonly string[]): readonly number[] {
    return line.map((tokenId) => this.#uses(tokenId));
  }

  #save(seq: number, now: number): void {
    const isOver = (expiresAt: number): boolean => now - expiresAt > FORGOTTEN_AFTER_MS;
    for (const [tokenId, , , expiresAt] of this.#counters.values()) {
      if (isOver(expiresAt)) this.#counters.delete(tokenId);
    }
    for (const [tokenId, expiresAt] of this.#revoked) if (isOver(expiresAt)) this.#revoked.delete(tokenId);
    const saved: Saved = { seq, counters: [...this.#counters.values()], revoked: [...this.#revoked] };
    this.#storage.put(KEY, JSON.stringify(saved));
    this.#unsavedFrom = null;
  }

  #uses(tokenId: string): number {
    return this.#counters.get(tokenId)?.[1] ?? 0;
  }

  #window(tokenId: string): Window {
    return this.#counters.get(tokenId)?.[2] ?? [0, 0];
  }
}
