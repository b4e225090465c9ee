import { BoundedCache } from "../base/cache.ts";
import type { Clock } from "../base/clock.ts";
import type { AgentId, TenantId, TokenId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Watermark } from "./changes.ts";

/** L: a lease's life, and so the time a change takes at most to hold everywhere. */
export const LEASE_MS = 5_000;
/** The longest life of a token, and an hour: no watermark is needed beyond. */
export const WATERMARK_LIFE_MS = 25 * 3_600_000;

export interface GateChange {
  readonly watermarks: readonly Watermark[];
  readonly frozen?: boolean;
}

export interface GateLease {
  readonly epoch: number;
  /** Goes up with everything the gate takes on: of two leases, the one with the higher version is the fresher. */
  readonly version: number;
  readonly frozen: boolean;
  /** `kind:key` → the epoch below which grants are refused. */
  readonly watermarks: Readonly<Record<string, number>>;
  /** Tokens revoked one by one within the last minute: what open streams look for. Calls ask the token's own object. */
  readonly revoked: readonly TokenId[];
  /**
   * By id (or `*`: every one) the agents of which more were revoked than are named: their tokens issued until then
   * (milliseconds since 1970) count as revoked.
   */
  readonly revokedUntil: Readonly<Record<string, number>>;
}

/** What the gate is told of a token that was revoked by itself. */
export interface RevokedToken {
  readonly tokenId: TokenId;
  readonly agentId: AgentId;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
}

/** From when a committed change holds everywhere. */
export interface Committed {
  /** On the gate's clock. */
  readonly effectiveAt: number;
  /** From the moment of the answer: what an isolate can rely on whose clock is another. */
  readonly effectiveInMs: number;
}

/** The tenant's gate as others call it (durable-objects/tenant-gate.ts). */
export interface GateObject {
  lease(tenantId: TenantId): Promise<GateLease>;
  /** From its answer on no lease is given until the change is committed or aborted. */
  prepare(tenantId: TenantId, changeId: string, change: GateChange): Promise<void>;
  /** Idempotent. */
  commit(changeId: string, change: GateChange, epoch: number): Promise<Committed>;
  abort(changeId: string): Promise<void>;
}

/** The part of the gate that is told of single tokens: no change, and no new epoch. */
export interface RevocationGate {
  /** Every lease given within the minute after this names the token. Idempotent. */
  noteRevoked(token: RevokedToken): Promise<void>;
}

export interface Lease extends GateLease {
  /** On this isolate's clock, counted from before it was asked for. */
  readonly askedAt: number;
}

const ASK_TIMEOUT_MS = 4_000;
/** An ask belongs to one request and may die with it: nobody else waits longer than this for it. */
const SHARED_WAIT_MS = 1_500;
const AGAIN_MS = 250;

/**
 * The isolate's leases. A lease is good for `LEASE_MS` from before it was asked for, and renewed in the background
 * from half of that on, so that a busy isolate never waits for one.
 */
export class Leases {
  readonly #held = new BoundedCache<TenantId, Lease>(10_000);
  readonly #asking = new Map<TenantId, { readonly askedAt: number; readonly answer: Promise<Lease> }>();
  /** When an open stream last asked for each tenant: where that failed, the next one asks a little later. */
  readonly #triedAt = new BoundedCache<TenantId, number>(10_000);
  readonly #gate: (tenantId: TenantId) => Pick<GateObject, "lease">;
  readonly #clock: Clock;

  constructor(dependencies: { gate: (tenantId: TenantId) => Pick<GateObject, "lease">; clock: Clock }) {
    this.#gate = dependencies.gate;
    this.#clock = dependencies.clock;
  }

