import { DurableObject } from "cloudflare:workers";
import type { BudgetId } from "../src/base/ids.ts";
import { objectIdFor } from "../src/base/object-ids.ts";
import { within } from "../src/base/within.ts";
import { BookLedger, type SavedClosed, type SavedHolder, THRESHOLD } from "../src/budgets/book-ledger.ts";
import type {
  BookObject,
  BudgetState,
  BudgetTerms,
  HolderState,
  LeaseAnswer,
  LeaseAsk,
  Recall,
} from "../src/budgets/lease.ts";
import { type Period, windowStart } from "../src/budgets/period.ts";
import { announce, type BudgetNews } from "./budget-news.ts";

const RECALLED_WITHIN_MS = 1_500;
const AT_ONCE = 100;
const MAX_ROUNDS = 8;
/** More rows of windows that are over than this are removed. */
const MAX_PAST = 256;
const HOLDER = "holder:";
const BOOK = "book";

/** What is written beside the holders' rows. */
interface SavedBook {
  readonly closed: SavedClosed;
  /** What was told of the window. */
  readonly told: readonly BudgetNews[];
}

/**
 * One budget that several tokens share: it hands out what is left in slices, so that a call asks only the token's own
 * object. A slice is written before it is handed out (the output gate holds the answer until then). Before it says that
 * the budget is used up, it asks those who hold something for what they have not spent: so the limit is reached exactly,
 * and never exceeded by what calls reserve.
 */
export class BudgetBook extends DurableObject<Env> implements BookObject {
  #ledger = new BookLedger();
  #told: readonly BudgetNews[];
  #terms: BudgetTerms | null = null;
  #recalling: Promise<boolean> | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const saved = ctx.storage.kv.get<SavedBook>(BOOK);
    const rows: (readonly [string, SavedHolder])[] = [];
    for (const [key, row] of ctx.storage.kv.list<SavedHolder>({ prefix: HOLDER })) {
      rows.push([key.slice(HOLDER.length), row]);
    }
    this.#ledger.recover(saved?.closed ?? [0, 0, 0], rows);
    this.#told = saved?.closed[0] === this.#ledger.window ? saved.told : [];
  }

  async lease(ask: LeaseAsk): Promise<LeaseAnswer> {
    if (this.#terms === null || ask.terms.epoch >= this.#terms.epoch) this.#terms = ask.terms;
    let areAllReached = true;
    for (let round = 0; ; round++) {
      while (this.#recalling !== null) await this.#recalling;
      const isLast = round === MAX_ROUNDS || !areAllReached;
      const { window } = this.#ledger;
      const said = this.#ledger.ask(ask, this.#terms.limit, Date.now(), isLast ? "some" : "not yet");
      if (this.#ledger.window !== window) this.#begun();
      if (said.kind === "recall") {
        areAllReached = await this.#recall(ask.terms.budgetId, said.holders);
        continue;
      }
      if (said.saves) this.#save(ask.holder);
      this.#tell(said.answer);
      return said.answer;
    }
  }

  async release(budgetId: BudgetId, holder: string): Promise<void> {
    this.#ledger.tick(Date.now());
    while (this.#recalling !== null) await this.#recalling;
    await this.#recall(budgetId, [holder]);
  }

  async close(holder: string, window: number, spent: number): Promise<void> {
    while (this.#recalling !== null) await this.#recalling;
    const isPast = this.#ledger.past.has(holder);
    if (!this.#ledger.close(holder, window, spent) && !isPast) return;
    if (!isPast) this.#saveBook();
    this.ctx.storage.kv.delete(HOLDER + holder);
  }

  async state(budgetId: BudgetId, period: Period): Promise<BudgetState> {
    const start = windowStart(period, Date.now());
    const { window, closed } = this.#ledger;
    if (window < start) return { window: start, used: 0, reserved: 0 };
    let used = closed[1];
    let reserved = 0;
    const holders = [...this.#ledger.holders];
    for (let at = 0; at < holders.length; at += AT_ONCE) {
      const asked = holders.slice(at, at + AT_ONCE).map(async ([name, { spent }]) => {
        const state = await within(RECALLED_WITHIN_MS, this.#holder(name).budgetState(budgetId)).catch(
          () => null,
        );
        const told = state?.window === window ? state : { spent, held: 0 };
        used += told.spent - told.held;
        reserved += told.held;
      });
      await Promise.all(asked);
    }
    return { window, used, reserved };
  }

  async forget(): Promise<void> {
    await this.ctx.storage.deleteAll();
    this.#ledger = new BookLedger();
    this.#told = [];
    this.#terms = null;
  }

  #recall(budgetId: BudgetId, holders: readonly string[]): Promise<boolean> {
    this.#recalling ??= this.#recallAll(budgetId, holders).finally(() => {
      this.#recalling = null;
    });
    return this.#recalling;
  }

  /** Whether all of them answered. */
  async #recallAll(budgetId: BudgetId, holders: readonly string[]): Promise<boolean> {
    let areAllReached = true;
    for (let at = 0; at < holders.length; at += AT_ONCE) {
      const asked = holders.slice(at, at + AT_ONCE).map(async (name) => {
        const { window } = this.#ledger;
        const version = this.#ledger.recall(name);
        if (version === null) return;
        try {
          const recall = { budgetId, window, version };
          const spent = await within(RECALLED_WITHIN_MS, this.#holder(name).recallBudget(recall));
          if (spent !== null && this.#ledger.recalled(name, window, version, spent)) this.#save(name);
        } catch {
          areAllReached = false;
        }
      });
      await Promise.all(asked);
    }
    return areAllReached;
  }

  #save(holder: string): void {
    const row = this.#ledger.saved(holder);
    if (row !== null) this.ctx.storage.kv.put(HOLDER + holder, row);
  }

  #saveBook(): void {
    const saved: SavedBook = { closed: this.#ledger.closed, told: this.#told };
    this.ctx.storage.kv.put(BOOK, saved);
  }

  /** A window has begun. */
  #begun(): void {
    this.#told = [];
    if (this.#ledger.past.size <= MAX_PAST) return;
    for (const name of this.#ledger.past) this.ctx.storage.kv.delete(HOLDER + name);
    this.#ledger.forgetPast();
  }

  #tell(answer: LeaseAnswer): void {
    const terms = this.#terms;
    if (terms === null || answer.window !== this.#ledger.window) return;
    const isNear = this.#ledger.spent >= terms.limit * THRESHOLD;
    if (isNear) this.#announce("threshold", terms);
    if (answer.kind === "exhausted") this.#announce("exceeded", terms);
  }

  #announce(news: BudgetNews, terms: BudgetTerms): void {
    if (this.#told.includes(news)) return;
    this.#told = [...this.#told, news];
    this.#saveBook();
    const { window } = this.#ledger;
    this.ctx.waitUntil(announce(this.env, news, { ...terms, window }));
  }

  #holder(name: string): {
    recallBudget(recall: Recall): Promise<number | null>;
    budgetState(budgetId: BudgetId): Promise<HolderState | null>;
  } {
    return this.env.SCOPED_TOKEN.get(objectIdFor(this.env.SCOPED_TOKEN, this.env.ENVIRONMENT, name));
  }
}
