import type { BudgetId } from "../base/ids.ts";
import type { Period } from "./period.ts";
import type { BudgetScope, Measure, PriceInput } from "./schemas.ts";

/** A budget as it is configured. Times are milliseconds since 1970. */
export interface Budget {
  readonly id: BudgetId;
  readonly name: string;
  readonly scope: BudgetScope;
  readonly measure: Measure;
  /** Calls, bytes, or millionths of the currency. */
  readonly limit: number;
  /** Of money. */
  readonly currency: string | null;
  readonly period: Period;
  /** Of bytes: what a call is taken to come to until it has ended. */
  readonly maxBytesPerCall: number | null;
  /** Of money. */
  readonly prices: readonly PriceInput[] | null;
  readonly enabled: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
}
