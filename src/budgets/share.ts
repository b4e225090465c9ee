import type { BudgetId } from "../base/ids.ts";
import type { BudgetClaim } from "./claim.ts";
import type { HolderState, LeaseAnswer, LeaseAsk } from "./lease.ts";
import { windowEnd, windowStart } from "./period.ts";

/** Calls under way whose reservation may come back; of older ones beyond it stays spent. */
const MAX_HOLDS = 256;
/** How long "exhausted" is believed where what others hold may come back. */
const EXHAUSTED_FOR_MS = 1_000;

/** As a slot holds it: by budget, and the calls under way by their sequence, with the place of their budget. */
export interface SavedShares {
  /** Under which the books know it: the root token's id. */
  readonly holder: string;
  readonly spent: readonly (readonly [
    id: BudgetId,
    window: number,
    end: number | null,
    spent: number,
    shared: boolean,
  ])[];
  readonly holds: readonly (readonly [seq: number, budget: number, amount: number])[];
}

interface Share {
  readonly window: number;
  /** null: never. */
  readonly end: number | null;
  shared: boolean;
  spent: number;
  /** Of a shared budget: how much it may have spent altogether, by the book's word of this version. */
  granted: number;
  version: number;
  /** The budget's version at which that was granted: at another one it counts for nothing. */
  terms: number | null;
  exhausted: { readonly need: number; readonly until: number; readonly terms: number } | null;
}

interface Hold {
  readonly seq: number;
  readonly budgetId: BudgetId;
  readonly window: number;
  readonly amount: number;
}

interface Refused<K extends string> {
  readonly kind: K;
  readonly claim: BudgetClaim;
  readonly window: number;
  /** null: never. */
  readonly refillsAt: number | null;
}

/** What the token's object holds does not suffice: the book may give more. */
export type Short = Refused<"short">;
export type ShareRefusal = Refused<"exceeded"> | Short;

/** What a token has spent of its budgets, and what it may spend of shared ones. Pure: no I/O, no clock of its own. */
export class Shares {
  readonly #shares = new Map<BudgetId, Share>();
  #holds: Hold[] = [];
  #holder = "";

  /** Under which the books know it; empty: nothing was reserved yet. */
  get holder(): string {
    return this.#holder;
  }

  /** From the newest slot, before anything else is asked. What was granted is the book's to say again. */
  recover(saved: SavedShares | undefined): void {
    if (saved === undefined) return;
    this.#holder = saved.holder;
    for (const [id, window, end, spent, shared] of saved.spent) {
      this.#shares.set(id, { ...fresh(window, end), spent, shared });
    }
    for (const [seq, budget, amount] of saved.holds) {
      const of = saved.spent[budget];
      if (of !== undefined) this.#holds.push({ seq, budgetId: of[0], window: of[1], amount });
    }
  }

  /** Why claims cannot all be reserved now; null: they can. One budget comes at most once. */
  refusal(claims: readonly BudgetClaim[], now: number): ShareRefusal | null {
    let short: ShareRefusal | null = null;
    for (const claim of claims) {
      const { spent, granted, terms, exhausted, window, end: refillsAt } = this.#current(claim, now);
      const exceeded = { kind: "exceeded", claim, window, refillsAt } as const;
      const total = spent + claim.amount;
      if (!Number.isSafeInteger(claim.amount) || claim.amount < 0 || !Number.isSafeInteger(total))
        return exceeded;
      if (!claim.shared && total > claim.limit) return exceeded;
      if (!claim.shared || claim.amount === 0) continue;
      if (terms === claim.version && total <= granted) continue;
      const isKnown =
        exhausted !== null &&
        exhausted.terms === claim.version &&
        claim.amount >= exhausted.need &&
        now < exhausted.until;
      if (isKnown) return exceeded;
      short ??= { kind: "short", claim, window, refillsAt };
    }
    return short;
  }

