import type { AuditEvent } from "../src/audit/event.ts";
import type { BudgetId, TenantId } from "../src/base/ids.ts";
import { objectIdFor } from "../src/base/object-ids.ts";
import { type Period, windowEnd } from "../src/budgets/period.ts";

export type BudgetNews = "threshold" | "exceeded";

export interface About {
  readonly tenantId: TenantId;
  readonly budgetId: BudgetId;
  readonly name: string;
  readonly limit: number;
  readonly period: Period;
  readonly window: number;
  /** Of a budget that each token has for itself. */
  readonly tokenId?: string;
}

/**
 * Tells the tenant's trail and its receivers, once per window: the id is made of what it is about, and both keep one of
 * each. Never throws; what gets lost is not told.
 */
export async function announce(
  env: Env,
  news: BudgetNews,
  { tenantId, budgetId, name, limit, period, window, tokenId }: About,
): Promise<void> {
  const refillsAt = windowEnd(period, window);
  const at = Date.now();
  const id = [budgetId, ...(tokenId === undefined ? [] : [tokenId]), window, news].join(".");
  const told = {
    budget_id: budgetId,
    name,
    limit,
    refills_at: refillsAt === null ? null : new Date(refillsAt).toISOString(),
    ...(tokenId === undefined ? {} : { token_id: tokenId }),
  };
  const event: AuditEvent = {
    ...{ id, event_type: `budget.${news}`, resource_type: "budget", resource: budgetId, actor: "system" },
    ...{ ip_address: null, user_agent: null, outcome: "success", context: told },
    timestamp: new Date(at).toISOString(),
  };
  const ledger = env.AUDIT_LEDGER.get(objectIdFor(env.AUDIT_LEDGER, env.ENVIRONMENT, tenantId));
  const queue = env.NOTIFICATION_QUEUE.get(objectIdFor(env.NOTIFICATION_QUEUE, env.ENVIRONMENT, tenantId));
  const all = await Promise.allSettled([
    ledger.append({ events: [event], redelivery: true }),
    queue.enqueue({ id, tenantId, type: event.event_type, at, data: told }),
  ]);
  if (all.some(({ status }) => status === "rejected")) {
    console.error(JSON.stringify({ at: "budget-news", news, budget: budgetId, error: "not told" }));
  }
}
