import { z } from "zod";
import { visibleText } from "../audit/clean.ts";
import { atMostAsJson } from "../base/bounds.ts";
import { MAX_CONDITION_BYTES } from "./condition-language.ts";
import { POLICY_EFFECTS, POLICY_SUBJECTS } from "./verdict.ts";

const MAX_STARS = 8;

/** One line that says what it says: nothing in it hides, reorders or breaks. */
const line = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((text) => visibleText(text, max) === text, "must be one line of visible characters");

export const policyNameSchema = line(100).describe("Unique among the tenant's policies.");

const slugGlobSchema = z
  .string()
  .regex(/^[a-z0-9*-]{1,63}$/, 'must be a connection\'s slug, or a glob such as "stripe-*"')
  .refine((glob) => glob.split("*").length <= MAX_STARS + 1, `must have at most ${MAX_STARS} of "*"`);

const conditionSchema = z
  .string()
  .min(1)
  .max(MAX_CONDITION_BYTES)
  .nullable()
  .describe("In CEL (docs/policies.md), checked when saved; null: always.");

const fields = {
  description: line(500).nullable().optional(),
  effect: z.enum(POLICY_EFFECTS).optional(),
  connections: z
    .array(slugGlobSchema)
    .max(50)
    .refine(...atMostAsJson(2_048))
    .optional()
    .describe(
      "Slugs, `*` for any run of characters; empty or left out: every connection. Of policies on calls.",
    ),
  condition: conditionSchema.optional(),
  approvals: z.int().min(1).max(5).optional().describe("How many people must agree. Of `require_approval`."),
  delay_seconds: z
    .int()
    .min(0)
    .max(86_400)
    .optional()
    .describe("From the last approval until it counts. Of `require_approval`."),
  message: line(500).nullable().optional().describe("What the agent is told."),
  enabled: z.boolean().optional(),
};

/** `POST /v1/policies`: with an effect and a condition, or of a template. */
export const policyCreateSchema = z
  .strictObject({
    name: policyNameSchema,
    on: z
      .enum(POLICY_SUBJECTS)
      .optional()
      .describe("What it is asked about: calls (left out), requests for tokens, requests for permissions."),
    ...fields,
    template: z.string().max(64).optional().describe("One of `GET /v1/policies/templates`."),
    parameters: z
      .record(z.string().max(64), z.unknown())
      .refine(...atMostAsJson(16_384))
      .optional()
      .describe("The template's."),
  })
  .superRefine((input, context) => {
    const fault = (name: string, message: string): void => {
      context.addIssue({ code: "custom", path: [name], message });
    };
    if (input.template === undefined) {
      if (input.effect === undefined) fault("effect", 'must be "allow", "deny" or "require_approval"');
      if (input.parameters !== undefined)
        fault("parameters", "must be left out where there is no `template`");
      return;
    }
    if (input.condition !== undefined) fault("condition", "must be left out where there is a `template`");
    if (input.on !== undefined && input.on !== "calls")
      fault("on", "must be left out: templates are on calls");
    if (input.effect === "allow")
      fault("effect", "cannot be `allow`: a template says what is not let through");
  });
export type PolicyCreate = z.infer<typeof policyCreateSchema>;

/** `PATCH`: what is left out stays as it is. What a policy is on stays for good. */
export const policyPatchSchema = z
  .strictObject({ name: policyNameSchema.optional(), ...fields })
  .refine((patch) => Object.keys(patch).length > 0, "must name what is to change");
export type PolicyPatch = z.infer<typeof policyPatchSchema>;

export const rollbackSchema = z.strictObject({
  version: z.int().min(1).describe("What it said then, it says again, as a new version."),
});
