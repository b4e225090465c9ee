import { z } from "zod";
import { canonicalAddress } from "../base/address.ts";
import { timeSchema } from "../base/answer-parts.ts";
import { methodSchema } from "../base/glob.ts";
import { policyCreateSchema, policyNameSchema } from "./schemas.ts";
import { POLICY_EFFECTS } from "./verdict.ts";

/** What is tried instead of what is in force. */
const draft = {
  policies: z
    .array(policyCreateSchema)
    .max(20)
    .default([])
    .describe("As they would be made: each beside what is in force, or instead of the one of the same name."),
  without: z
    .array(policyNameSchema)
    .max(500)
    .default([])
    .describe("Names of policies that would be deleted."),
};

const addressSchema = z
  .string()
  .max(64)
  .transform((text, context) => {
    const address = canonicalAddress(text);
    if (address !== null) return address;
    context.addIssue({ code: "custom", message: 'must be an address such as "192.0.2.7"' });
    return z.NEVER;
  });

/** A call that is not made. Conditions on what is left out cannot be decided. */
const exampleSchema = z
  .strictObject({
    method: methodSchema.default("GET"),
    url: z
      .string()
      .min(1)
      .max(16_384)
      .regex(/^(?:https?:\/\/[^/]+)?\/proxy\/[a-z0-9-]{1,63}(?:[/?]|$)/, "must be `/proxy/{connection}/…`")
      .describe("The gateway's, with the query: `/proxy/stripe/v1/refunds`."),
    headers: z.record(z.string().max(200), z.string().max(16_384)).default({}),
    body: z
      .string()
      .max(262_144)
      .optional()
      .describe("As text, read by its Content-Type as a call's is. Left out: there is none."),
    json: z.unknown().optional().describe("Or as JSON, which is sent as such."),
    agent: z.string().max(64).optional().describe("Its id."),
    scopes: z.array(z.string().max(1_024)).max(50).optional().describe("The token's, as are tool and user."),
    tool: z.string().max(200).optional(),
    user: z.string().max(200).optional(),
    ip: addressSchema.optional(),
    time: z.iso.datetime({ offset: true }).optional().describe("Left out: now."),
  })
  .refine(({ body, json }) => body === undefined || json === undefined, "must have `body` or `json`");
export type ExampleCall = z.output<typeof exampleSchema>;

/** `POST /v1/policies/test`. */
export const trialSchema = z.strictObject({ ...draft, calls: z.array(exampleSchema).min(1).max(50) });
export type Trial = z.output<typeof trialSchema>;

/** `POST /v1/policies/test/recorded`. */
export const recordedTrialSchema = z.strictObject({
  ...draft,
  last: z.int().min(1).max(200).default(100).describe("So many of the calls in the trail, the newest first."),
});
export type RecordedTrial = z.output<typeof recordedTrialSchema>;

const triedPolicySchema = z.strictObject({
  name: z.string(),
  version: z.int().nullable().describe("null: a draft."),
  effect: z.enum(POLICY_EFFECTS),
  outcome: z.enum(["matched", "error", "undecidable"]),
  error: z
    .string()
    .nullable()
    .describe("Why its condition could not be evaluated: such a policy denies or asks, and allows nothing."),
});

const outcomeSchema = z.strictObject({
  verdict: z
    .enum(["allow", "deny", "require_approval", "default", "undecidable"])
    .describe("`default`: no policy matched, so the connection's default holds."),
  approvals: z.int().nullable(),
  delay_seconds: z.int().nullable(),
  policies: z.array(triedPolicySchema).describe("What matched or could not tell; the first 20."),
});

/** What would become of each call, as far as policies are asked. */
export const trialResultSchema = z
  .strictObject({
    calls: z.array(
      z.strictObject({
        method: z.string(),
        connection: z.string(),
        path: z.string().nullable().describe("null: the trail has only a part of it."),
        at: timeSchema,
        event_id: z.string().nullable().describe("Its line in the trail; null: an example."),
        now: outcomeSchema,
        draft: outcomeSchema,
        changed: z.boolean().nullable().describe("null: cannot be told."),
      }),
    ),
    changed: z
      .int()
      .describe(
        "How many would be decided otherwise, with the connection's default where no policy matches.",
      ),
    undecidable: z.int().describe("Of how many that cannot be told."),
  })
  .meta({ id: "PolicyTrial" });
