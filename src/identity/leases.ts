import { BoundedCache } from "../base/cache.ts";
import type { Clock } from "../base/clock.ts";
import type { TenantId } from "../base/ids.ts";
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
  readonly frozen: boolean;
  /** `kind:key` → the epoch below which grants are refused. */
  readonly watermarks: Readonly<Record<string, number>>;
}

/** The tenant's gate as others call it (durable-objects/tenant-gate.ts). */
export interface GateObject {
  lease(tenantId: TenantId): Promise<GateLease>;
  /** From its answer on no lease is given until the change is committed or aborted. */
  prepare(tenantId: TenantId, changeId: string, change: GateChange): Promise<void>;
  /** Idempotent. */
  commit(changeId: string, change: GateChange, epoch: number): Promise<{ readonly effectiveAt: number }>;
  abort(changeId: string): Promise<void>;
}

export interface Lease extends GateLease {
  /** On this isolate's clock, counted from before it was asked for. */
  readonly askedAt: number;
}

const ASK_TIMEOUT_MS = 4_000;

/**
 * The isolate's leases. A lease is good for `LEASE_MS` from before it was asked for, and renewed in the background
 * from half of that on, so that a busy isolate never waits for one.
 */
export class Leases {
  readonly #held = new BoundedCache<TenantId, Lease>(10_000);
  readonly #asking = new Map<TenantId, Promise<Lease>>();
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
    const age = this.#clock() - lease.askedAt;
    if (age < 0 || age >= LEASE_MS) return null;
    if (age >= LEASE_MS / 2 && !this.#asking.has(tenantId)) {
      waitUntil(this.ask(tenantId, waitUntil).catch(() => undefined));
    }
    return lease;
  }

  /** The last lease held, good or not: for a decision that is checked against a fresh one before anything leaves. */
  last(tenantId: TenantId): Lease | null {
    return this.#held.get(tenantId) ?? null;
  }

  /** A fresh lease; one request at a time per tenant. Throws UNAVAILABLE where the gate does not answer. */
  async ask(tenantId: TenantId, waitUntil: (promise: Promise<unknown>) => void): Promise<Lease> {
    let asking = this.#asking.get(tenantId);
    if (asking === undefined) {
      asking = this.#ask(tenantId);
      this.#asking.set(tenantId, asking);
      const own = asking;
      waitUntil(
        own
          .catch(() => undefined)
          .then(() => {
            if (this.#asking.get(tenantId) === own) this.#asking.delete(tenantId);
          }),
      );
    }
    const lease = await Promise.race([asking, scheduler.wait(ASK_TIMEOUT_MS).then(() => null)]).catch(
      () => null,
    );
    if (lease !== null) return lease;
    if (this.#asking.get(tenantId) === asking) this.#asking.delete(tenantId);
    throw new Problem("UNAVAILABLE", "The tenant's configuration cannot be confirmed right now. Try again.", {
      headers: { "retry-after": "1" },
    });
  }

  async #ask(tenantId: TenantId): Promise<Lease> {
    const askedAt = this.#clock();
    const lease: Lease = { ...(await this.#gate(tenantId).lease(tenantId)), askedAt };
    const held = this.#held.get(tenantId);
    if (held === undefined || held.askedAt <= askedAt) this.#held.set(tenantId, lease);
    return lease;
  }
}
