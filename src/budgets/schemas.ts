import { z } from "zod";
import { atMostAsJson } from "../base/bounds.ts";
import { methodSchema, pathGlobSchema } from "../base/glob.ts";
import { idSchema } from "../base/ids.ts";
import { parseMoney, parseRate } from "./money.ts";
import { PERIODS } from "./period.ts";

export const MEASURES = ["calls", "bytes", "money"] as const;
export type Measure = (typeof MEASURES)[number];

const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const slugSchema = z.string().regex(SLUG, "must be a connection's slug");

const moneySchema = z
  .string()
  .max(20)
  .refine(
    (text) => parseMoney(text) !== null,
    'must be an amount such as "12.50", with at most 6 decimal places',
  );

const rateSchema = z
  .string()
  .max(40)
  .refine((text) => parseRate(text) !== null, 'must be a price such as "0.01" or "2.50 per 1M"');

const fieldSchema = z
  .string()
  .max(200)
  .regex(/^(?:body|query)\.[A-Za-z0-9_.[\]-]+$/, 'must be a field such as "body.amount" or "query.count"');

const answerPathSchema = z
  .string()
  .max(200)
  .regex(
    /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,7}$/,
    'must be members with dots between them, such as "usage.total_tokens"',
  );

/** A price: the first rule that covers a call holds. */
export const priceSchema = z
  .strictObject({
    connection: slugSchema.optional().describe("Left out: every connection that the budget is about."),
    methods: z.array(methodSchema).min(1).max(20).optional(),
    paths: z.array(pathGlobSchema).min(1).max(50).optional(),
    per_call: moneySchema.optional().describe("Each call costs this."),
    request: z
      .strictObject({ field: fieldSchema, per_unit: rateSchema })
      .optional()
      .describe("The call says how much it is about."),
    response: z
      .strictObject({
        fields: z.record(answerPathSchema, rateSchema).optional(),
        models: z
          .record(z.string().min(1).max(100), z.record(z.string().max(40), rateSchema))
          .optional()
          .describe(
            "By model (`*` stands for anything) and unit, for providers whose usage the catalogue knows.",
          ),
      })
      .optional()
      .describe("The answer says how much it came to."),
    reserve: moneySchema
      .optional()
      .describe("With `response`: what a call is taken to cost until its answer has said."),
  })
  .superRefine((rule, context) => {
    const fault = (path: string, message: string): void => {
      context.addIssue({ code: "custom", path: [path], message });
    };
    const ways = [rule.per_call, rule.request, rule.response].filter((way) => way !== undefined);
    if (ways.length !== 1) fault("per_call", "must be given, or `request`, or `response`: one of them");
    const { response, reserve } = rule;
    if (response !== undefined) {
      if ((response.fields === undefined) === (response.models === undefined)) {
        fault("response", "must have `fields` or `models`");
      }
      if (reserve === undefined || parseMoney(reserve) === 0) {
        fault("reserve", "must say what a call may cost, more than 0: the answer comes after");
      }
    } else if (reserve !== undefined) {
      fault("reserve", "must be left out without `response`: the price is known before");
    }
  });
export type PriceInput = z.infer<typeof priceSchema>;

/** What it is about. With `token`, each token has a budget of its own, together with all that descends from it. */
export const budgetScopeSchema = z
  .strictObject({
    tenant: z.literal(true).optional(),
    token: z.literal(true).optional(),
    agent: idSchema("agent").optional(),
    connection: slugSchema.optional(),
  })
  .refine(
    ({ tenant, ...rest }) =>
      (tenant === undefined) === Object.values(rest).some((part) => part !== undefined),
    "must be `{tenant: true}`, or name an agent, a connection, or `token`",
  );
export type BudgetScope = Readonly<z.infer<typeof budgetScopeSchema>>;

const nameSchema = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/, "must be printable ASCII");
const countSchema = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const perCallSchema = z
  .int()
  .min(1)
  .max(1024 ** 4);
const pricesSchema = z
  .array(priceSchema)
  .min(1)
  .max(50)
  .refine(...atMostAsJson(16_384));

const common = {
  name: nameSchema,
  scope: budgetScopeSchema,
  period: z.enum(PERIODS),
  enabled: z.boolean().default(true),
};

export const budgetCreateSchema = z.discriminatedUnion("measure", [
  z.strictObject({ ...common, measure: z.literal("calls"), limit: countSchema }),
  z.strictObject({
    ...common,
    measure: z.literal("bytes"),
    limit: countSchema,
    max_bytes_per_call: perCallSchema
      .default(1024 * 1024)
      .describe("What a call is taken to come to, there and back, until it has ended."),
  }),
  z.strictObject({
    ...common,
    measure: z.literal("money"),
    limit: moneySchema,
    currency: z.string().regex(/^[A-Z]{3}$/, 'must be a currency such as "USD"'),
    prices: pricesSchema,
  }),
]);
export type BudgetCreate = z.infer<typeof budgetCreateSchema>;

/** `PATCH`: what is left out stays. What it is about, what it measures and its period stay for good. */
export const budgetPatchSchema = z
  .strictObject({
    name: nameSchema.optional(),
    limit: z.union([countSchema, moneySchema]).optional(),
    max_bytes_per_call: perCallSchema.optional(),
    prices: pricesSchema.optional(),
    enabled: z.boolean().optional(),
  })
  .refine((patch) => Object.keys(patch).length > 0, "must name what is to change");
export type BudgetPatch = z.infer<typeof budgetPatchSchema>;
