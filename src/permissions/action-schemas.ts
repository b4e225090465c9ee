import { z } from "zod";
import { visibleText } from "../audit/clean.ts";
import { atMostAsJson } from "../base/bounds.ts";
import { durationSchema } from "../base/duration.ts";
import { methodSchema, pathGlobSchema } from "../base/glob.ts";
import { slugSchema } from "../connections/schemas.ts";
import { CONSTRAINT_KINDS } from "../tokens/permission.ts";

/** Declared ones; `only_fields` follows from `calls.fields`. */
export const DECLARED_KINDS = CONSTRAINT_KINDS.filter((kind) => kind !== "only_fields");

const MAX_SECONDS = 86_400;
export const DEFAULT_TTL_SECONDS = 300;

/** One line that says what it says: nothing in it hides, reorders or breaks. */
const line = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((text) => visibleText(text, max) === text, "must be one line of visible characters");

export const actionNameSchema = z
  .string()
  .regex(
    /^[a-z][a-z0-9_-]{0,31}(?:\.[a-z0-9][a-z0-9_-]{0,31}){0,4}$/,
    'must be an action\'s name such as "payment.refund"',
  );

/** How a constraint, and so a member of a scope, is called. */
const memberNameSchema = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be a name such as "max_amount"');

export const templateNameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,63}$/, 'must be a name such as "small-refund"');

const visibleSchema = z
  .string()
  .max(500)
  .refine((text) => visibleText(text, 500) === text, "must have no characters that cannot be seen");

export const resourceSchema = visibleSchema.min(1);

const scopeValueSchema = z.union(
  [z.number(), visibleSchema, z.array(visibleSchema).max(100)],
  "must be a number, a text or a list of texts",
);

export const scopeSchema = z
  .record(memberNameSchema, scopeValueSchema)
  .refine(...atMostAsJson(8_192))
  .describe("By the names of the action's constraints.");

const ttlSchema = durationSchema({ minSeconds: 1, maxSeconds: MAX_SECONDS, example: "5m" });
const usesSchema = z.int().min(1).max(1_000_000);
const fieldSchema = z.string().min(1).max(210);

const callsSchema = z.strictObject({
  connection: slugSchema,
  methods: z.array(methodSchema).min(1).max(10),
  paths: z
    .array(pathGlobSchema)
    .min(1)
    .max(20)
    .describe("`{name}` stands for one segment, which `path.name` is then; `*` for anything."),
  fields: z
    .array(fieldSchema)
    .max(50)
    .nullable()
    .optional()
    .describe("The only outermost fields that a call has: `body.amount`, `query.expand`; left out: any."),
});

const constraintSchema = z.strictObject({
  kind: z.enum(DECLARED_KINDS),
  field: fieldSchema
    .optional()
    .describe("`body.amount`, `body.to[]`, `query.limit`, `path.id`, `header.x-name`, `details.amount`."),
  also: z.array(fieldSchema).max(10).optional().describe("Fields that it holds for wherever they are given."),
  required: z.boolean().optional().describe("Left out: it is."),
  default: scopeValueSchema.optional(),
  cap: scopeValueSchema.optional().describe("No permission goes beyond it."),
  as: z.literal("text").optional().describe("Numbers stand in JSON in quotes."),
  description: line(500).optional(),
});

const templateSchema = z.strictObject({
  description: line(500).optional(),
  scope: scopeSchema,
  ttl: ttlSchema.optional(),
  max_uses: usesSchema.optional(),
});

const fields = {
  description: line(500).nullable().optional(),
  calls: callsSchema.nullable().describe("Which calls it covers; null: it is used outside of the gateway."),
  constraints: z
    .record(memberNameSchema, constraintSchema)
    .refine((all) => Object.keys(all).length <= 20, "must be at most 20")
    .refine(...atMostAsJson(16_384))
    .optional(),
  resource_field: fieldSchema
    .nullable()
    .optional()
    .describe("The field that must be the permission's `resource`."),
  default_ttl: ttlSchema.optional().describe("Left out: `5m`."),
  max_ttl: ttlSchema.optional().describe("Left out: `1h`."),
  max_uses: usesSchema.optional().describe("How many uses a permission may have; left out: 1."),
  approvals: z
    .int()
    .min(0)
    .max(5)
    .optional()
    .describe("How many people must agree; 0: nobody where a policy allows it, else one. Left out: 1."),
  templates: z
    .record(templateNameSchema, templateSchema)
    .refine((all) => Object.keys(all).length <= 20, "must be at most 20")
    .refine(...atMostAsJson(16_384))
    .optional()
    .describe("Scopes with a name, for requests to ask for."),
};

export const actionCreateSchema = z.strictObject({ name: actionNameSchema, ...fields });
export type ActionCreate = z.infer<typeof actionCreateSchema>;

/** Each member that is given takes the place of what was. */
export const actionPatchSchema = z
  .strictObject({ ...fields, calls: fields.calls.optional() })
  .refine((patch) => Object.keys(patch).length > 0, "must change something");
export type ActionPatch = z.infer<typeof actionPatchSchema>;