  /** Reserves what `refusal` let through, in the same turn. */
  reserve(holder: string, seq: number, claims: readonly BudgetClaim[], now: number): void {
    this.#holder = holder;
    for (const claim of claims) {
      const share = this.#current(claim, now);
      share.spent += claim.amount;
      share.shared = claim.shared;
      this.#shares.set(claim.budgetId, share);
      if (!claim.settles || claim.amount === 0) continue;
      this.#holds.push({ seq, budgetId: claim.budgetId, window: share.window, amount: claim.amount });
      if (this.#holds.length > MAX_HOLDS) this.#holds.shift();
    }
  }

  /**
   * What a call came to, once: of budgets that are not named it stays as reserved, and so it does where the window is
   * over. Answers the budgets of which more was spent than reserved: to be written down at once, unlike what comes back.
   */
  settle(seq: number, costs: readonly (readonly [BudgetId, number])[]): readonly BudgetId[] {
    const over: BudgetId[] = [];
    const kept: Hold[] = [];
    for (const hold of this.#holds) {
      if (hold.seq !== seq) {
        kept.push(hold);
        continue;
      }
      const cost = costs.find(([id]) => id === hold.budgetId)?.[1];
      const share = this.#shares.get(hold.budgetId);
      if (cost === undefined || !Number.isSafeInteger(cost) || cost < 0 || share?.window !== hold.window)
        continue;
      share.spent = Math.min(share.spent + cost - hold.amount, Number.MAX_SAFE_INTEGER);
      if (cost > hold.amount) over.push(hold.budgetId);
    }
    this.#holds = kept;
    return over;
  }

  /** For the slot; undefined where there is nothing to keep. Of windows that are over nothing is. */
  saved(now: number): SavedShares | undefined {
    const spent: [BudgetId, number, number | null, number, boolean][] = [];
    const places = new Map<BudgetId, number>();
    for (const [id, share] of this.#shares) {
      if (share.end !== null && now >= share.end) {
        this.#shares.delete(id);
      } else if (share.spent > 0) {
        places.set(id, spent.length);
        spent.push([id, share.window, share.end, share.spent, share.shared]);
      }
    }
    this.#holds = this.#holds.filter(({ budgetId, window }) => this.#shares.get(budgetId)?.window === window);
    if (spent.length === 0) return undefined;
    const holds = this.#holds.flatMap(({ seq, budgetId, amount }) => {
      const place = places.get(budgetId);
      return place === undefined ? [] : [[seq, place, amount] as const];
    });
    return { holder: this.#holder, spent, holds };
  }

  /** What to ask the book for. */
  asked(claim: BudgetClaim, now: number): Pick<LeaseAsk, "window" | "spent" | "version"> {
    const { window, spent, version } = this.#current(claim, now);
    return { window, spent, version };
  }

  /** The book's answer to an ask for `need` by a claim. */
  answered(claim: BudgetClaim, need: number, answer: LeaseAnswer, now: number): void {
    const current = this.#current(claim, now);
    if (answer.window < current.window) return;
    const share =
      answer.window === current.window
        ? current
        : fresh(answer.window, windowEnd(claim.period, answer.window));
    this.#shares.set(claim.budgetId, share);
    if (answer.kind === "exhausted") {
      const until = answer.final ? (share.end ?? Number.POSITIVE_INFINITY) : now + EXHAUSTED_FOR_MS;
      share.exhausted = { need, until, terms: claim.version };
    } else if (answer.version > share.version) {
      share.granted = answer.granted;
      share.version = answer.version;
      share.terms = claim.version;
      share.exhausted = null;
    }
  }

  /**
   * Gives back what is not spent in a window, and says what is. null: nothing was given back, because that window is
   * over here, or the book has said something else since.
   */
  recalled(budgetId: BudgetId, window: number, version: number): number | null {
    let share = this.#shares.get(budgetId);
    if (
      share !== undefined &&
      (share.window > window || (share.window === window && version < share.version))
    )
      return null;
    if (share === undefined || share.window < window) {
      // Known only to outlast a grant that is still on its way; the end is put right by the next claim.
      share = fresh(window, null);
      this.#shares.set(budgetId, share);
    }
    share.version = version;
    share.granted = Math.min(share.granted, share.spent);
    return share.spent;
  }

  state(budgetId: BudgetId): HolderState | null {
    const share = this.#shares.get(budgetId);
    if (share === undefined) return null;
    const { window, spent } = share;
    let held = 0;
    for (const hold of this.#holds) {
      if (hold.budgetId === budgetId && hold.window === window) held += hold.amount;
    }
    return { window, spent, held };
  }

  /** What is spent of shared budgets, in their windows. */
  ofBooks(): readonly (readonly [budgetId: BudgetId, window: number, spent: number])[] {
    const all: [BudgetId, number, number][] = [];
    for (const [id, { shared, window, spent }] of this.#shares) {
      if (shared && spent > 0) all.push([id, window, spent]);
    }
    return all;
  }

  /** Whether more was spent of a shared budget than the book has granted, as far as it has. */
  isBeyondGrant(budgetId: BudgetId): boolean {
    const share = this.#shares.get(budgetId);
    return share?.shared === true && share.spent > share.granted;
  }

  /** The books have counted all that is spent for good: from here on only what calls under way come to beyond it. */
  closed(): void {
    for (const share of this.#shares.values()) {
      share.spent = 0;
      share.granted = 0;
    }
  }

  #current(claim: BudgetClaim, now: number): Share {
    const start = windowStart(claim.period, now);
    const share = this.#shares.get(claim.budgetId);
    // The book may be a moment ahead.
    if (share === undefined || share.window < start) return fresh(start, windowEnd(claim.period, start));
    if (share.end === null && claim.period !== "total") {
      const known = { ...share, end: windowEnd(claim.period, share.window) };
      this.#shares.set(claim.budgetId, known);
      return known;
    }
    return share;
  }
}

function fresh(window: number, end: number | null): Share {
  return { window, end, shared: true, spent: 0, granted: 0, version: 0, terms: null, exhausted: null };
}
