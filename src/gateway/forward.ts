import { Problem } from "../base/problem.ts";
import { readStream } from "../base/request.ts";
import { DEFAULT_LIMITS } from "../connections/limits.ts";
import type { Outgoing } from "../credentials/kind.ts";
import { type Deadline, DeadlinePassed } from "./deadline.ts";
import { arrivalOf, checkAnswer } from "./limits.ts";
import { type Passing, passOn } from "./limits-body.ts";
import type { Route } from "./route.ts";

/** A body of at most this many bytes is read before it goes on: cheaper than a stream, and late ones go nowhere. */
const WHOLE_BODY_BYTES = 64 * 1024;

/** What is sent as a body, and how many bytes it has where the client announced that. */
export interface Body {
  readonly content: ReadableStream | Uint8Array | null;
  readonly length: number | null;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * Sends the request and waits for the response's headers. Redirects are never followed: they go back to the agent
 * (attacks 17–19, 21). Throws UPSTREAM_FAILED or UPSTREAM_TIMEOUT; causes stay inside, since they can name the URL.
 * Throws BODY_TIMEOUT and what else ends the body on its way out, and UPSTREAM_REFUSED for an answer with too many
 * headers.
 */
export async function forward(
  outgoing: Outgoing,
  body: Body,
  route: Route,
  fetch: Fetch,
  deadline: Deadline,
): Promise<Response> {
  const { destination, limits } = route;
  const query = outgoing.query === "" ? "" : `?${outgoing.query}`;
  const url = `${destination.scheme}://${destination.authority}${destination.basePath}${outgoing.path}${query}`;
  const seconds = limits.timeout_seconds ?? DEFAULT_LIMITS.timeout_seconds;
  const { method, headers } = outgoing;
  try {
    const started = await startBody(body, route);
    const isStream = started !== null && "readable" in started;
    const content = isStream ? started.readable : started;
    const init = { method, headers, body: content as BodyInit | null, redirect: "manual" } as const;
    // No other signal: what is still under way when a call ends, the platform ends with it.
    const sent = fetch(url, isStream ? { ...init, signal: started.signal } : init);
    const answered = isStream ? Promise.race([sent, started.failed]) : sent;
    const upstream = await deadline.within(seconds * 1000, answered);
    checkAnswer(upstream, limits);
    return upstream;
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
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

/** Reads a small body, and starts to pass a large one on. */
async function startBody({ content, length }: Body, { limits }: Route): Promise<Passing | Uint8Array | null> {
  if (!(content instanceof ReadableStream)) return content;
  if (length !== null && length <= WHOLE_BODY_BYTES)
    return readStream(content, length, length, arrivalOf(limits, "whole"));
  return passOn(content, length, arrivalOf(limits, "streamed"));
}
