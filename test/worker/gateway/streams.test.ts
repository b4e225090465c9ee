import { env } from "cloudflare:workers";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Cut } from "../../../src/gateway/open-streams.ts";
import { Deadline } from "../../../src/gateway/deadline.ts";
import { endedBy, OpenStream, type StreamParts } from "../../../src/gateway/open-streams.ts";
import { proxy } from "../../../src/gateway/proxy.ts";
import type { TenantId, TokenId } from "../../../src/base/ids.ts";
import { type GateLease, LEASE_MS, Leases } from "../../../src/identity/leases.ts";
import { createGateway } from "../../../src/call-path.ts";
import { hostsOf } from "../../../src/isolate.ts";
import type { Grant } from "../../../src/tokens/grant.ts";
import { CALLER_IP, createTenant, isolate, ORIGIN, type Tenant } from "../support/tenant.ts";

const bindings = env as Env;
const HALF = LEASE_MS / 2;
const TARGETS = { connection: "up", secrets: ["test/up/KEY"], classes: ["standard", "custom"] };

let tenant: Tenant;
let grant: Grant;
beforeEach(async () => {
  tenant = await createTenant();
  grant = await tenant.services.tokenUses.identify(await tenant.token());
});
afterEach(() => {
  vi.restoreAllMocks();
});

const gateOf = (tenantId: TenantId) => bindings.TENANT_GATE.get(bindings.TENANT_GATE.idFromName(tenantId));

/** One isolate's leases and streams, on a clock that the test moves; what the gate answers is real. */
function laboratory(answer: (real: () => Promise<GateLease>) => Promise<GateLease> = (real) => real()) {
  let offset = 0;
  const clock = () => Date.now() + offset;
  const context = createExecutionContext();
  const waitUntil = (promise: Promise<unknown>): void => context.waitUntil(promise);
  let reads = 0;
  const leases = new Leases({
    clock,
    gate: (tenantId) => ({
      lease: () => {
        reads++;
        return answer(() => gateOf(tenantId).lease(tenantId));
      },
    }),
  });
  const timers = new Map<OpenStream, { at: number; run: () => void }>();
  const cuts = new Map<OpenStream, string>();
  const open = (own: Partial<StreamParts> = {}): OpenStream => {
    const timer: { at: number; run: () => void } = { at: Number.POSITIVE_INFINITY, run: () => undefined };
    const stream = new OpenStream({
      ...{ kind: "body", grant, targets: TARGETS, limits: {}, leases, clock, waitUntil },
      deadline: { wakeAt: (at, run) => Object.assign(timer, { at, run }) },
      ...own,
    });
    timers.set(stream, timer);
    stream.onCut((cut: Cut) => cuts.set(stream, cut.code));
    return stream;
  };
  return {
    open,
    leases,
    waitUntil,
    reads: () => reads,
    cutOf: (stream: OpenStream) => cuts.get(stream),
    cuts: () => [...cuts.values()],
    /** Sets the clock back; timers go by the time that passes. */
    setBack(milliseconds: number): void {
      offset -= milliseconds;
      for (const timer of timers.values()) timer.at -= milliseconds;
    },
    /** Moves the clock on, and runs the timers that are due. */
    async pass(milliseconds: number): Promise<void> {
      offset += milliseconds;
      for (const timer of timers.values()) {
        if (timer.at > clock()) continue;
        timer.at = Number.POSITIVE_INFINITY;
        timer.run();
      }
      await scheduler.wait(100);
    },
  };
}

