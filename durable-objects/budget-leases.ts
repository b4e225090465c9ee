import type { BudgetId, TenantId } from "../src/base/ids.ts";
import { within } from "../src/base/within.ts";
import type { BudgetClaim } from "../src/budgets/claim.ts";
import { THRESHOLD } from "../src/budgets/book-ledger.ts";
import type { BookObject, BudgetTerms } from "../src/budgets/lease.ts";
import type { ShareRefusal, Shares } from "../src/budgets/share.ts";
import type { About, BudgetNews } from "./budget-news.ts";

/** Of the 3 s that a charge has. */
const LEASED_WITHIN_MS = 2_500;
const TOLD_WITHIN_MS = 2_000;

interface Waiting {
  want: number;
  asking: Promise<boolean> | null;
}

/** What a token's object tells others of its budgets, and asks of their books: one ask at a time for each. */
export class BudgetLeases {
  readonly #shares: Shares;
  readonly #book: (tenantId: TenantId, budgetId: BudgetId) => BookObject;
  readonly #announce: (news: BudgetNews, about: About) => void;
  readonly #waiting = new Map<BudgetId, Waiting>();
  /** Those of the newest ask. */
  readonly #terms = new Map<BudgetId, BudgetTerms>();
  readonly #told = new Set<string>();

  constructor(parts: {
    readonly shares: Shares;
    readonly book: (tenantId: TenantId, budgetId: BudgetId) => BookObject;
    readonly announce: (news: BudgetNews, about: About) => void;
  }) {
    this.#shares = parts.shares;
    this.#book = parts.book;
    this.#announce = parts.announce;
  }

  /** Asks for what a claim lacks; false where the book does not answer. The claim is then to be looked at again. */
  async more(claim: BudgetClaim, asking: Asking): Promise<boolean> {
    const { budgetId, amount } = claim;
    const waiting = this.#waiting.get(budgetId) ?? { want: 0, asking: null };
    this.#waiting.set(budgetId, waiting);
    waiting.want += amount;
    try {
      waiting.asking ??= this.#ask(claim, asking, () => waiting.want).finally(() => {
        waiting.asking = null;
      });
      return await waiting.asking;
    } finally {
      waiting.want -= amount;
      if (waiting.want <= 0 && waiting.asking === null) this.#waiting.delete(budgetId);
    }
  }

  async #ask(claim: BudgetClaim, asking: Asking, want: () => number): Promise<boolean> {
    const { budgetId, name, period, limit, returns, amount: need } = claim;
    const { tenantId, holder, epoch } = asking;
    const terms: BudgetTerms = { budgetId, tenantId, name, period, limit, epoch, returns };
    this.#terms.set(budgetId, terms);
    // Whoever else is charged in this turn is asked for as well.
    await Promise.resolve();
    const asked = this.#shares.asked(claim, Date.now());
    const wanted = Math.min(want(), Number.MAX_SAFE_INTEGER);
    try {
      const leasing = this.#book(tenantId, budgetId).lease({ terms, holder, ...asked, need, want: wanted });
      this.#shares.answered(claim, need, await within(LEASED_WITHIN_MS, leasing), Date.now());
      return true;
    } catch {
      return false;
    }
  }

  /** Whether the book has enough left for a claim; nothing is reserved. Throws where it does not answer. */
  async isLeft(claim: BudgetClaim, tenantId: TenantId): Promise<boolean> {
    const { budgetId, period, limit, amount } = claim;
    const asking = this.#book(tenantId, budgetId).state(budgetId, period);
    const { used, reserved } = await within(TOLD_WITHIN_MS, asking);
    return used + reserved + amount <= limit;
  }

  /** Announces what a use came close to, of budgets that the token has for itself: of others their books do. */
  tellNear(claims: readonly BudgetClaim[], tenantId: TenantId, tokenId: string, now: number): void {
    for (const claim of claims) {
      if (claim.shared) continue;
      const { window, spent } = this.#shares.asked(claim, now);
      if (spent < claim.limit * THRESHOLD) continue;
      this.#tell("threshold", claim, window, tenantId, tokenId);
    }
  }

  tellExceeded({ claim, window }: ShareRefusal, tenantId: TenantId, tokenId: string): void {
    if (!claim.shared) this.#tell("exceeded", claim, window, tenantId, tokenId);
  }

  #tell(news: BudgetNews, claim: BudgetClaim, window: number, tenantId: TenantId, tokenId: string): void {
    const key = `${claim.budgetId} ${window} ${news}`;
    if (this.#told.has(key)) return;
    if (this.#told.size > 1_000) this.#told.clear();
    this.#told.add(key);
    this.#announce(news, { ...claim, tenantId, window, tokenId });
  }

  /** Tells the books that more was spent than they granted; where that gets lost, the next ask tells it. */
  async tellBeyond(budgetIds: readonly BudgetId[], tenantId: TenantId, holder: string): Promise<void> {
    for (const budgetId of budgetIds) {
      const state = this.#shares.state(budgetId);
      if (state === null || !this.#shares.isBeyondGrant(budgetId)) continue;
      const { window, spent } = state;
      const terms = this.#terms.get(budgetId);
      const book = this.#book(tenantId, budgetId);
      // Asked for nothing since a restart, it knows no terms: then the book is to ask.
      const telling: Promise<unknown> =
        terms === undefined
          ? book.release(budgetId, holder)
          : book.lease({ terms, holder, window, spent, version: 0, need: 0, want: 0 });
      await within(TOLD_WITHIN_MS, telling).catch(() => undefined);
    }
  }

  /** Has the books take back what is not spent; where that gets lost, they do once they need it. */
  async release(tenantId: TenantId, holder: string): Promise<void> {
    const releasing = this.#shares
      .ofBooks()
      .map(([budgetId]) =>
        within(TOLD_WITHIN_MS, this.#book(tenantId, budgetId).release(budgetId, holder)).catch(
          () => undefined,
        ),
      );
    await Promise.all(releasing);
  }

  /** Tells the books that the token has ended; false where one does not answer. */
  async close(tenantId: TenantId, holder: string): Promise<boolean> {
    const closing = this.#shares.ofBooks().map(([budgetId, window, spent]) =>
      within(TOLD_WITHIN_MS, this.#book(tenantId, budgetId).close(holder, window, spent)).then(
        () => true,
        () => false,
      ),
    );
    return (await Promise.all(closing)).every(Boolean);
  }
}

/** Who asks, and on which configuration. */
export interface Asking {
  readonly tenantId: TenantId;
  readonly holder: string;
  readonly epoch: number;
}
