import { Problem } from "../base/problem.ts";
import type { Outgoing } from "../credentials/kind.ts";
import { type Deadline, DeadlinePassed } from "./deadline.ts";
import type { Route } from "./route.ts";

const DEFAULT_TIMEOUT_SECONDS = 120;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * Sends the request and waits for the response's headers. Redirects are never followed: they go back to the agent
 * (attacks 17–19, 21). Throws UPSTREAM_FAILED or UPSTREAM_TIMEOUT; causes stay inside, since they can name the URL.
 */
export async function forward(
  outgoing: Outgoing,
  body: ReadableStream | Uint8Array | null,
  route: Route,
  fetch: Fetch,
  deadline: Deadline,
): Promise<Response> {
  const { destination, limits } = route;
  const query = outgoing.query === "" ? "" : `?${outgoing.query}`;
  const url = `${destination.scheme}://${destination.authority}${destination.basePath}${outgoing.path}${query}`;
  const seconds = limits.timeout_seconds ?? DEFAULT_TIMEOUT_SECONDS;
  const { method, headers } = outgoing;
  try {
    // No signal: what is still under way when a call ends, the platform ends with it.
    const sent = fetch(url, { method, headers, body: body as BodyInit | null, redirect: "manual" });
    return await deadline.within(seconds * 1000, sent);
  } catch (cause) {
    const why = "The call may have been carried out: look before you repeat it.";
    if (cause instanceof DeadlinePassed) {
      throw new Problem("UPSTREAM_TIMEOUT", `The upstream sent no answer within ${seconds} s.`, {
        cause,
        why,
      });
    }
    throw new Problem(
      "UPSTREAM_FAILED",
      "The upstream could not be reached, or broke off before it answered.",
      {
        cause,
        why,
      },
    );
  }
}
