import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import type { Database, Statement } from "../base/database.ts";
import { type AtEpoch, EpochCache } from "../base/epoch-cache.ts";
import { type BudgetId, newId, type TenantId, type TokenId } from "../base/ids.ts";
import { againIfOvertaken } from "../base/overtaken.ts";
import { decodeCursor, type Page, pageOf } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { AuditEvent } from "../audit/event.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { ChangeResult, TenantChanges } from "../identity/changes.ts";
import type { Budget } from "./budget.ts";
import { budgetEvent, describeBudget, describeChange } from "./budget-events.ts";
import {
  type BudgetRow,
  deleteRow,
  fromRow,
  getRow,
  insertRow,
  isOvertaken,
  isTaken,
  isTooMany,
  listRows,
  readBudgets,
  unlessChanged,
  unlessTooMany,
  updateRow,
} from "./budget-rows.ts";
import { BudgetSet } from "./budget-set.ts";
import type { BookObject, BudgetState, HolderState } from "./lease.ts";
import { parseMoney } from "./money.ts";
import { windowEnd, windowStart } from "./period.ts";
import type { BudgetCreate, BudgetPatch } from "./schemas.ts";

export interface BudgetsParts {
  readonly db: Database;
  readonly changes: TenantChanges;
  readonly book: (tenantId: TenantId, budgetId: BudgetId) => BookObject;
  /** By the id of a root token, whose object holds what all that descends from it has spent. */
  readonly holder: (tokenId: TokenId) => {
    budgetState(budgetId: BudgetId): Promise<HolderState | null>;
  };
  readonly clock: Clock;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

export interface ChangedBudget {
  readonly budget: Budget;
  readonly change: ChangeResult;
}

/** What came of a budget in its window; times in milliseconds since 1970. */
export interface BudgetStanding extends BudgetState {
  readonly budget: Budget;
  readonly refillsAt: number | null;
}

interface SomeToken {
  readonly tokenId: TokenId;
  readonly ancestors: readonly { readonly tokenId: TokenId }[];
}

/** Isolates keep all of a tenant's at hand, and go through them with every call. */
const MAX_BUDGETS = 100;

const atHand = new EpochCache<BudgetSet>(1_000);
const cursorSchema = z.tuple([z.string()]);

/** A tenant's budgets. One of another tenant is one that does not exist. */
export class Budgets {
  readonly #parts: BudgetsParts;

  constructor(parts: BudgetsParts) {
    this.#parts = parts;
  }

  /** For calls: those that are enabled as of `epoch` or later. Throws UNAVAILABLE as `EpochCache`. */
  async find(tenantId: TenantId, epoch: number): Promise<AtEpoch<BudgetSet>> {
    const { db, waitUntil } = this.#parts;
    const read = async (): Promise<AtEpoch<BudgetSet>> => {
      const { epoch: readAt, value } = await readBudgets(db, tenantId);
      return { epoch: readAt, value: value.length === 0 ? NONE : new BudgetSet(value) };
    };
    return atHand.get(tenantId, epoch, read, waitUntil);
  }

