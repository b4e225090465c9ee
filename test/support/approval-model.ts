import { ANSWERED_WITHIN_MS, USED_WITHIN_MS } from "../../src/approvals/case.ts";

/** Two of these may be one person. */
export const KIN = ["mem_0", "mem_1"] as const;

export function areApart(one: string, other: string): boolean {
  return one !== other && !(KIN.some((kin) => kin === one) && KIN.some((kin) => kin === other));
}

type End = "denied" | "cancelled" | "expired";

interface ModelCase {
  readonly id: string;
  readonly key: string;
  readonly needed: number;
  readonly delayMs: number;
  readonly askedAt: number;
  votes: { person: string; at: number }[];
  end: End | null;
  /** Of one that is denied. */
  deniedUntil: number;
  usedBy: string | null;
  isReady: boolean;
  /** The latest moment it has seen. */
  high: number;
}

export type Expected =
  | { readonly kind: "granted"; readonly id: string }
  | { readonly kind: "pending"; readonly id: string; readonly notBefore: number | null }
  | { readonly kind: "denied"; readonly id: string }
  /** One that is not known yet. */
  | { readonly kind: "new" };

/**
 * What a desk should do, written down a second time, as plainly as can be, from its rules and not from its code. Knows
 * nothing of storage, restarts, alarms or retries. Times are milliseconds since 1970.
 */
export class ApprovalModel {
  readonly cases: ModelCase[] = [];
  now = 0;

  open(id: string, key: string, needed: number, delayMs: number): void {
    this.cases.push({
      ...{ id, key, needed, delayMs, askedAt: this.now, high: this.now },
      ...{ votes: [], end: null, deniedUntil: 0, usedBy: null, isReady: false },
    });
  }

  get(id: string): ModelCase | undefined {
    return this.cases.find((one) => one.id === id);
  }

  /** Time alone. */
  tick(): void {
    for (const one of this.cases) this.#tick(one);
  }

  approve(id: string, person: string, apartFrom: readonly string[]): "ok" | "over" | "recheck" {
    const one = this.#at(id);
    if (one.end === null && one.votes.some((vote) => vote.person === person)) return "ok";
    if (one.end !== null || one.usedBy !== null || hasQuorum(one)) return "over";
    if (one.votes.some((vote) => !apartFrom.includes(vote.person))) return "recheck";
    one.high = this.#time(one);
    one.votes.push({ person, at: one.high });
    this.#tick(one);
    return "ok";
  }

  end(id: string, end: "denied" | "cancelled"): "ok" | "over" {
    const one = this.#at(id);
    if (one.end !== null || one.usedBy !== null) return "over";
    one.deniedUntil = deadline(one);
    one.end = end;
    one.high = this.#time(one);
    return "ok";
  }

  /** Whether it is used up by this. Without the quorum it is open again, without the votes that do not count. */
  consume(id: string, useId: string, entitled: readonly string[]): boolean {
    const one = this.#at(id);
    if (one.usedBy !== null) return one.usedBy === useId;
    if (one.end !== null || !hasQuorum(one) || this.#time(one) < usableFrom(one)) return false;
    one.high = this.#time(one);
    const counting = one.votes.filter(({ person }) => entitled.includes(person));
    if (counting.length >= one.needed) {
      one.usedBy = useId;
      return true;
    }
    one.votes = counting;
    one.isReady = false;
    this.#tick(one);
    return false;
  }

  release(id: string, useId: string): void {
    const one = this.#at(id);
    const newest = this.#newest(one.key);
    if (newest !== undefined) this.#tick(newest);
    const hasTwin = newest !== undefined && newest !== one && newest.end === null && newest.usedBy === null;
    if (one.usedBy !== useId || hasTwin) return;
    one.usedBy = null;
    one.high = this.#time(one);
    this.#tick(one);
  }

  claim(key: string, useId: string, entitled: readonly string[]): Expected {
    const used = this.cases.find((one) => one.key === key && one.usedBy === useId);
    if (used !== undefined) return { kind: "granted", id: used.id };
    for (;;) {
      const one = this.#newest(key);
      if (one === undefined) return { kind: "new" };
      this.#tick(one);
      const now = this.#time(one);
      if (one.end === "denied" && now < one.deniedUntil) return { kind: "denied", id: one.id };
      if (one.end !== null || one.usedBy !== null) return { kind: "new" };
      if (!hasQuorum(one)) return { kind: "pending", id: one.id, notBefore: null };
      if (now < usableFrom(one)) return { kind: "pending", id: one.id, notBefore: usableFrom(one) };
      if (this.consume(one.id, useId, entitled)) return { kind: "granted", id: one.id };
    }
  }

  #newest(key: string): ModelCase | undefined {
    return this.cases.findLast((one) => one.key === key);
  }

  #at(id: string): ModelCase {
    const one = this.get(id);
    if (one === undefined) throw new Error(`the model knows no ${id}`);
    this.#tick(one);
    return one;
  }

  #time(one: ModelCase): number {
    return Math.max(this.now, one.high);
  }

  #tick(one: ModelCase): void {
    if (one.end !== null || one.usedBy !== null) return;
    const now = this.#time(one);
    if (now >= deadline(one)) {
      one.end = "expired";
      one.high = now;
    } else if (hasQuorum(one) && !one.isReady && now >= usableFrom(one)) {
      one.isReady = true;
      one.high = now;
    }
  }
}

function hasQuorum(one: ModelCase): boolean {
  return one.votes.length >= one.needed;
}

function usableFrom(one: ModelCase): number {
  return Math.max(...one.votes.map(({ at }) => at)) + one.delayMs;
}

/** Pending: too late for an answer. Approved: too late to be used. */
function deadline(one: ModelCase): number {
  return hasQuorum(one) ? usableFrom(one) + USED_WITHIN_MS : one.askedAt + ANSWERED_WITHIN_MS;
}
