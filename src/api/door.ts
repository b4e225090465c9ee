import type { Context, MiddlewareHandler } from "hono";
import { awayOrNull } from "../base/database-away.ts";
import { newId } from "../base/ids.ts";
import { renderOAuthError } from "../base/oauth-error.ts";
import { renderProblem, Problem } from "../base/problem.ts";
import { userAgentOf } from "../base/request.ts";
import type { Services } from "../services.ts";
import { RequestAuthentication } from "./authentication.ts";
import { clientAddress } from "./client-address.ts";
import type { ApiEnv } from "./context.ts";
import { failureLine } from "./failures.ts";
import { quotaHeaders } from "./rate-limits.ts";

/** Gives every request its id, and every answer the headers that keep it out of caches, sniffers and referrers. */
export const markAnswers: MiddlewareHandler<ApiEnv> = async (c, next) => {
  c.set("requestId", newId("request"));
  await next();
  const { headers } = c.res;
  headers.set("x-request-id", c.get("requestId"));
  headers.set("cache-control", "no-store");
  headers.set("x-content-type-options", "nosniff");
  headers.set("referrer-policy", "no-referrer");
  const taken = c.get("taken");
  if (taken === undefined) return;
  for (const [name, value] of Object.entries(quotaHeaders(taken))) headers.set(name, value);
};

/** Sets what routes see: the services, the request and who calls. Nobody is looked up until a route asks. */
export function openServices(makeServices: (c: Context<ApiEnv>) => Services): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const { headers } = c.req.raw;
    const { address, shared } = clientAddress(c.req.raw, c.env.CLIENT_ADDRESS);
    const request = {
      requestId: c.get("requestId"),
      ip: address,
      userAgent: userAgentOf(headers),
      sharedAddress: shared,
    };
    const services = makeServices(c);
    c.set("request", request);
    c.set("services", services);
    c.set("auth", new RequestAuthentication({ ...services, request, incoming: c.req.raw }));
    await next();
  };
}

/**
 * Answers what was thrown: a Problem as it is, a database that does not answer as UNAVAILABLE, anything else as
 * INTERNAL with its detail in the log only.
 */
export function answerFailure(error: unknown, c: Context<ApiEnv>): Response {
  const requestId = c.get("requestId");
  const line = failureLine(error, requestId);
  if (line !== null) console.error(line);
  const problem =
    error instanceof Problem
      ? error
      : (awayOrNull(error) ??
        new Problem(
          "INTERNAL",
          "This failed here, and it is not your doing. Name the request id when you report it.",
        ));
  if (c.get("refusals") === "oauth") return renderOAuthError(problem, requestId);
  return renderProblem(problem, requestId, c.req.raw.headers.get("accept"));
}
