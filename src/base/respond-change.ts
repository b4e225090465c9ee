import { systemClock, type Clock } from "./clock.ts";

const MAX_WAIT_MS = 6_000;

/** As much of a Hono context as it takes. */
interface Exchange {
  readonly req: { readonly raw: Request };
}

/**
 * Answers a change: `body` and `effective_at` (ISO 8601, from when no call anywhere is decided without the change); a
 * `body` of null is a 204 with the time in `X-Valetkey-Effective-At`. With `Prefer: wait` (RFC 7240 §4.3, in seconds if
 * a number is given) the answer comes when the change is effective, after 6 s at the latest; `Preference-Applied: wait`
 * says that it is.
 */
export async function respondChange(
  exchange: Exchange,
  body: Readonly<Record<string, unknown>> | null,
  result: { readonly effectiveAt: number },
  status = 200,
  clock: Clock = systemClock,
): Promise<Response> {
  const headers = new Headers();
  const patienceMs = preferredWaitMs(exchange.req.raw.headers.get("prefer"));
  if (patienceMs !== null) {
    const remainingMs = result.effectiveAt - clock();
    if (remainingMs > 0) await scheduler.wait(Math.min(remainingMs, patienceMs));
    if (remainingMs <= patienceMs) headers.set("preference-applied", "wait");
  }
  const effectiveAt = new Date(result.effectiveAt).toISOString();
  if (body === null) {
    headers.set("x-valetkey-effective-at", effectiveAt);
    return new Response(null, { status: 204, headers });
  }
  return Response.json({ ...body, effective_at: effectiveAt }, { status, headers });
}

function preferredWaitMs(prefer: string | null): number | null {
  for (const preference of (prefer ?? "").split(",")) {
    const wait = /^\s*wait\s*(?:=\s*"?(?<seconds>[0-9]{1,6})"?\s*)?(?:;.*)?$/i.exec(preference);
    if (wait === null) continue;
    const seconds = wait.groups?.["seconds"];
    return seconds === undefined ? MAX_WAIT_MS : Math.min(Number(seconds) * 1_000, MAX_WAIT_MS);
  }
  return null;
}