describe("attack 66: what open streams cost", () => {
  it("attack 66: 50 of a tenant read the gate at most once in L/2, beside the calls", async () => {
    const { open, leases, waitUntil, reads, cuts, pass } = laboratory();
    const streams: OpenStream[] = [];
    for (let n = 0; n < 50; n++) {
      streams.push(open());
      if (n % 10 === 0) await pass(100);
    }
    const before = reads();
    for (let half = 1; half <= 6; half++) {
      for (let part = 0; part < 5; part++) {
        await pass(HALF / 5);
        leases.current(tenant.tenantId, waitUntil);
      }
      expect(reads() - before).toBeGreaterThanOrEqual(half - 1);
      expect(reads() - before).toBeLessThanOrEqual(half + 1);
    }
    expect(cuts()).toEqual([]);
    for (const stream of streams) expect(stream.end()).toBeNull();
  });

  it("attack 66: a gate that does not answer is asked by one of them at a time", async () => {
    const { open, reads, cuts, pass } = laboratory(() => Promise.reject(new Error("gone")));
    for (let n = 0; n < 50; n++) open();
    await pass(HALF);
    await scheduler.wait(1_000);
    expect(reads()).toBeGreaterThan(1);
    expect(reads()).toBeLessThanOrEqual(6);
    expect(cuts()).toEqual([]);
  });

  it("the timer that a call has anyway serves for the first check", async () => {
    const timers = vi.spyOn(globalThis, "setTimeout");
    const deadline = new Deadline();
    await deadline.within(3_000, Promise.resolve());
    deadline.wakeAt(Date.now() + HALF, () => undefined);
    const delays = timers.mock.calls.map(([, delay]) => delay ?? 0);
    expect(delays.filter((delay) => delay > HALF - 100 && delay <= HALF)).toEqual([]);
    const sooner = Date.now() + 50;
    await new Promise<void>((resolve) => deadline.wakeAt(sooner, () => resolve()));
    expect(Date.now()).toBeGreaterThanOrEqual(sooner);
  });

  it("a call that ends within L/2 reads no lease", async () => {
    const token = await tenant.token();
    const where = isolate();
    const lease = vi.spyOn(Leases.prototype, "renewed");
    for (const length of [[], [["content-length", "3"]]]) {
      const { response, settled } = await callWith(
        token,
        where,
        () => new Response(streamOf("abc"), { headers: length as [string, string][] }),
      );
      expect(await response.text()).toBe("abc");
      await settled();
    }
    expect(lease).not.toHaveBeenCalled();
  });
});

/** A call through the door's own path to an upstream of the test's. */
async function callWith(token: string, where: Env, upstream: () => Response) {
  const context = createExecutionContext();
  const gateway = createGateway(where, "127.0.0.1:8787", (promise) => context.waitUntil(promise));
  const request = new Request(`${ORIGIN}/proxy/up/v1/x`, { headers: { authorization: `Bearer ${token}` } });
  const read = hostsOf(where).read(request.url);
  if (read === null) throw new Error("not a call");
  const client = { address: CALLER_IP, shared: false };
  const response = await proxy(request, read.target, read.addressed, client, {
    ...gateway,
    fetch: async () => upstream(),
  });
  return { response, settled: () => waitOnExecutionContext(context) };
}

function streamOf(text: string): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });
}

