import { DurableObject } from "cloudflare:workers";
import { openDatabase } from "../src/base/database.ts";
import type { TenantId } from "../src/base/ids.ts";
import type {
  Committed,
  GateChange,
  GateLease,
  GateObject,
  RevocationGate,
  RevokedToken,
} from "../src/identity/leases.ts";
import { LEASE_MS, WATERMARK_LIFE_MS } from "../src/identity/leases.ts";
import { NO_REVOCATIONS, type RecentRevocations, toldAt, withRevoked } from "./recent-revocations.ts";

/** How long a lease request waits for a change under way before asking D1 what became of it. */
const CHANGE_WAIT_MS = 1_500;
/** After this a change that was never committed nor aborted cannot land any more (D1 ends a query after 30 s). */
const CHANGE_LIFE_MS = 60_000;
/** More watermarks of one kind than this become one for the whole tenant: the state is one value of at most 2 MB. */
const MAX_MARKS_OF_A_KIND = 1_000;
const WHOLE_TENANT = "tenant:*";

interface GateState {
  readonly epoch: number;
  /** How many changes were taken on, and revocations of single tokens. */
  readonly version: number;
  readonly frozen: boolean;
  /** At which epoch it was last frozen or unfrozen: an older change that arrives late does not undo that. */
  readonly frozenEpoch: number;
  readonly watermarks: Marks;
  readonly revocations: RecentRevocations;
}

/** `kind:key` → the epoch below which grants are refused, and when it was set. */
type Marks = Readonly<Record<string, readonly [epoch: number, at: number]>>;

const NOTHING: GateState = {
  epoch: 0,
  version: 0,
  frozen: false,
  frozenEpoch: 0,
  watermarks: {},
  revocations: NO_REVOCATIONS,
};

interface Prepared {
  readonly at: number;
  readonly change: GateChange;
}

/**
 * A tenant's epoch: the one writer that makes a change hold everywhere. While a change is being made no lease is
 * given; once it is committed, every lease given before has at most `LEASE_MS` to live.
 *
 * A change whose maker died between prepare and commit is settled by its id: its batch wrote that into D1, or never
 * landed. Commits may arrive twice and in any order: what a newer change has set stays.
 */
export class TenantGate extends DurableObject<Env> implements GateObject, RevocationGate {
  #state: GateState;
  readonly #prepared = new Map<string, Prepared>();
  #tenantId: TenantId | undefined;
  /** When the last lease may have been given; a predecessor of this instance may have given one until now. */
  #lastLeaseAt = Date.now();
  #waiters: (() => void)[] = [];

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { kv } = ctx.storage;
    this.#state = { ...NOTHING, ...kv.get<GateState>("state") };
    this.#tenantId = kv.get<TenantId>("tenant");
    for (const [key, prepared] of kv.list<Prepared>({ prefix: "change:" }))
      this.#prepared.set(key.slice(7), prepared);
  }

  async lease(tenantId: TenantId): Promise<GateLease> {
    if (this.#prepared.size > 0) await this.#settled();
    if (this.#state.epoch === 0 || this.#prepared.size > 0) await this.#reconcile(tenantId);
    this.#lastLeaseAt = Date.now();
    const { epoch, version, frozen, watermarks, revocations } = this.#state;
    return {
      epoch,
      version,
      frozen,
      watermarks: Object.fromEntries(Object.entries(watermarks).map(([key, [mark]]) => [key, mark])),
      ...toldAt(revocations, this.#lastLeaseAt),
    };
  }

  async noteRevoked(token: RevokedToken): Promise<void> {
    const revocations = withRevoked(this.#state.revocations, token, Date.now());
    this.#store({ ...this.#state, version: this.#state.version + 1, revocations });
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

  async commit(changeId: string, change: GateChange, epoch: number): Promise<Committed> {
    this.#apply(change, epoch);
    this.#forget(changeId);
    const effectiveAt = this.#lastLeaseAt + LEASE_MS;
    return { effectiveAt, effectiveInMs: Math.max(0, effectiveAt - Date.now()) };
  }

  async abort(changeId: string): Promise<void> {
    this.#forget(changeId);
  }

  #apply(change: GateChange, epoch: number): void {
    const now = Date.now();
    const marks = new Map(
      Object.entries(this.#state.watermarks).filter(([, [, at]]) => now - at < WATERMARK_LIFE_MS),
    );
    for (const { kind, key } of change.watermarks) raise(marks, `${kind}:${key}`, epoch, now);
    collapse(marks, now);
    const newer = change.frozen !== undefined && epoch >= this.#state.frozenEpoch;
    this.#store({
      epoch: Math.max(epoch, this.#state.epoch),
      version: this.#state.version + 1,
      frozen: newer ? change.frozen : this.#state.frozen,
      frozenEpoch: newer ? epoch : this.#state.frozenEpoch,
      watermarks: Object.fromEntries(marks),
      revocations: this.#state.revocations,
    });
  }

  /** Storage first: where that throws, memory is not ahead of it. */
  #store(state: GateState): void {
    this.ctx.storage.kv.put("state", state);
    this.#state = state;
  }

  #forget(changeId: string): void {
    this.ctx.storage.kv.delete(`change:${changeId}`);
    this.#prepared.delete(changeId);
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

  /** Takes the epoch from D1 and settles each open change: landed, it is taken on at its epoch. */
  async #reconcile(tenantId: TenantId): Promise<void> {
    const askedAt = Date.now();
    const ids = JSON.stringify([...this.#prepared.keys()]);
    const session = openDatabase(this.env).of(tenantId).onPrimary().$client;
    const [tenant, rows] = await session.batch<{ id: string; epoch: number }>([
      session.prepare("SELECT id, epoch FROM tenants WHERE id = ?").bind(tenantId),
      session
        .prepare(
          `SELECT id, epoch FROM gate_changes
           WHERE tenant_id = ? AND id IN (SELECT value FROM json_each(?)) ORDER BY epoch`,
        )
        .bind(tenantId, ids),
    ]);
    for (const { id, epoch } of rows?.results ?? []) {
      // Committed in the meantime: it is taken on already.
      const open = this.#prepared.get(id);
      if (open === undefined) continue;
      this.#apply(open.change, epoch);
      this.#forget(id);
    }
    for (const [changeId, { at }] of this.#prepared) {
      if (askedAt - at > CHANGE_LIFE_MS) this.#forget(changeId);
    }
    const epoch = tenant?.results[0]?.epoch ?? 0;
    if (epoch > this.#state.epoch) {
      this.#store({ ...this.#state, epoch, version: this.#state.version + 1 });
    }
  }
}

type OpenMarks = Map<string, Marks[string]>;

function raise(marks: OpenMarks, key: string, epoch: number, at: number): void {
  marks.set(key, [Math.max(epoch, marks.get(key)?.[0] ?? 0), at]);
}

/** Too many marks of a kind become one that every grant falls under: stricter, and safe. */
function collapse(marks: OpenMarks, now: number): void {
  const kinds = Map.groupBy(marks.keys(), (key) => key.slice(0, key.indexOf(":")));
  for (const keys of kinds.values()) {
    if (keys.length <= MAX_MARKS_OF_A_KIND) continue;
    for (const key of keys) {
      raise(marks, WHOLE_TENANT, marks.get(key)?.[0] ?? 0, now);
      marks.delete(key);
    }
  }
}
