import { z } from "zod";
import { idSchema } from "./ids.ts";

/** The body of every refusal, as `renderProblem` writes it: RFC 9457 members and `error`. */
export const problemSchema = z
  .strictObject({
    type: z.string().describe("Identifies the error; nothing is served there."),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().describe("`urn:valetkey:request:{request_id}`"),
    request_id: z.string(),
    error: z.strictObject({
      code: z.string().describe("Stable: branch on it."),
      message: z.string(),
      approval_id: idSchema("approval").optional(),
    }),
    errors: z
      .array(
        z.strictObject({
          path: z.string(),
          message: z.string(),
          line: z.int().optional().describe("Where in a text, from 1."),
          column: z.int().optional(),
        }),
      )
      .optional()
      .describe("What was wrong with which part of the input."),
    why: z.string().optional().describe("What to do next."),
    budget: z
      .strictObject({ id: z.string(), name: z.string() })
      .optional()
      .describe("Of BUDGET_EXCEEDED: which one."),
    refills_at: z.string().nullable().optional().describe("Of BUDGET_EXCEEDED; null: never."),
    requires_approval: z.literal(true).optional().describe("Of APPROVAL_REQUIRED."),
    approval_id: idSchema("approval").optional(),
    status_url: z.string().optional().describe("Where the agent sees what became of it, with its key."),
    approval_url: z.string().optional().describe("Where people answer it."),
    approvals_needed: z.int().optional().describe("By so many people."),
    expires_at: z.string().optional().describe("Until then; a denial stands until then."),
    not_before: z
      .string()
      .nullable()
      .optional()
      .describe("Approved, it holds from then on. Null: not yet approved."),
  })
  .meta({ id: "Problem" });
