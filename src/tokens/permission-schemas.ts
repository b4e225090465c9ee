import { z } from "zod";
import { CONSTRAINT_KINDS } from "./permission.ts";

type Immutable<T> = T extends readonly (infer Item)[]
  ? readonly Immutable<Item>[]
  : T extends object
    ? { readonly [Member in keyof T]: Immutable<T[Member]> }
    : T;

/** What is said of one constraint, as it is shown. */
export const shownValueSchema = z.union([z.number(), z.string(), z.array(z.string())]);

/** By the names that an action gives its constraints. */
export const shownScopeSchema = z.record(z.string(), shownValueSchema);

/** The calls that a permission covers. */
export const shownCallsSchema = z.strictObject({
  connection: z.string(),
  methods: z.array(z.string()),
  paths: z.array(z.string()),
});

const boundConstraintSchema = z.strictObject({
  name: z.string(),
  kind: z.enum(CONSTRAINT_KINDS),
  field: z.string().nullable(),
  value: shownValueSchema,
  optional: z.literal(true).optional().describe("The field may be left out."),
  text: z.literal(true).optional().describe("Numbers stand in JSON in quotes."),
});

/** What people are shown of a permission: all of it, since that is what they approve. Kept as JSON with the request. */
export const permissionPayloadSchema = z
  .strictObject({
    action: z.string(),
    description: z.string().nullable(),
    resource: z.string().nullable(),
    scope: shownScopeSchema.describe("What would be granted: no more than was asked for."),
    requested_scope: shownScopeSchema,
    narrowed_fields: z
      .array(z.string())
      .describe("In what it is less: members of the scope, `ttl`, `max_uses`."),
    template: z.string().nullable(),
    ttl_seconds: z.int(),
    max_uses: z.int(),
    dpop_jkt: z.string().nullable().default(null).describe("The key that its token would be bound to."),
    calls: shownCallsSchema.nullable().describe("null: it is used outside of the gateway."),
    constraints: z.array(boundConstraintSchema).describe("What the gateway holds each call against."),
    context: z.record(z.string(), z.unknown()).describe("What the agent says of it."),
  })
  .meta({ id: "ApprovalOfPermission" });
export type PermissionPayload = Immutable<z.output<typeof permissionPayloadSchema>>;

/** What an approver grants instead of what was asked for, as it is kept with the vote; what is left out stays. */
export const grantedLessSchema = z
  .strictObject({
    scope: shownScopeSchema.optional(),
    ttl_seconds: z.int().optional(),
    max_uses: z.int().optional(),
  })
  .meta({ id: "GrantedLess" });
export type GrantedLess = Immutable<z.output<typeof grantedLessSchema>>;
