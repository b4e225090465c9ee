import { DurableObject } from "cloudflare:workers";
import type { TenantId } from "../src/base/ids.ts";
import type { GateChange, GateLease, GateObject } from "../src/identity/leases.ts";
import { LEASE_MS, WATERMARK_LIFE_MS } from "../src/identity/leases.ts";

/** How long a lease request waits for a change under way before asking D1 what became of it. */
const CHANGE_WAIT_MS = 1_500;
/** After this a change that was never committed nor aborted cannot land any more (D1 ends a query after 30 s). */
const CHANGE_LIFE_MS = 60_000;

interface GateState {
  readonly epoch: number;
  readonly frozen: boolean;
  /** `kind:key` → the epoch below which grants are refused, and when it was set. */
  readonly watermarks: Readonly<Record<string, readonly [epoch: number, at: number]>>;
}

interface Prepared {
  readonly at: number;
  readonly change: GateChange;
}

/**
 * A tenant's epoch: the one writer that makes a change hold everywhere. While a change is being made no lease is
 * given; once it is committed, every lease given before has at most `LEASE_MS` to live.
 *
 * A change whose maker died between prepare and commit is settled by what D1 holds: if the epoch moved there, the
 * change's watermarks are applied.
 */
export class TenantGate extends DurableObject<Env> implements GateObject {
  #state: GateState;
  readonly #prepared = new Map<string, Prepared>();
  #tenantId: TenantId | undefined;
  /** When the last lease may have been given; a predecessor of this instance may have given one until now. */
  #lastLeaseAt = Date.now();
  #waiters: (() => void)[] = [];

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { kv } = ctx.storage;
    this.#state = kv.get<GateState>("state") ?? { epoch: 0, frozen: false, watermarks: {} };
    this.#tenantId = kv.get<TenantId>("tenant");
    for (const [key, prepared] of kv.list<Prepared>({ prefix: "change:" }))
      this.#prepared.set(key.slice(7), prepared);
  }

  async lease(tenantId: TenantId): Promise<GateLease> {
    if (this.#prepared.size > 0) await this.#settled();
    if (this.#state.epoch === 0 || this.#prepared.size > 0) await this.#reconcile(tenantId);
    this.#lastLeaseAt = Date.now();
    const { epoch, frozen, watermarks } = this.#state;
    return {
      epoch,
      frozen,
      watermarks: Object.fromEntries(Object.entries(watermarks).map(([key, [mark]]) => [key, mark])),
    };
  }

  async prepare(tenantId: TenantId, changeId: string, change: GateChange): Promise<void> {
    const { kv } = this.ctx.storage;
    if (this.#tenantId === undefined) {
      this.#tenantId = tenantId;
      kv.put("tenant", tenantId);
    }
    const prepared = { at: Date.now(), change };
    kv.put(`change:${changeId}`, prepared);
    this.#prepared.set(changeId, prepared);
  }

  async commit(
    changeId: string,
    change: GateChange,
    epoch: number,
  ): Promise<{ readonly effectiveAt: number }> {
    this.#apply([change], epoch);
    this.#forget(changeId);
    return { effectiveAt: this.#lastLeaseAt + LEASE_MS };
  }

  async abort(changeId: string): Promise<void> {
    this.#forget(changeId);
  }

  #apply(changes: readonly GateChange[], epoch: number): void {
    const now = Date.now();
    const watermarks = Object.fromEntries(
      Object.entries(this.#state.watermarks).filter(([, [, at]]) => now - at < WATERMARK_LIFE_MS),
    );
    let { frozen } = this.#state;
    for (const change of changes) {
      for (const { kind, key } of change.watermarks) watermarks[`${kind}:${key}`] = [epoch, now];
      frozen = change.frozen ?? frozen;
    }
    this.#state = { epoch: Math.max(epoch, this.#state.epoch), frozen, watermarks };
    this.ctx.storage.kv.put("state", this.#state);
  }

  #forget(changeId: string): void {
    this.#prepared.delete(changeId);
    this.ctx.storage.kv.delete(`change:${changeId}`);
    if (this.#prepared.size === 0) {
      for (const wake of this.#waiters.splice(0)) wake();
    }
  }

  /** Waits until no change is under way, at most `CHANGE_WAIT_MS` from the newest one's beginning. */
  async #settled(): Promise<void> {
    const newest = Math.max(...[...this.#prepared.values()].map(({ at }) => at));
    const left = newest + CHANGE_WAIT_MS - Date.now();
    if (left <= 0) return;
    await Promise.race([new Promise<void>((wake) => this.#waiters.push(wake)), scheduler.wait(left)]);
  }

  async #reconcile(tenantId: TenantId): Promise<void> {
    const session = this.env.DB.withSession("first-primary");
    const row = await session
      .prepare("SELECT epoch FROM tenants WHERE id = ?")
      .bind(tenantId)
      .first<{ epoch: number }>();
    const epoch = row?.epoch ?? 0;
    const open = [...this.#prepared];
    if (epoch > this.#state.epoch) {
      this.#apply(
        open.map(([, { change }]) => change),
        epoch,
      );
    }
    const now = Date.now();
    for (const [changeId, { at }] of open) {
      if (now - at > CHANGE_LIFE_MS) this.#forget(changeId);
    }
  }
}
