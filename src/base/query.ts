import type { z } from "zod";
import { Problem } from "./problem.ts";
import { check } from "./request.ts";

/**
 * Checks the query parameters of a request against a schema of strings. Throws VALIDATION_ERROR, also for a parameter
 * given twice: of two readers of such a query each could believe another one (attack 29).
 */
export function readQuery<T>(request: Request, schema: z.ZodType<T>): T {
  const parameters = [...new URL(request.url).searchParams];
  const byName = new Map(parameters);
  if (byName.size < parameters.length) {
    throw new Problem("VALIDATION_ERROR", "Each query parameter may be given once.");
  }
  return check(schema, Object.fromEntries(byName));
}
