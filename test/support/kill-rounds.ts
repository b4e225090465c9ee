import { setTimeout as sleep } from "node:timers/promises";
import { startUpstream } from "../../local/upstream.ts";
import { startGateway } from "./gateway.ts";
import { createTenant, type IssuedToken, type TestTenant } from "./tenant.ts";

export interface KillReport {
  readonly rounds: number;
  /** Calls whose answer the agent has seen. */
  readonly acknowledged: number;
  /** Acknowledged calls without a line in the ledger. */
  readonly lost: number;
  /** Calls with more than one. */
  readonly doubled: number;
  /** Requests that reached the upstream without a line in the ledger. */
  readonly unrecorded: number;
  /** Uses that the tokens' objects count, and `connection.called` lines in the ledger: they must agree. */
  readonly uses: number;
  readonly called: number;
}

const CALLERS = 8;
const TOKENS = 3;

/** A generator of numbers in [0, 1) that a seed makes repeatable (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Kills the gateway with SIGKILL under load, again and again, and then holds every call that was acknowledged, and
 * every request that reached the upstream, against the ledger.
 */
export async function killRounds(
  rounds: number,
  seed: number,
  progress: (round: number) => void = () => undefined,
): Promise<KillReport> {
  const random = seeded(seed);
  const upstream = await startUpstream({ port: 0 });
  const gateway = await startGateway();
  try {
    const tenant = await createTenant(gateway);
    await tenant.connect("up", {
      base_url: upstream.url,
      credential: { kind: "bearer" },
      value: "kill-loop-credential-5d0c2b7a91",
    });
    const tokens = await Promise.all(
      Array.from({ length: TOKENS }, () => tenant.issue(["connections:call:up"], { ttl: "24h" })),
    );
    const acknowledged: string[] = [];
    for (let round = 0; round < rounds; round++) {
      const load = { stopped: false };
      const callers = Array.from({ length: CALLERS }, async (_, caller) => {
        const token = tokens[caller % TOKENS] as IssuedToken;
        while (!load.stopped) {
          const id = await requestId(gateway.url, token.token).catch(() => null);
          if (id !== null) acknowledged.push(id);
          else await sleep(5);
        }
      });
      await sleep(50 + random() * 400);
      await gateway.kill();
      load.stopped = true;
      await Promise.all(callers);
      await gateway.restart();
      progress(round + 1);
    }
    // A call each, so that every token's object is loaded and hands over what it finds.
    for (const { token } of tokens) {
      const id = await requestId(gateway.url, token);
      if (id !== null) acknowledged.push(id);
    }
    return await compare(tenant, tokens, acknowledged, rounds, upstream.requests.length);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
}

async function requestId(url: string, token: string): Promise<string | null> {
  const response = await fetch(`${url}/proxy/up/v1/x`, { headers: { authorization: `Bearer ${token}` } });
  await response.arrayBuffer();
  return response.status === 200 ? response.headers.get("x-request-id") : null;
}

async function compare(
  tenant: TestTenant,
  tokens: readonly IssuedToken[],
  acknowledged: readonly string[],
  rounds: number,
  reachedUpstream: number,
): Promise<KillReport> {
  const uses = (await Promise.all(tokens.map(({ tokenId }) => tenant.uses(tokenId)))).reduce(
    (a, b) => a + b,
    0,
  );
  let lines = new Map<string, number>();
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    lines = await calledLines(tenant);
    const missing = acknowledged.filter((id) => !lines.has(id)).length;
    if (missing === 0 && total(lines) >= uses) break;
    await sleep(300);
  }
  return {
    rounds,
    acknowledged: acknowledged.length,
    lost: acknowledged.filter((id) => !lines.has(id)).length,
    doubled: [...lines.values()].filter((count) => count > 1).length,
    unrecorded: Math.max(0, reachedUpstream - total(lines)),
    uses,
    called: total(lines),
  };
}

function total(lines: ReadonlyMap<string, number>): number {
  return [...lines.values()].reduce((sum, count) => sum + count, 0);
}

/** How often each request id stands in a `connection.called` line. */
async function calledLines(tenant: TestTenant): Promise<Map<string, number>> {
  const lines = new Map<string, number>();
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await tenant.admin.must("GET", `/v1/audit?event_type=connection.called&limit=1000${query}`);
    for (const event of page.events) {
      const id = String(event.context.request_id);
      lines.set(id, (lines.get(id) ?? 0) + 1);
    }
    cursor = page.next_cursor;
  } while (cursor !== null);
  return lines;
}