describe("attack 66: when a stream is cut", () => {
  it("attack 66: revoked by itself, at the next check, and no other token's", async () => {
    const { open, cutOf, pass } = laboratory();
    const other = await tenant.services.tokenUses.identify(await tenant.token());
    const [doomed, going] = [open(), open({ grant: other })];
    await pass(HALF);
    await tenant.services.tokens.revoke(tenant.admin, grant.tokenId);
    await pass(HALF - 200);
    await pass(200);
    expect([cutOf(doomed), cutOf(going)]).toEqual(["REVOKED_MIDWAY", undefined]);
    expect(doomed.end()).toBe("REVOKED_MIDWAY");
  });

  it("attack 66: revoked before its first check", async () => {
    const { open, leases, waitUntil, cutOf, pass } = laboratory();
    await leases.ask(tenant.tenantId, waitUntil);
    await pass(HALF - 100);
    const stream = open();
    await tenant.services.tokens.revoke(tenant.admin, grant.tokenId);
    await pass(HALF);
    expect(cutOf(stream)).toBe("REVOKED_MIDWAY");
  });

  it("attack 66: with a gate that cannot be reached, when its lease ends; a short absence costs nothing", async () => {
    let away = false;
    const { open, cutOf, pass } = laboratory((real) => (away ? Promise.reject(new Error("gone")) : real()));
    const stream = open();
    await pass(HALF);
    away = true;
    await pass(HALF);
    await scheduler.wait(600);
    away = false;
    await scheduler.wait(600);
    expect(cutOf(stream)).toBeUndefined();
    away = true;
    await pass(HALF);
    expect(cutOf(stream)).toBeUndefined();
    await scheduler.wait(HALF + 500);
    expect(cutOf(stream)).toBe("UNAVAILABLE");
  }, 15_000);

  it("attack 66: with a gate that never answers, too", async () => {
    const { open, cutOf, pass } = laboratory(() => new Promise(() => undefined));
    const stream = open();
    await pass(HALF);
    await scheduler.wait(HALF + 800);
    expect(cutOf(stream)).toBe("UNAVAILABLE");
  }, 15_000);

  it("attack 66: also where the clock was set back in between", async () => {
    const { open, cutOf, pass, setBack } = laboratory();
    const stream = open();
    await pass(HALF);
    await tenant.services.tokens.revoke(tenant.admin, grant.tokenId);
    setBack(3_600_000);
    await pass(HALF);
    expect(cutOf(stream)).toBe("REVOKED_MIDWAY");
  });

  it("never after its end", async () => {
    const { open, cuts, pass } = laboratory();
    const stream = open();
    expect(stream.end()).toBeNull();
    await tenant.services.tokens.revoke(tenant.admin, grant.tokenId);
    await pass(HALF);
    await pass(HALF);
    expect(cuts()).toEqual([]);
  });

  const lease: GateLease = {
    epoch: 9,
    version: 9,
    frozen: false,
    watermarks: {},
    revoked: [],
    revokedUntil: {},
  };

  it.each([
    ["its tenant frozen", () => ({ frozen: true }), "TENANT_FROZEN"],
    ["itself", () => ({ revoked: [grant.tokenId] }), "REVOKED_MIDWAY"],
    ["another token", () => ({ revoked: ["tok_other" as TokenId] }), null],
    [
      "too many of its agent's",
      () => ({ revokedUntil: { [grant.agentId]: grant.issuedAt } }),
      "REVOKED_MIDWAY",
    ],
    ["too many of every agent's", () => ({ revokedUntil: { "*": grant.issuedAt } }), "REVOKED_MIDWAY"],
    ["those issued before it", () => ({ revokedUntil: { [grant.agentId]: grant.issuedAt - 1 } }), null],
    ["too many of another agent's", () => ({ revokedUntil: { agt_other: grant.issuedAt } }), null],
    ["its agent", () => ({ watermarks: { [`agent:${grant.agentId}`]: 99 } }), "REVOKED_MIDWAY"],
    ["its connection", () => ({ watermarks: { "connection:up": 99 } }), "REVOKED_MIDWAY"],
    ["another connection", () => ({ watermarks: { "connection:up2": 99 } }), null],
    ["a secret it was sent with", () => ({ watermarks: { "secret:test/up/KEY": 99 } }), "REVOKED_MIDWAY"],
    ["that secret's tier", () => ({ watermarks: { "class:standard": 99 } }), "REVOKED_MIDWAY"],
    ["that secret's type", () => ({ watermarks: { "class:custom": 99 } }), "REVOKED_MIDWAY"],
    ["another class", () => ({ watermarks: { "class:critical": 99 } }), null],
    ["the tenant", () => ({ watermarks: { "tenant:*": 99 } }), "REVOKED_MIDWAY"],
    ["those issued before", () => ({ watermarks: { "tenant:*": grant.epoch } }), null],
  ] satisfies [string, () => Partial<GateLease>, string | null][])(
    "attack 66: by %s",
    (_what, parts, code) => {
      expect(endedBy({ ...lease, ...parts() }, grant, TARGETS)).toBe(code);
    },
  );
});

describe("what stands still", () => {
  it("is told by whom it waits for, and not while anything moves", async () => {
    const { open, cutOf, pass } = laboratory();
    const limits = { response_idle_seconds: 2, websocket_idle_seconds: 3 };
    const [silent, stuck, moving] = [open({ limits }), open({ limits }), open({ limits })];
    const socket = open({ limits, kind: "websocket" });
    stuck.moved("agent");
    for (let second = 0; second < 4; second++) {
      moving.moved("upstream");
      await pass(1_000);
    }
    expect([silent, stuck, moving, socket].map(cutOf)).toEqual([
      "UPSTREAM_IDLE",
      "AGENT_IDLE",
      undefined,
      "WEBSOCKET_IDLE",
    ]);
  });

  it("may stand still for 5 minutes, and a WebSocket for an hour, unless its connection says otherwise", async () => {
    const { open, cutOf, pass } = laboratory();
    const long = { ...grant, expiresAt: grant.expiresAt + 86_400_000 };
    const [body, socket] = [open(), open({ kind: "websocket", grant: long })];
    await pass(295_000);
    expect(cutOf(body)).toBeUndefined();
    await pass(6_000);
    expect(cutOf(body)).toBe("UPSTREAM_IDLE");
    await pass(3_290_000);
    expect(cutOf(socket)).toBeUndefined();
    await pass(11_000);
    expect(cutOf(socket)).toBe("WEBSOCKET_IDLE");
  });

  it("a WebSocket ends with its token, an answer does not", async () => {
    const { open, cutOf, pass } = laboratory();
    const limits = { response_idle_seconds: 3_600 };
    const [body, socket] = [open({ limits }), open({ kind: "websocket" })];
    await pass(595_000);
    expect(cutOf(socket)).toBeUndefined();
    await pass(6_000);
    expect([cutOf(body), cutOf(socket)]).toEqual([undefined, "TOKEN_EXPIRED"]);
  });
});
