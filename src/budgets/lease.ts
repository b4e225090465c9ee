import type { BudgetId, TenantId } from "../base/ids.ts";
import type { Period } from "./period.ts";

/**
 * How a token's object gets its part of a shared budget. Both sides speak of totals within a window, never of
 * differences: the holder of what it has spent, durably, and the book of what it has granted, durably. So a message may
 * come twice, late or not at all. What the book says of one holder carries versions that grow: a holder takes no older
 * word for a newer one, and the book takes no answer to a recall that it has granted after.
 */
export interface BudgetTerms {
  readonly budgetId: BudgetId;
  readonly tenantId: TenantId;
  readonly name: string;
  readonly period: Period;
  readonly limit: number;
  /** Of the configuration that these terms are from: newer ones hold. */
  readonly epoch: number;
  /** What a call reserves may come back, once it has ended. */
  readonly returns: boolean;
}

export interface LeaseAsk {
  readonly terms: BudgetTerms;
  /** The root token's id. */
  readonly holder: string;
  /** When the window began for which it asks. */
  readonly window: number;
  /** All that it has spent in that window. */
  readonly spent: number;
  /** The newest word of the book that it has. */
  readonly version: number;
  /** What must fit beyond, so that it is of use. */
  readonly need: number;
  /** What is waiting for it altogether. */
  readonly want: number;
}

export type LeaseAnswer =
  /** It may have spent so much altogether in the window, which may be a later one than it asked for. */
  | { readonly kind: "granted"; readonly window: number; readonly granted: number; readonly version: number }
  /** `final`: nothing of what others hold can come back within the window. */
  | { readonly kind: "exhausted"; readonly window: number; readonly final: boolean };

/** What the book asks of a holder: all that it has spent in a window. It gives back the rest at once. */
export interface Recall {
  readonly budgetId: BudgetId;
  readonly window: number;
  readonly version: number;
}

/** What a holder has spent; of that, `held` by calls under way that may come to less. */
export interface HolderState {
  readonly window: number;
  readonly spent: number;
  readonly held: number;
}

export interface BudgetState {
  readonly window: number;
  /** What calls came to that have ended, and what is not known. */
  readonly used: number;
  /** What calls under way have reserved. */
  readonly reserved: number;
}

/** The name of a shared budget's object. */
export function bookName(tenantId: TenantId, budgetId: BudgetId): string {
  return `${tenantId} ${budgetId}`;
}

/** The part of a budget's book that others call (durable-objects/budget-book.ts). */
export interface BookObject {
  lease(ask: LeaseAsk): Promise<LeaseAnswer>;
  /** Asks the holder to give back what it has not spent. */
  release(budgetId: BudgetId, holder: string): Promise<void>;
  /** The holder has ended: what it had spent in its window stays spent, and it is forgotten. */
  close(holder: string, window: number, spent: number): Promise<void>;
  /** What came of it in the window around now, asked of its holders. */
  state(budgetId: BudgetId, period: Period): Promise<BudgetState>;
  /** The budget is no more. */
  forget(): Promise<void>;
}
