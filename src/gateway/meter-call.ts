import type { AppliedBudgets, Reservation } from "../budgets/budget-set.ts";
import { providers } from "../connections/providers.ts";
import { millionthsOf, millionthsOfNumber } from "../permissions/amount.ts";
import { parseBinding } from "../permissions/binding.ts";
import { CallFields } from "../permissions/read-field.ts";
import type { RequestView } from "../policies/request-view.ts";
import type { PolicyReads } from "../policies/verdict.ts";
import type { Route } from "./route.ts";

/** What is looked into by whoever decides, and by prices. */
export function readsWith(reads: PolicyReads, applied: AppliedBudgets | null): PolicyReads {
  if (applied === null) return reads;
  return { body: reads.body || applied.reads.body, query: reads.query || applied.reads.query };
}

/** What a call reserves of the budgets that apply to it. Throws BUDGET_EXCEEDED where it has no price. */
export function reservationOf(applied: AppliedBudgets, route: Route, view: RequestView): Reservation {
  const { slug, provider } = route;
  let fields: CallFields | null = null;
  return applied.reserve({
    connection: slug,
    method: view.method,
    path: view.path,
    size: view.size,
    usage: (provider === null ? undefined : providers.get(provider)?.usage) ?? null,
    number: (field) => {
      fields ??= new CallFields(view, {});
      return numberIn(fields, field);
    },
  });
}

/** The sum of a field's values; null where one of them is no number that can be counted exactly. */
function numberIn(fields: CallFields, field: string): number | null {
  const binding = parseBinding(field);
  const read = binding === null ? null : fields.read(binding);
  if (read?.kind !== "values" || read.isPartial) return null;
  let sum = 0;
  for (const value of read.values) {
    const amount =
      typeof value === "number"
        ? millionthsOfNumber(value)
        : typeof value === "string"
          ? millionthsOf(value)
          : null;
    if (amount === null) return null;
    sum += amount;
  }
  return sum / 1_000_000;
}
