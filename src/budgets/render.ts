import type { Budget } from "./budget.ts";
import { formatMoney } from "./money.ts";

/** An amount as the API has it: calls and bytes as numbers, money as decimals. */
export function renderAmount({ measure }: Pick<Budget, "measure">, amount: number): number | string {
  return measure === "money" ? formatMoney(amount) : amount;
}

export function renderBudget(budget: Budget) {
  return {
    id: budget.id,
    name: budget.name,
    scope: budget.scope,
    measure: budget.measure,
    limit: renderAmount(budget, budget.limit),
    currency: budget.currency,
    period: budget.period,
    max_bytes_per_call: budget.maxBytesPerCall,
    prices: budget.prices === null ? null : [...budget.prices],
    enabled: budget.enabled,
    created_at: new Date(budget.createdAt).toISOString(),
    updated_at: new Date(budget.updatedAt).toISOString(),
  };
}
