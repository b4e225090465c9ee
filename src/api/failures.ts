import { Problem } from "../base/problem.ts";

const MAX_MESSAGE = 500;

/**
 * One line for the operator about a request that failed here: its id, the code and, where the failure was not foreseen,
 * the error's name and message. Never anything of the request. Null for refusals, which are the callers' own.
 */
export function failureLine(error: unknown, requestId: string): string | null {
  if (error instanceof Problem) {
    return error.status < 500 ? null : JSON.stringify({ request_id: requestId, code: error.code });
  }
  return JSON.stringify({ request_id: requestId, code: "INTERNAL", ...describe(error) });
}

function describe(error: unknown): { name: string; message?: string } {
  if (!(error instanceof Error)) return { name: typeof error };
  // drizzle's message repeats every parameter of the query, the database's own names columns only.
  if ("params" in error) return error.cause instanceof Error ? describe(error.cause) : { name: error.name };
  // A parser's message quotes its input.
  if (error instanceof SyntaxError) return { name: error.name };
  return { name: error.name, message: error.message.slice(0, MAX_MESSAGE) };
}
