import { DurableObject } from "cloudflare:workers";
import type { AuditEvent } from "../src/audit/event.ts";
import { inAllowlist } from "../src/base/address.ts";
import type { DeniedBy } from "../src/base/denied-by.ts";
import type { BudgetId, TenantId } from "../src/base/ids.ts";
import { objectIdFor } from "../src/base/object-ids.ts";
import { type BookObject, bookName, type HolderState, type Recall } from "../src/budgets/lease.ts";
import { type SavedShares, type ShareRefusal, Shares, type Short } from "../src/budgets/share.ts";
import type { SpendableProof } from "../src/identity/dpop/presented.ts";
import type {
  CallOutcome,
  ChargePreview,
  ChargeRequest,
  ChargeVerdict,
  Denied,
  EventDraft,
  PreviewRequest,
  TokenObject,
  TokenState,
} from "../src/tokens/charge.ts";
import { deniedBy } from "../src/tokens/denied-by.ts";
import { BudgetLeases } from "./budget-leases.ts";
import { announce } from "./budget-news.ts";
import { Children, type Counter, windowAfter } from "./children.ts";
import { Handover, type Sized } from "./handover.ts";
import { OpenCalls } from "./open-calls.ts";
import { type Denial, RepeatedDenials } from "./repeated-denials.ts";
import { SpentProofs } from "./spent-proofs.ts";
import { type Sums, Tallies } from "./tallies.ts";

/** A slot may be written over once acknowledged and this old: until then a repeated call id finds its verdict. */
const SLOT_REUSE_MS = 30_000;
/** More events than this that the ledger has not acknowledged: calls are refused. */
const MAX_UNACKNOWLEDGED = 4_096;
/** The same in characters of JSON. */
const MAX_UNACKNOWLEDGED_SIZE = 16_000_000;
const ALARM_MS = 5 * 60_000;
/** So often a charge asks for a slice of a shared budget: others may have used up what it got. */
const MAX_LEASES = 20;

/**
 * One row per use. The newest slot is the whole state, so that one write records the use, the event and the
 * acknowledgement of earlier events in one atomic step.
 */
interface Slot {
  readonly seq: number;
  readonly callId: string;
  readonly at: number;
  /** Charged uses so far, this one included (a denial's slot repeats the number). */
  readonly uses: number;
  /** The rate's current window: its start and the uses in it. */
  readonly window: readonly [start: number, count: number];
  /** The highest epoch a call was decided on. */
  readonly epoch: number;
  /** Events up to this sequence are in the ledger. */
  readonly acknowledged: number;
  /** When the alarm that was pending at this write goes off. */
  readonly alarmAt: number;
  readonly tenantId: string;
  readonly expiresAt: number;
  readonly event: AuditEvent;
  readonly verdict: ChargeVerdict;
  /** Of a token that is bound to a key: what proved it, which no other use may. */
  readonly proof?: SpendableProof;
  /** Of the children that it was a use of, the counters after it. */
  readonly line?: readonly Counter[];
  /** All sums of the token's permission, after it. */
  readonly sums?: Sums;
  /** All that is spent of budgets, after it. */
  readonly shares?: SavedShares;
}

/** A repeated call id must find its verdict, and a proof must not be forgotten while it is good. */
function keptUntil({ at, proof }: Slot): number {
  return Math.max(at + SLOT_REUSE_MS, proof?.expiresAt ?? 0);
}

function budgetDenial({ claim, refillsAt }: ShareRefusal, now: number): Denied {
  const { budgetId: id, name } = claim;
  const retryAfterSeconds = refillsAt === null ? null : Math.max(1, Math.ceil((refillsAt - now) / 1000));
  return { kind: "denied", reason: "budget", budget: { id, name }, refillsAt, retryAfterSeconds };
}

const EMPTY = {
  seq: 0,
  uses: 0,
  window: [0, 0] as readonly [number, number],
  epoch: 0,
  alarmAt: 0,
  tenantId: "",
  expiresAt: 0,
};

