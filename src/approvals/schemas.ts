import { z } from "zod";
import { pageSchema } from "../base/page.ts";

export const approvalStatusSchema = z.enum(["pending", "approved", "denied", "expired", "cancelled"]);

export const approvalListQuerySchema = pageSchema
  .extend({ status: approvalStatusSchema.optional() })
  .strict();

export const MAX_WAIT_SECONDS = 60;

const WAIT = `must be whole seconds from 0 to ${MAX_WAIT_SECONDS}, such as 30`;

export const approvalWaitQuerySchema = z.strictObject({
  wait: z
    .string()
    .regex(/^[0-9]{1,2}$/, WAIT)
    .transform(Number)
    .refine((seconds) => seconds <= MAX_WAIT_SECONDS, WAIT)
    .optional()
    .describe("Answer once it is decided, after so many seconds at most."),
});
