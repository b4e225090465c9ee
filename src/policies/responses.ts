import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { idSchema } from "../base/ids.ts";
import { POLICY_EFFECTS, POLICY_SUBJECTS } from "./verdict.ts";

const content = {
  name: z.string(),
  description: z.string().nullable(),
  effect: z.enum(POLICY_EFFECTS),
  on: z.enum(POLICY_SUBJECTS),
  connections: z.array(z.string()).describe("Empty: every connection."),
  condition: z.string().nullable().describe("null: always."),
  approvals: z.int().nullable().describe("null where nobody is asked."),
  delay_seconds: z.int().nullable(),
  message: z.string().nullable(),
  enabled: z.boolean(),
};

/** A policy as it is. */
export const policySchema = z
  .strictObject({
    id: idSchema("policy"),
    ...content,
    version: z.int(),
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: "Policy" });

export const policyListSchema = z.strictObject({
  policies: z.array(policySchema),
  next_cursor: nextCursorSchema,
});

export const policyVersionsSchema = z.strictObject({
  versions: z
    .array(
      z.strictObject({
        version: z.int(),
        policy: z.strictObject(content).nullable().describe("null: deleted with this version."),
        changed_by: z.string().describe("As the trail names them."),
        at: timeSchema,
      }),
    )
    .describe("The newest first."),
  next_cursor: nextCursorSchema,
});

export const templateListSchema = z.strictObject({
  templates: z.array(
    z.strictObject({
      id: z.string(),
      title: z.string(),
      description: z.string(),
      effect: z.enum(["deny", "require_approval"]).describe("Unless the policy says otherwise."),
      parameters: z.record(z.string(), z.unknown()).describe("JSON Schema."),
      example: z.record(z.string(), z.unknown()).describe("`parameters` that can be sent."),
    }),
  ),
});