/**
 * A token's life: revoked, uses, rate, and the audit records not yet handed over. Checks and charges synchronously:
 * between reading the count and writing it there is no await, and the output gate holds the answer until the row is
 * durable. So a token with k uses is charged exactly k times under any concurrency, crash or retry.
 */
export class ScopedToken extends DurableObject<Env> implements TokenObject {
  #state: Omit<
    Slot,
    "callId" | "at" | "acknowledged" | "event" | "verdict" | "line" | "proof" | "sums" | "shares"
  > = EMPTY;
  #revoked: boolean;
  /** Oldest first: where each slot lies, and until when it must stay. */
  readonly #ring: { index: number; seq: number; keptUntil: number; callId: string }[] = [];
  readonly #recent = new Map<string, ChargeVerdict>();
  readonly #denials = new RepeatedDenials((denial, context, now) => this.#writeDenial(denial, context, now));
  readonly #open = new OpenCalls();
  readonly #tallies = new Tallies();
  readonly #shares = new Shares();
  readonly #leases = new BudgetLeases({
    shares: this.#shares,
    book: (tenantId, budgetId) => this.#book(tenantId, budgetId),
    announce: (news, about) => this.ctx.waitUntil(announce(this.env, news, about)),
  });
  readonly #children: Children;
  readonly #proofs: SpentProofs;
  readonly #handover: Handover;
  /** The newest use before this instance: of later ones memory knows what an outcome belongs to. */
  readonly #before: number;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const slots: { index: number; slot: Slot; size: number }[] = [];
    for (const [key, text] of ctx.storage.kv.list<string>({ prefix: "slot:" })) {
      slots.push({ index: Number(key.slice(5)), slot: JSON.parse(text) as Slot, size: text.length });
    }
    slots.sort((a, b) => a.slot.seq - b.slot.seq);
    const newest = slots.at(-1)?.slot;
    this.#before = newest?.seq ?? 0;
    this.#revoked = ctx.storage.kv.get<number>("revoked") !== undefined;
    this.#children = new Children(ctx.storage.kv);
    this.#proofs = new SpentProofs(ctx.storage.kv);
    this.#handover = new Handover({
      append: (events, redelivery) => this.#ledger().append({ events, redelivery }),
      recall: (seq) => (seq <= this.#before ? this.#recall(seq) : null),
      acknowledged: newest?.acknowledged ?? 0,
    });
    for (const { index, slot, size } of slots) {
      this.#ring.push({ index, seq: slot.seq, keptUntil: keptUntil(slot), callId: slot.callId });
      this.#recent.set(slot.callId, slot.verdict);
      if (slot.proof !== undefined) this.#proofs.add(slot.proof);
      this.#children.recover(slot.seq, slot.line);
      if (slot.seq > this.#handover.acknowledged) this.#handover.recover(slot.seq, slot.event, size);
    }
    if (newest !== undefined) this.#state = newest;
    this.#tallies.recover(newest?.sums);
    this.#shares.recover(newest?.shares);
  }

  get #tenantId(): TenantId {
    return this.#state.tenantId as TenantId;
  }

  #ledger() {
    return this.env.AUDIT_LEDGER.get(
      objectIdFor(this.env.AUDIT_LEDGER, this.env.ENVIRONMENT, this.#tenantId),
    );
  }

  #book(tenantId: TenantId, budgetId: BudgetId): BookObject {
    const { BUDGET_BOOK: books, ENVIRONMENT: environment } = this.env;
    return books.get(objectIdFor(books, environment, bookName(tenantId, budgetId)));
  }

  /** The event of a charged use, unless its slot has been used again. */
  #recall(seq: number): Sized | null {
    const place = this.#ring.find((slot) => slot.seq === seq);
    if (place === undefined) return null;
    const text = this.ctx.storage.kv.get<string>(`slot:${place.index}`);
    if (text === undefined) return null;
    const slot = JSON.parse(text) as Slot;
    if (slot.seq !== seq || slot.verdict.kind !== "allowed") return null;
    return { event: slot.event, size: text.length };
  }

  get #full(): boolean {
    return this.#handover.waiting >= MAX_UNACKNOWLEDGED || this.#handover.size >= MAX_UNACKNOWLEDGED_SIZE;
  }

  async charge(request: ChargeRequest): Promise<ChargeVerdict> {
    this.#settle(request.outcomes ?? []);
    const asking = { tenantId: request.tenantId as TenantId, holder: request.tokenId, epoch: request.epoch };
    for (let round = 0; round < MAX_LEASES; round++) {
      const verdict = this.#chargeNow(request);
      if (verdict.kind !== "short") return verdict;
      // Meanwhile others are charged, this very call by a repeated request among them: all is looked at again.
      if (!(await this.#leases.more(verdict.claim, asking))) break;
    }
    return { kind: "unrecorded" };
  }

  #chargeNow(request: ChargeRequest): ChargeVerdict | Short {
    const recorded = this.#recent.get(request.callId);
    if (recorded !== undefined) return recorded;
    if (request.epoch < this.#state.epoch) return { kind: "stale", epoch: this.#state.epoch };
    const now = Date.now();
    const denied = this.#check(request, now);
    if (denied?.kind === "denied") {
      this.#recordDenial(request, denied.reason, denied, deniedBy(denied));
      return denied;
    }
    const { proof } = request;
    if (this.#full || (proof !== undefined && this.#proofs.isFull(now))) return { kind: "unrecorded" };
    if (denied !== null) return denied;
    const seq = this.#state.seq + 1;
    const uses = this.#state.uses + 1;
    const line = request.line && this.#children.use(seq, request.line, now);
    const verdict: ChargeVerdict = { kind: "allowed", seq, uses: line?.at(-1)?.[1] ?? uses };
    const { window } = this.#state;
    this.#tallies.charge(request.tallies ?? []);
    const { budgets = [], tokenId } = request;
    this.#shares.reserve(tokenId, seq, budgets, now);
    this.#leases.tellNear(budgets, request.tenantId as TenantId, tokenId, now);
    const next = request.rate === null ? window : windowAfter(window, request.rate, now)[0];
    this.#write(
      request,
      { seq, uses, window: next, epoch: request.epoch },
      verdict,
      request.event,
      now,
      line,
    );
    if (request.concurrency !== undefined) this.#open.begin(seq, request.concurrency.connection, now);
    return verdict;
  }

  #check(request: PreviewRequest, now: number): Denied | Short | null {
    const below = request.line === undefined ? null : this.#children.refusal(request.line, now);
    if (this.#revoked || below?.reason === "revoked") return { kind: "denied", reason: "revoked" };
    if (request.expiresAt <= now || below?.reason === "expired") return { kind: "denied", reason: "expired" };
    if (
      request.ipAllowlist.length > 0 &&
      (request.ip === null || !inAllowlist(request.ip, request.ipAllowlist))
    ) {
      return { kind: "denied", reason: "address" };
    }
    if (request.proof !== undefined && this.#proofs.has(request.proof)) {
      return { kind: "denied", reason: "proof" };
    }
    const isUsedUp = request.maxUses !== null && this.#state.uses >= request.maxUses;
    if (isUsedUp || below?.reason === "uses") return { kind: "denied", reason: "uses" };
    const late = request.rate === null ? null : windowAfter(this.#state.window, request.rate, now)[1];
    if (late !== null || below?.reason === "rate") {
      const retryAfterSeconds = Math.max(late ?? 0, below?.reason === "rate" ? below.retryAfterSeconds : 0);
      return { kind: "denied", reason: "rate", retryAfterSeconds };
    }
    if (request.concurrency !== undefined) {
      const { connection, limit } = request.concurrency;
      if (this.#open.count(connection, now) >= limit) return { kind: "denied", reason: "concurrency" };
    }
    const key = request.tallies === undefined ? null : this.#tallies.refusal(request.tallies);
    if (key !== null) return { kind: "denied", reason: "tally", key };
    const refused = request.budgets === undefined ? null : this.#shares.refusal(request.budgets, now);
    if (refused?.kind !== "exceeded") return refused;
    this.#leases.tellExceeded(refused, request.tenantId as TenantId, request.tokenId);
    return budgetDenial(refused, now);
  }

  async preview(request: PreviewRequest): Promise<ChargePreview> {
    const { epoch, seq, uses } = this.#state;
    const line = request.line?.map(({ tokenId }) => tokenId) ?? [];
    const all = [uses, ...this.#children.uses(line)];
    if (request.epoch < epoch) return { verdict: { kind: "stale", epoch }, uses: all };
    const denied = this.#check(request, Date.now());
    if (denied?.kind === "denied") return { verdict: denied, uses: all };
    if (denied !== null && !(await this.#leases.isLeft(denied.claim, request.tenantId as TenantId)))
      return { verdict: budgetDenial(denied, Date.now()), uses: all };
    if (this.#full) return { verdict: { kind: "unrecorded" }, uses: all };
    return { verdict: { kind: "allowed", seq: seq + 1, uses: (all.at(-1) ?? 0) + 1 }, uses: all };
  }

  #write(
    request: {
      tokenId: string;
      tenantId: string;
      expiresAt: number;
      callId: string;
      proof?: SpendableProof;
    },
    next: Pick<Slot, "seq" | "uses" | "window" | "epoch">,
    verdict: ChargeVerdict,
    draft: EventDraft,
    now: number,
    line?: readonly Counter[],
  ): void {
    const { tenantId, expiresAt, callId, proof } = request;
    const event: AuditEvent = {
      ...draft,
      id: `${request.tokenId}.${next.seq}`,
      timestamp: new Date(now).toISOString(),
    };
    let alarmAt = this.#state.alarmAt;
    if (alarmAt <= now) {
      alarmAt = Math.min(Math.max(expiresAt, now + 1000), now + ALARM_MS);
      void this.ctx.storage.setAlarm(alarmAt);
    }
    this.#state = { ...next, alarmAt, tenantId, expiresAt };
    const index = this.#freeIndex(next.seq, now);
    const sums = this.#tallies.saved;
    const shares = this.#shares.saved(now);
    const slot: Slot = {
      ...this.#state,
      callId,
      at: now,
      acknowledged: this.#handover.acknowledged,
      event,
      verdict,
      ...(line === undefined ? {} : { line }),
      ...(proof === undefined ? {} : { proof }),
      ...(sums === undefined ? {} : { sums }),
      ...(shares === undefined ? {} : { shares }),
    };
    // As text, which costs less than having the object serialised.
    const text = JSON.stringify(slot);
    this.ctx.storage.kv.put(`slot:${index}`, text);
    this.#ring.push({ index, seq: next.seq, keptUntil: keptUntil(slot), callId });
    if (proof !== undefined) this.#proofs.add(proof);
    this.#recent.set(callId, verdict);
    this.#handover.add(next.seq, event, text.length, verdict.kind === "allowed");
  }

  #freeIndex(seq: number, now: number): number {
    const oldest = this.#ring[0];
    if (oldest === undefined || oldest.seq > this.#handover.acknowledged || now < oldest.keptUntil) {
      return this.#ring.length;
    }
    this.#children.beforeReuse(oldest.seq, seq, now);
    this.#ring.shift();
    this.#recent.delete(oldest.callId);
    return oldest.index;
  }

  async deny(
    tokenId: string,
    tenantId: string,
    expiresAt: number,
    reason: string,
    event: EventDraft,
    by?: DeniedBy,
  ): Promise<void> {
    this.#recordDenial(
      { tokenId, tenantId, expiresAt, event },
      reason,
      { kind: "denied", reason: "revoked" },
      by,
    );
  }

  #recordDenial(
    request: { tokenId: string; tenantId: string; expiresAt: number; event: EventDraft },
    reason: string,
    verdict: ChargeVerdict,
    by: DeniedBy | undefined,
  ): void {
    const { tokenId, tenantId, expiresAt, event } = request;
    this.#denials.add(reason, { tokenId, tenantId, expiresAt, event, verdict, by }, Date.now());
  }

  #writeDenial(denial: Denial, context: Readonly<Record<string, unknown>>, now: number): string | null {
    if (this.#full) return null;
    const { tokenId, event, verdict } = denial;
    const { uses, window, epoch } = this.#state;
    const seq = this.#state.seq + 1;
    const draft: EventDraft = {
      ...event,
      event_type: event.event_type === "connection.called" ? "connection.denied" : "token.denied",
      outcome: "denied",
      context: { ...event.context, ...context },
    };
    this.#write({ ...denial, callId: `denial:${seq}` }, { seq, uses, window, epoch }, verdict, draft, now);
    return `${tokenId}.${seq}`;
  }

  async settle(outcomes: readonly CallOutcome[]): Promise<void> {
    this.#settle(outcomes);
  }

  #settle(outcomes: readonly CallOutcome[]): void {
    const over: BudgetId[] = [];
    for (const outcome of outcomes) {
      if (!this.#open.end(outcome.seq)) continue;
      this.#handover.settle(outcome);
      if (outcome.costs !== undefined) over.push(...this.#shares.settle(outcome.seq, outcome.costs));
    }
    if (over.length === 0) return;
    this.#saveShares();
    this.ctx.waitUntil(this.#leases.tellBeyond(over, this.#tenantId, this.#shares.holder));
  }

  /** Calls that came to more than they reserved: unlike what comes back, that must not be forgotten. */
  #saveShares(): void {
    const newest = this.#ring.at(-1);
    const text = newest === undefined ? undefined : this.ctx.storage.kv.get<string>(`slot:${newest.index}`);
    if (newest === undefined || text === undefined) return;
    const { shares: _shares, ...slot } = JSON.parse(text) as Slot;
    const shares = this.#shares.saved(Date.now());
    const changed: Slot = { ...slot, ...(shares === undefined ? {} : { shares }) };
    this.ctx.storage.kv.put(`slot:${newest.index}`, JSON.stringify(changed));
  }

  async recallBudget({ budgetId, window, version }: Recall): Promise<number | null> {
    return this.#shares.recalled(budgetId, window, version);
  }

  async budgetState(budgetId: BudgetId): Promise<HolderState | null> {
    return this.#shares.state(budgetId);
  }

  async revoke(
    tenantId: string,
    expiresAt: number,
    child?: { readonly tokenId: string; readonly expiresAt: number },
  ): Promise<void> {
    if (this.#revoked) return;
    this.#state = { ...this.#state, tenantId, expiresAt };
    if (child !== undefined) {
      this.#children.revoke(child.tokenId, child.expiresAt, this.#state.seq, Date.now());
      return;
    }
    this.#revoked = true;
    this.ctx.storage.kv.put("revoked", Date.now());
    this.ctx.waitUntil(this.#leases.release(tenantId as TenantId, this.#shares.holder));
  }

  async spend(proof: SpendableProof): Promise<boolean> {
    return this.#proofs.spend(proof, Date.now());
  }

  async state(line: readonly string[] = []): Promise<TokenState> {
    if (line.length === 0) return { uses: this.#state.uses, revoked: this.#revoked };
    const { uses, revoked } = this.#children.state(line);
    return { uses, revoked: revoked || this.#revoked };
  }

  async close(): Promise<boolean> {
    this.#denials.tell(Date.now(), true);
    if (!(await this.#handover.flush()) || !(await this.#leases.close(this.#tenantId, this.#shares.holder)))
      return false;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    this.#shares.closed();
    // What is written from here on needs an alarm of its own.
    this.#state = { ...this.#state, alarmAt: 0 };
    return true;
  }

  /** Catches up after a crash. Runs at least once, maybe twice: the ledger keeps one of each event id. Never throws. */
  override async alarm(): Promise<void> {
    try {
      this.#denials.tell(Date.now(), true);
      if (this.#handover.waiting > 0) await this.ctx.storage.setAlarm(Date.now() + ALARM_MS);
      const [done] = await Promise.all([
        this.#handover.flush(),
        this.#leases.release(this.#tenantId, this.#shares.holder),
      ]);
      if (done && this.#state.expiresAt <= Date.now()) await this.close();
    } catch (error) {
      console.error(
        JSON.stringify({ at: "scoped-token.alarm", error: error instanceof Error ? error.name : "unknown" }),
      );
    }
  }
}
