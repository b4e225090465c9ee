import { z } from "zod";

/** How long an answer may be held back until people have decided. */
export const MAX_WAIT_SECONDS = 60;

const WAIT = `must be whole seconds from 0 to ${MAX_WAIT_SECONDS}, such as 30`;

/** `?wait=30`. */
export const waitQuerySchema = z.strictObject({
  wait: z
    .string()
    .regex(/^[0-9]{1,2}$/, WAIT)
    .transform(Number)
    .refine((seconds) => seconds <= MAX_WAIT_SECONDS, WAIT)
    .optional()
    .describe("Answer once people have answered, after so many seconds at most."),
});
