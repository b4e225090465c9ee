import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import type { BudgetId, TokenId } from "../../../src/base/ids.ts";
import type { Budget } from "../../../src/budgets/budget.ts";
import { bookName } from "../../../src/budgets/lease.ts";
import { budgetCreateSchema } from "../../../src/budgets/schemas.ts";
import { call, isolate, type Tenant } from "../support/tenant.ts";

const bindings = env as Env;

/** A budget that every isolate knows, made as the API makes it. */
export async function makeBudget(tenant: Tenant, input: Record<string, unknown>): Promise<Budget> {
  const { budget } = await tenant.services.budgets.create(
    tenant.admin,
    budgetCreateSchema.parse({ name: "the budget", period: "day", measure: "calls", ...input }),
  );
  return budget;
}

/** An isolate that has asked for nothing yet, and calls through it. */
export function freshCaller(path = "/proxy/up/v1/x") {
  const own = isolate();
  return async (token: string, init: RequestInit = {}): Promise<number> => {
    const { response } = await call(path, token, init, own);
    await response.text();
    return response.status;
  };
}

/** How often each status came, with so many calls of each token at the same time. */
export async function callAll(
  ask: (token: string) => Promise<number>,
  tokens: readonly string[],
  each: number,
): Promise<Record<number, number>> {
  const counted: Record<number, number> = {};
  const all = tokens.flatMap((token) => Array.from({ length: each }, () => ask(token)));
  for (const status of await Promise.all(all)) counted[status] = (counted[status] ?? 0) + 1;
  return counted;
}

export function tokensOf(tenant: Tenant, count: number): Promise<readonly string[]> {
  return Promise.all(Array.from({ length: count }, () => tenant.token()));
}

export function bookOf(tenant: Tenant, budgetId: BudgetId) {
  return bindings.BUDGET_BOOK.get(bindings.BUDGET_BOOK.idFromName(bookName(tenant.tenantId, budgetId)));
}

export function holderOf(tokenId: TokenId) {
  return bindings.SCOPED_TOKEN.get(bindings.SCOPED_TOKEN.idFromName(tokenId));
}

/** Ends an object as a crash does: what it has not stored is gone. */
export async function kill(stub: DurableObjectStub<undefined>): Promise<void> {
  await runInDurableObject(stub as never, (_instance, state: DurableObjectState) =>
    state.abort("killed by a test"),
  ).catch(() => undefined);
}
