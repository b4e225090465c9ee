import { z } from "zod";

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
    }),
    errors: z
      .array(z.strictObject({ path: z.string(), message: z.string() }))
      .optional()
      .describe("What was wrong with which part of the input."),
    why: z.string().optional().describe("What to do next."),
  })
  .meta({ id: "Problem" });
