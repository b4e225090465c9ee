import type { BoundedCache } from "./base/cache.ts";
import type { BudgetId, TenantId, TokenId } from "./base/ids.ts";
import { objectIdFor } from "./base/object-ids.ts";
import { bookName } from "./budgets/lease.ts";

// The Durable Objects that rooms speak to, each one found by whose it is.

export function gateOf(env: Env, tenantId: TenantId) {
  return env.TENANT_GATE.get(objectIdFor(env.TENANT_GATE, env.ENVIRONMENT, tenantId));
}

export function deskOf(env: Env, tenantId: TenantId) {
  return env.APPROVAL_DESK.get(objectIdFor(env.APPROVAL_DESK, env.ENVIRONMENT, tenantId));
}

export function notificationQueueOf(env: Env, tenantId: TenantId) {
  return env.NOTIFICATION_QUEUE.get(objectIdFor(env.NOTIFICATION_QUEUE, env.ENVIRONMENT, tenantId));
}

export function budgetBookOf(env: Env, tenantId: TenantId, budgetId: BudgetId) {
  return env.BUDGET_BOOK.get(objectIdFor(env.BUDGET_BOOK, env.ENVIRONMENT, bookName(tenantId, budgetId)));
}

export function callerQuotasOf(env: Env, tenantId: TenantId, actor: string) {
  return env.CALLER_QUOTAS.get(objectIdFor(env.CALLER_QUOTAS, env.ENVIRONMENT, `${tenantId} ${actor}`));
}

/** Its id is a hash of the token's: remembered in `ids`, since busy tokens come again. */
export function tokenObjectOf(env: Env, tokenId: TokenId, ids?: BoundedCache<TokenId, DurableObjectId>) {
  const known = ids?.get(tokenId);
  if (known !== undefined) return env.SCOPED_TOKEN.get(known);
  const id = objectIdFor(env.SCOPED_TOKEN, env.ENVIRONMENT, tokenId);
  ids?.set(tokenId, id);
  return env.SCOPED_TOKEN.get(id);
}
