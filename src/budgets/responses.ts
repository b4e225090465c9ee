import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { idSchema } from "../base/ids.ts";
import { PERIODS } from "./period.ts";
import { budgetScopeSchema, MEASURES, priceSchema } from "./schemas.ts";

const amountSchema = z
  .union([z.int(), z.string()])
  .describe("Calls or bytes; of money, a decimal such as `12.50`.");

/** A budget as it is configured. */
export const budgetSchema = z
  .strictObject({
    id: idSchema("budget"),
    name: z.string(),
    scope: budgetScopeSchema,
    measure: z.enum(MEASURES),
    limit: amountSchema,
    currency: z.string().nullable().describe("Of money."),
    period: z.enum(PERIODS).describe("Windows begin in UTC, a week's on Monday."),
    max_bytes_per_call: z.int().nullable().describe("Of bytes."),
    prices: z.array(priceSchema).nullable().describe("Of money."),
    enabled: z.boolean(),
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: "Budget" });

export const budgetListSchema = z.strictObject({
  budgets: z.array(budgetSchema),
  next_cursor: nextCursorSchema,
});

/** What came of a budget in the window around now. */
export const budgetStateSchema = z
  .strictObject({
    used: amountSchema.describe(
      "By calls that have ended, and by those of which it is not known what they came to.",
    ),
    reserved: amountSchema.describe("By calls that are under way."),
    left: amountSchema.describe("0 where calls came to more than they had reserved."),
    limit: amountSchema,
    began_at: timeSchema.nullable().describe("null: the window of `total`."),
    refills_at: timeSchema.nullable().describe("null: never."),
  })
  .meta({ id: "BudgetState" });