  /** Throws NOT_FOUND. */
  async get(tenantId: TenantId, id: BudgetId): Promise<Budget> {
    return fromRow(await getRow(this.#parts.db, tenantId, id));
  }

  /** By name. */
  async list(
    tenantId: TenantId,
    page: Page,
  ): Promise<{ readonly budgets: readonly Budget[]; readonly nextCursor: string | null }> {
    const after = page.cursor === undefined ? "" : decodeCursor(page.cursor, cursorSchema)[0];
    const rows = await listRows(this.#parts.db, tenantId, after, page.limit + 1);
    const { items, nextCursor } = pageOf(rows, page.limit, ({ name }) => [name]);
    return { budgets: items.map(fromRow), nextCursor };
  }

  /**
   * What is used and left: by a token of the tenant, and all that it shares its budgets with, where each has its own.
   * Throws NOT_FOUND, VALIDATION_ERROR where a token is to be named or must not be, and UNAVAILABLE.
   */
  async state(tenantId: TenantId, id: BudgetId, token: SomeToken | null): Promise<BudgetStanding> {
    const budget = await this.get(tenantId, id);
    const { period, scope } = budget;
    if ((scope.token === true) !== (token !== null)) {
      const must =
        scope.token === true ? "must name one: each token has this budget for itself" : "must be left out";
      throw new Problem("VALIDATION_ERROR", `\`token_id\` ${must}.`);
    }
    const state =
      token === null
        ? await this.#parts.book(tenantId, id).state(id, period).catch(away)
        : await this.#ofToken(budget, token.ancestors[0]?.tokenId ?? token.tokenId);
    return { ...state, budget, refillsAt: windowEnd(period, state.window) };
  }

  async #ofToken({ id, period }: Budget, rootId: TokenId): Promise<BudgetState> {
    const window = windowStart(period, this.#parts.clock());
    const state = await this.#parts.holder(rootId).budgetState(id).catch(away);
    if (state === null || state.window < window) return { window, used: 0, reserved: 0 };
    return { window: state.window, used: state.spent - state.held, reserved: state.held };
  }

  /** Throws CONFLICT where the name is taken, or where there are too many. */
  async create(caller: MemberCaller, input: BudgetCreate): Promise<ChangedBudget> {
    const now = this.#parts.clock();
    const { name, scope, measure, period, enabled } = input;
    const isMoney = input.measure === "money";
    const budget: Budget = {
      id: newId("budget"),
      ...{ name, scope, measure, period, enabled },
      limit: isMoney ? (parseMoney(input.limit) ?? 0) : input.limit,
      currency: isMoney ? input.currency : null,
      maxBytesPerCall: input.measure === "bytes" ? input.max_bytes_per_call : null,
      prices: isMoney ? input.prices : null,
      ...{ createdAt: now, updatedAt: now },
    };
    const { db } = this.#parts;
    const change = await this.#apply(
      caller,
      [insertRow(db, caller.tenantId, budget), unlessTooMany(db, caller.tenantId, MAX_BUDGETS)],
      budgetEvent(caller, now, "budget.created", budget, describeBudget(budget)),
    );
    return { budget, change };
  }

  /** Throws NOT_FOUND, VALIDATION_ERROR where it measures something else, and CONFLICT as `create`. */
  async update(caller: MemberCaller, id: BudgetId, patch: BudgetPatch): Promise<ChangedBudget> {
    return this.#changeRow(caller, id, (row, now) => {
      const before = fromRow(row);
      const budget = { ...patched(before, patch), updatedAt: Math.max(now, row.updatedAt + 1) };
      return {
        budget,
        statement: updateRow(this.#parts.db, row, budget),
        event: budgetEvent(caller, now, "budget.updated", budget, describeChange(before, budget)),
      };
    });
  }

  /** Throws NOT_FOUND. What was used of it is forgotten. */
  async remove(caller: MemberCaller, id: BudgetId): Promise<ChangeResult> {
    const { change } = await this.#changeRow(caller, id, (row, now) => {
      const budget = fromRow(row);
      return {
        budget,
        statement: deleteRow(this.#parts.db, row),
        event: budgetEvent(caller, now, "budget.deleted", budget, describeBudget(budget)),
      };
    });
    this.#parts.waitUntil(
      this.#parts
        .book(caller.tenantId, id)
        .forget()
        .catch(() => undefined),
    );
    return change;
  }

  /** Makes a change to the row as it was read; where someone was faster it is planned again. */
  async #changeRow(
    caller: MemberCaller,
    id: BudgetId,
    plan: (
      row: BudgetRow,
      now: number,
    ) => { readonly budget: Budget; readonly statement: Statement; readonly event: AuditEvent },
  ): Promise<ChangedBudget> {
    const { db, clock } = this.#parts;
    return againIfOvertaken("budget", isOvertaken, async () => {
      const row = await getRow(db, caller.tenantId, id);
      const { budget, statement, event } = plan(row, clock());
      const change = await this.#apply(caller, [unlessChanged(db, row), statement], event);
      return { budget, change };
    });
  }

  async #apply(
    { tenantId }: MemberCaller,
    statements: readonly Statement[],
    event: AuditEvent,
  ): Promise<ChangeResult> {
    try {
      return await this.#parts.changes.apply(tenantId, { statements, events: [event] });
    } catch (error) {
      if (isTaken(error)) throw new Problem("CONFLICT", "There is a budget of this name already.");
      if (isTooMany(error)) throw new Problem("CONFLICT", `A tenant has at most ${MAX_BUDGETS} budgets.`);
      throw error;
    }
  }
}

/** Most tenants'. */
const NONE = new BudgetSet([]);

function patched(budget: Budget, patch: BudgetPatch): Budget {
  const { name, limit, enabled, max_bytes_per_call: maxBytesPerCall, prices } = patch;
  const isMoney = budget.measure === "money";
  const fault = (path: string, message: string): never => {
    throw new Problem("VALIDATION_ERROR", "The request is not valid.", { errors: [{ path, message }] });
  };
  if (limit !== undefined && (typeof limit === "string") !== isMoney) {
    fault("limit", isMoney ? 'must be an amount such as "12.50"' : "must be a number");
  }
  if (prices !== undefined && !isMoney) fault("prices", "must be left out: it does not measure money");
  if (maxBytesPerCall !== undefined && budget.measure !== "bytes") {
    fault("max_bytes_per_call", "must be left out: it does not measure bytes");
  }
  return {
    ...budget,
    ...(name === undefined ? {} : { name }),
    ...(limit === undefined ? {} : { limit: typeof limit === "string" ? (parseMoney(limit) ?? 0) : limit }),
    ...(enabled === undefined ? {} : { enabled }),
    ...(maxBytesPerCall === undefined ? {} : { maxBytesPerCall }),
    ...(prices === undefined ? {} : { prices }),
  };
}

function away(cause: unknown): never {
  if (cause instanceof Problem) throw cause;
  throw new Problem("UNAVAILABLE", "What is left of the budget cannot be told right now. Try again.", {
    headers: { "retry-after": "2" },
    cause,
  });
}
