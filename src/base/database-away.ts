import { Problem } from "./problem.ts";
import { FlightLate } from "./single-flight.ts";

/**
 * What a decision is refused with while the database does not answer. The operator is told the error's name and the
 * database's own words, never drizzle's, which repeat a query's parameters.
 */
export function databaseAway(cause: unknown): Problem {
  if (cause instanceof Problem) return cause;
  if (!(cause instanceof FlightLate)) console.error(JSON.stringify({ at: "database", ...describe(cause) }));
  return new Problem("UNAVAILABLE", "The configuration could not be read right now. Try again.", {
    headers: { "retry-after": "2" },
    cause,
  });
}

/** SQLite's codes for what is wrong with the query itself, which no waiting mends. */
const OWN_FAULT = /SQLITE_(?:CONSTRAINT|ERROR|MISMATCH|RANGE|TOOBIG|AUTH)/;

/** UNAVAILABLE where an error is the database's that does not answer; null for any other. */
export function awayOrNull(error: unknown): Problem | null {
  const origin = originOf(error);
  if (!(origin instanceof Error) || !/^(?:D1_ERROR|Network connection lost)/.test(origin.message))
    return null;
  if (OWN_FAULT.test(origin.message)) return null;
  return new Problem("UNAVAILABLE", "The database did not answer. Look at what holds, then try again.", {
    headers: { "retry-after": "2" },
    cause: error,
  });
}

/** Below drizzle's own error, whose message is the query and its parameters. */
function originOf(error: unknown): unknown {
  return error instanceof Error && "params" in error && error.cause !== undefined
    ? originOf(error.cause)
    : error;
}

function describe(error: unknown): { readonly error: string; readonly message?: string } {
  const origin = originOf(error);
  if (!(origin instanceof Error)) return { error: typeof origin };
  if ("params" in origin) return { error: origin.name };
  return { error: origin.name, message: origin.message.slice(0, 200) };
}
