import type { ArrivalLimits } from "../base/arrival.ts";
import { Problem } from "../base/problem.ts";
import { CEILINGS, DEFAULT_LIMITS } from "../connections/limits.ts";
import type { ConnectionLimits } from "../connections/schemas.ts";
import type { HeaderFields } from "./headers.ts";

/** Throws URL_TOO_LONG. Asked at both doors before anything reads the URL. */
export function checkUrl(url: string, most: number = CEILINGS.max_url_bytes): void {
  if (url.length <= most) return;
  throw new Problem("URL_TOO_LONG", `The URL has more than ${most} characters.`, {
    why: "Send what it says in the body, or in several requests.",
  });
}

/**
 * Throws HEADERS_TOO_LARGE. Lines of one name are one header here, as the platform joins them; their bytes count all
 * the same.
 */
export function checkHeaders(
  fields: Iterable<readonly [name: string, value: string]>,
  limits: ConnectionLimits = CEILINGS,
): void {
  const most = limits.max_headers ?? DEFAULT_LIMITS.max_headers;
  const mostBytes = limits.max_header_bytes ?? DEFAULT_LIMITS.max_header_bytes;
  if (isWithin(fields, most, mostBytes)) return;
  throw new Problem(
    "HEADERS_TOO_LARGE",
    `A request may have at most ${most} headers, and ${mostBytes} bytes of them.`,
    { why: "Leave out the headers that the call does not need." },
  );
}

/** Throws URL_TOO_LONG and HEADERS_TOO_LARGE for a call that is larger than its connection takes. */
export function checkCall(url: string, fields: HeaderFields, limits: ConnectionLimits): void {
  checkUrl(url, limits.max_url_bytes ?? DEFAULT_LIMITS.max_url_bytes);
  checkHeaders(fields, limits);
}

/** Throws UPSTREAM_REFUSED for an answer with more headers than the connection takes: each is searched and copied. */
export function checkAnswer(upstream: Response, limits: ConnectionLimits): void {
  const most = limits.max_response_headers ?? DEFAULT_LIMITS.max_response_headers;
  const mostBytes = limits.max_response_header_bytes ?? DEFAULT_LIMITS.max_response_header_bytes;
  if (isWithin(upstream.headers, most, mostBytes)) return;
  void upstream.body?.cancel().catch(() => undefined);
  throw new Problem(
    "UPSTREAM_REFUSED",
    `The upstream's answer has more than ${most} headers, or ${mostBytes} bytes of them.`,
    {
      why: "The call was carried out. An editor can raise `limits.max_response_headers` and `limits.max_response_header_bytes`.",
    },
  );
}

/** How long a request body may take: one that is read whole before it goes on, or one that streams past. */
export function arrivalOf(limits: ConnectionLimits, way: "whole" | "streamed"): ArrivalLimits {
  const usual = way === "whole" ? DEFAULT_LIMITS.whole_body_seconds : DEFAULT_LIMITS.body_seconds;
  return {
    idleMs: (limits.body_idle_seconds ?? DEFAULT_LIMITS.body_idle_seconds) * 1000,
    totalMs: (limits.body_seconds ?? usual) * 1000,
  };
}

function isWithin(
  fields: Iterable<readonly [name: string, value: string]>,
  most: number,
  mostBytes: number,
): boolean {
  let count = 0;
  let bytes = 0;
  for (const [name, value] of fields) {
    count++;
    bytes += name.length + value.length;
    if (count > most || bytes > mostBytes) return false;
  }
  return true;
}