  /** The lease at hand if it is still good; asks for the next one in the background when half of it is over. */
  current(tenantId: TenantId, waitUntil: (promise: Promise<unknown>) => void): Lease | null {
    const lease = this.#held.get(tenantId);
    if (lease === undefined) return null;
    if (!this.#isGood(lease)) return null;
    if (this.#clock() - lease.askedAt >= LEASE_MS / 2 && this.#patience(tenantId) === 0) {
      waitUntil(this.ask(tenantId, waitUntil).catch(() => undefined));
    }
    return lease;
  }

  /** The last lease held, good or not: for a decision that is checked against a fresh one before anything leaves. */
  last(tenantId: TenantId): Lease | null {
    return this.#held.get(tenantId) ?? null;
  }

  /**
   * A fresh lease, good when it arrives; one request at a time per tenant. Throws UNAVAILABLE where the gate does not
   * answer.
   */
  async ask(tenantId: TenantId, waitUntil: (promise: Promise<unknown>) => void): Promise<Lease> {
    const shared = this.#asking.get(tenantId);
    const patience = this.#patience(tenantId);
    if (shared !== undefined && patience > 0) {
      const lease = await answerWithin(patience, shared.answer);
      if (lease !== null && this.#isGood(lease)) return lease;
    }
    for (let attempt = 0; attempt < 2; attempt++) {
      const lease = await answerWithin(ASK_TIMEOUT_MS, this.#fly(tenantId, waitUntil));
      if (lease === null) break;
      if (this.#isGood(lease)) return lease;
    }
    // Nobody decides on the last lease and charges beside asking, while asking leads nowhere: that would burn uses.
    const held = this.#held.get(tenantId);
    if (held !== undefined && !this.#isGood(held)) this.#held.delete(tenantId);
    throw new Problem("UNAVAILABLE", "The tenant's configuration cannot be confirmed right now. Try again.", {
      headers: { "retry-after": "1" },
    });
  }

  /**
   * What an open stream is held against: a lease that was asked for less than half its life ago, the one at hand or
   * the next one, by `until` (on the clock). Null: none was to be had. However many streams ask, the gate is read
   * once per half of a lease's life.
   */
  async renewed(
    tenantId: TenantId,
    until: number,
    waitUntil: (promise: Promise<unknown>) => void,
  ): Promise<Lease | null> {
    for (;;) {
      const held = this.#held.get(tenantId);
      const now = this.#clock();
      if (held !== undefined && now >= held.askedAt && now - held.askedAt < LEASE_MS / 2) return held;
      if (now >= until) return null;
      const patience = this.#patience(tenantId);
      const shared = patience > 0 ? this.#asking.get(tenantId) : undefined;
      if (shared === undefined && Math.abs(now - (this.#triedAt.get(tenantId) ?? 0)) < AGAIN_MS) {
        await scheduler.wait(AGAIN_MS);
        continue;
      }
      if (shared === undefined) this.#triedAt.set(tenantId, now);
      const lease = await answerWithin(
        Math.min(until - now, shared === undefined ? ASK_TIMEOUT_MS : patience),
        shared?.answer ?? this.#fly(tenantId, waitUntil),
      );
      if (lease !== null && this.#isGood(lease)) return lease;
    }
  }

  /** How long to wait for the ask under way, in ms; 0: there is none, or it is taken for dead. */
  #patience(tenantId: TenantId): number {
    const asking = this.#asking.get(tenantId);
    if (asking === undefined) return 0;
    return Math.max(0, SHARED_WAIT_MS - Math.max(0, this.#clock() - asking.askedAt));
  }

  #isGood({ askedAt }: Lease): boolean {
    const age = this.#clock() - askedAt;
    return age >= 0 && age < LEASE_MS;
  }

  /** Asks on the current request; who comes meanwhile waits for this one. */
  #fly(tenantId: TenantId, waitUntil: (promise: Promise<unknown>) => void): Promise<Lease> {
    const answer = this.#ask(tenantId);
    const asking = { askedAt: this.#clock(), answer };
    this.#asking.set(tenantId, asking);
    const over = (): void => {
      if (this.#asking.get(tenantId) === asking) this.#asking.delete(tenantId);
    };
    waitUntil(Promise.race([answer.catch(() => undefined), scheduler.wait(ASK_TIMEOUT_MS)]).then(over));
    return answer;
  }

  async #ask(tenantId: TenantId): Promise<Lease> {
    const askedAt = this.#clock();
    const lease: Lease = { ...(await this.#gate(tenantId).lease(tenantId)), askedAt };
    const held = this.#held.get(tenantId);
    const keep =
      held !== undefined &&
      this.#isGood(held) &&
      (held.version > lease.version || (held.version === lease.version && held.askedAt > askedAt));
    if (!keep) this.#held.set(tenantId, lease);
    return lease;
  }
}

/** Null where it fails or takes longer. */
async function answerWithin(milliseconds: number, asking: Promise<Lease>): Promise<Lease | null> {
  const waiting = new AbortController();
  const late = scheduler.wait(milliseconds, { signal: waiting.signal }).then(() => null);
  try {
    return await Promise.race([asking, late]);
  } catch {
    return null;
  } finally {
    waiting.abort();
    late.catch(() => undefined);
  }
}
