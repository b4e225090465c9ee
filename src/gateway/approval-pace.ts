import { BoundedCache } from "../base/cache.ts";
import type { AgentId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";

/**
 * The desk is one object for a whole tenant: an agent that asks it without end would keep it from the others. Per isolate,
 * which is where such an agent's calls come together.
 */
const MOST = 200;
const WINDOW_MS = 10_000;

const asked = new BoundedCache<AgentId, { readonly since: number; count: number }>(10_000);

/** Throws RATE_LIMITED for an agent whose calls have had to ask for people's answers 200 times within 10 s. */
export function pace(agentId: AgentId, now: number): void {
  const known = asked.get(agentId);
  if (known === undefined || now - known.since >= WINDOW_MS || now < known.since) {
    asked.set(agentId, { since: now, count: 1 });
    return;
  }
  if (known.count < MOST) {
    known.count++;
    return;
  }
  const seconds = Math.ceil((known.since + WINDOW_MS - now) / 1_000);
  throw new Problem("RATE_LIMITED", "This agent asks for people's approval too often.", {
    headers: { "retry-after": String(seconds) },
    why: "Hold one call open with `X-Valetkey-Prefer: wait=60` rather than sending it again and again.",
  });
}
