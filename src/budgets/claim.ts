import type { BudgetId } from "../base/ids.ts";
import type { Period } from "./period.ts";

/**
 * What one call reserves of one budget. Amounts are whole numbers below 2^53: calls, bytes, or millionths of a currency.
 */
export interface BudgetClaim {
  readonly budgetId: BudgetId;
  readonly name: string;
  /** Shared by several tokens, and kept in its book; else each token (with all that descends from it) has its own. */
  readonly shared: boolean;
  readonly period: Period;
  readonly limit: number;
  /** Another one with every change of the budget. */
  readonly version: number;
  /** What the call may come to; all of it is spent unless its end says less. */
  readonly amount: number;
  /** Its end will say what it came to. */
  readonly settles: boolean;
  /** Of the budget: what some calls reserve may come back. */
  readonly returns: boolean;
}
