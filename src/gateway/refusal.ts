import { Problem, type ProblemCode, renderProblem } from "../base/problem.ts";

/** Codes after which the same call may well go through. */
const TRANSIENT = new Set<string>([
  "RATE_LIMITED",
  "CONCURRENCY_LIMITED",
  "INTERNAL",
  "UPSTREAM_FAILED",
  "UNAVAILABLE",
  "UPSTREAM_TIMEOUT",
] satisfies ProblemCode[]);

/**
 * What SDKs that repeat a 409 or 5xx by themselves look at first (OpenAI's and Anthropic's, Stripe's): to repeat an
 * UPSTREAM_REFUSED would carry the call out again, and to no end.
 */
const NO_RETRY_HEADERS = ["x-should-retry", "stripe-should-retry"];

/** The gateway's own refusal, which an SDK's user can tell from the provider's by `X-Valetkey-Error`. */
export function refusal(error: unknown, requestId: string, accept: string | null): Response {
  const problem =
    error instanceof Problem
      ? error
      : new Problem("INTERNAL", "Something went wrong in the gateway; the request id finds it in the log.");
  if (problem !== error) {
    const name = error instanceof Error ? error.name : "unknown";
    const at = error instanceof Error ? (error.stack?.split("\n")[1]?.trim() ?? "") : "";
    console.error(JSON.stringify({ at: "gateway.proxy", request_id: requestId, error: name, where: at }));
  }
  const response = renderProblem(problem, requestId, accept);
  response.headers.set("x-valetkey-error", problem.code);
  if (!TRANSIENT.has(problem.code)) {
    for (const name of NO_RETRY_HEADERS) response.headers.set(name, "false");
  }
  return response;
}
