import type { AgentId, BudgetId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Budget } from "./budget.ts";
import type { BudgetClaim } from "./claim.ts";
import { type AnswerPrice, type PricedCall, PriceRule } from "./price.ts";
import type { Found } from "./usage.ts";

/** What budgets look at of a call. */
export interface BudgetedCall extends PricedCall {
  /** Bytes of its body; null where that is not known before it has gone. */
  readonly size: number | null;
}

/** How a call ended. */
export interface CallEnd {
  readonly status: number;
  /** Bytes of the answer's body. */
  readonly bytes: number;
  /** Bytes that were counted on their way to the upstream: of a body whose length was not told, of a WebSocket. */
  readonly sent: number;
  /** It broke off: what it came to may be more than what was told. */
  readonly isWhole: boolean;
  readonly found: Found;
}

export type Costs = readonly (readonly [BudgetId, number])[];

/** What a call reserves, and what it came to. */
export interface Reservation {
  readonly claims: readonly BudgetClaim[];
  /** To be looked for in the answer; null: nothing. */
  readonly paths: readonly string[] | null;
  /** What is sent has to be counted where its length is not known before. */
  readonly countsSent: boolean;
  /** Once the call has ended; what is left out stays as reserved. */
  costs(end: CallEnd): Costs;
  /** Of a call that never left. */
  readonly nothing: Costs;
}

/** Whether a call has reserved all that it would reserve now, under limits no higher than they are now. */
export function isReserved(now: Reservation | null, then: Reservation | null): boolean {
  if (now === null) return true;
  return now.claims.every((claim) =>
    then?.claims.some(
      ({ budgetId, amount, limit }) =>
        budgetId === claim.budgetId && amount >= claim.amount && limit <= claim.limit,
    ),
  );
}

interface Settling {
  readonly claim: BudgetClaim;
  /** Null where the end does not tell. */
  cost(end: CallEnd): number | null;
}

interface Compiled {
  readonly budget: Budget;
  readonly prices: readonly PriceRule[];
}

/** The budgets of a tenant that are enabled, read once. Pure. */
export class BudgetSet {
  readonly #all: readonly Compiled[];

  constructor(budgets: readonly Budget[]) {
    this.#all = budgets.map((budget) => ({
      budget,
      prices: (budget.prices ?? []).map((rule) => new PriceRule(rule)),
    }));
  }

  /** Those that apply to an agent's calls through a connection; null: none do. */
  of(agentId: AgentId, connection: string): AppliedBudgets | null {
    const applied = this.#all.filter(({ budget, prices }) => {
      const { scope, measure } = budget;
      if (scope.agent !== undefined && scope.agent !== agentId) return false;
      if (scope.connection !== undefined && scope.connection !== connection) return false;
      // Money is about calls that something is known to cost.
      return measure !== "money" || prices.some((rule) => rule.isFor(connection));
    });
    return applied.length === 0 ? null : new AppliedBudgets(applied, connection);
  }
}

export class AppliedBudgets {
  readonly #applied: readonly Compiled[];
  /** A price depends on what stands in the call. */
  readonly reads: { readonly body: boolean; readonly query: boolean };
  /** A price depends on the method. */
  readonly mindsMethod: boolean;

  constructor(applied: readonly Compiled[], connection: string) {
    this.#applied = applied;
    const fields = applied.flatMap(({ prices }) =>
      prices.flatMap((rule) => (rule.isFor(connection) && rule.field !== null ? [rule.field] : [])),
    );
    this.mindsMethod = applied.some(({ prices }) =>
      prices.some((rule) => rule.isFor(connection) && rule.mindsMethod),
    );
    // A field of one place must not stand in the other as well.
    this.reads = { body: fields.length > 0, query: fields.length > 0 };
  }

  /** Throws BUDGET_EXCEEDED where a call has no price that can be told. */
  reserve(call: BudgetedCall): Reservation {
    const settling = this.#applied.map((compiled) => claimOf(compiled, call));
    const paths = new Set(settling.flatMap(({ answer }) => answer?.paths ?? []));
    const ends = settling.filter(({ claim }) => claim.settles);
    return {
      claims: settling.map(({ claim }) => claim),
      paths: paths.size === 0 ? null : [...paths],
      countsSent: this.#applied.some(({ budget }) => budget.measure === "bytes"),
      costs: (end) =>
        ends.flatMap(({ claim, cost }) => {
          const told = cost(end);
          return told === null ? [] : [[claim.budgetId, told] as const];
        }),
      nothing: ends.map(({ claim }) => [claim.budgetId, 0] as const),
    };
  }
}

function claimOf(compiled: Compiled, call: BudgetedCall): Settling & { readonly answer: AnswerPrice | null } {
  const { budget } = compiled;
  const { id: budgetId, name, period, limit, scope, updatedAt: version } = budget;
  const shared = scope.token !== true;
  const claim = { budgetId, name, period, limit, version, shared, returns: budget.measure !== "calls" };
  switch (budget.measure) {
    case "calls":
      return { claim: { ...claim, amount: 1, settles: false }, answer: null, cost: () => null };
    case "bytes": {
      const { size } = call;
      const amount = Math.max(budget.maxBytesPerCall ?? 0, size ?? 0);
      const cost = ({ bytes, sent, isWhole }: CallEnd): number | null => {
        const known = Math.max(size ?? 0, sent) + bytes;
        return isWhole ? known : Math.max(known, amount);
      };
      return { claim: { ...claim, amount, settles: true }, answer: null, cost };
    }
    case "money": {
      const { reserved, answer } = priceOf(compiled, call);
      const settles = answer !== null;
      const cost = (end: CallEnd): number | null => answerCost(answer, reserved, end);
      return { claim: { ...claim, amount: reserved, settles }, answer, cost };
    }
  }
}

function priceOf({ budget, prices }: Compiled, call: BudgetedCall) {
  const { id, name } = budget;
  const by = { budget_id: id, budget_name: name };
  const rule = prices.find((each) => each.covers(call));
  if (rule === undefined) {
    throw new Problem("BUDGET_EXCEEDED", `The budget "${name}" has no price for this call.`, {
      by,
      why: "An editor can add a price that covers it to the budget, if only of 0.",
    });
  }
  const price = rule.price(call);
  if (price !== null) return price;
  throw new Problem("BUDGET_EXCEEDED", `What this call costs of the budget "${name}" cannot be told.`, {
    by,
    why: `Its price goes by \`${rule.field}\`, which must be a number here.`,
  });
}

function answerCost(answer: AnswerPrice | null, reserved: number, end: CallEnd): number | null {
  const told = answer?.cost(end.found) ?? null;
  if (told === null) return end.isWhole && end.status >= 400 ? 0 : null;
  // What is billed for an answer that broke off may be more than it told until then.
  return end.isWhole ? told : Math.max(told, reserved);
}
