import { DurableObject } from "cloudflare:workers";
import { type DeliveryId, newId, type TenantId, type WebhookId } from "../src/base/ids.ts";
import type { Delivery, DeliveryPage, DeliveryQueue } from "../src/notifications/deliveries.ts";
import { cleanData } from "../src/notifications/message.ts";
import { concerns, type Notice, TEST_TYPE } from "../src/notifications/notice.ts";
import type { Receiver } from "../src/notifications/receivers.ts";
import { MAX_ATTEMPTS, pauseMs } from "../src/notifications/schedule.ts";
import type { Receipt } from "../src/notifications/sender.ts";
import { createNotifier, type Notifier } from "../src/notifier.ts";
import { DeliveryStore } from "./delivery-store.ts";
import { maskedText } from "./masked-text.ts";

/** Six requests wait for their answers at a time on Cloudflare's edge; one of them for each receiver. */
const AT_ONCE = 6;
/** So many of those for receivers that failed or took long the last time: the others are not held up. */
const SLOW_AT_ONCE = 3;
const SLOW_MS = 3_000;
/** A run that is cut off is taken up after this. */
const GUARD_MS = 60_000;
/** An alarm may run for 15 minutes: what is left then is the next one's. */
const RUN_MS = 10 * 60_000;
/** While receivers cannot be read. */
const AWAY_MS = 30_000;
const PRUNE_MS = 6 * 3_600_000;
const NOTICES_AT_ONCE = 50;

const NOTICE_ID = /^[\x21-\x7e]{1,200}$/;
const NOTICE_TYPE = /^[a-z]{1,20}\.[a-z_]{1,41}$/;

/**
 * What a tenant's receivers are to be told, and how far that has come; named by the tenant's id. A notice is kept before
 * `enqueue` returns, and told at least once: a try is counted before it leaves, and one whose outcome was lost in a crash
 * comes again as if it had failed. Alarms drive it, run one at a time, and find nothing due where they come twice.
 */
export class NotificationQueue extends DurableObject<Env> implements DeliveryQueue {
  readonly #store: DeliveryStore;
  #made: Notifier | undefined;
  #tenantId: TenantId | undefined;
  readonly #inFlight = new Map<WebhookId, Promise<void>>();
  readonly #slow = new Set<WebhookId>();
  /** As they were last read: what is to be told is read anew each time. */
  #receivers: readonly Receiver[] = [];
  #isRunning = false;
  #isWoken = false;
  #wake: () => void = () => undefined;
  #prunedAt = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new DeliveryStore(ctx.storage);
    this.#tenantId = ctx.storage.kv.get<TenantId>("tenant");
  }

  /** Made late: where a deployment lacks a key, notices are kept all the same. */
  get #notifier(): Notifier {
    this.#made ??= createNotifier(this.env, (promise) => this.ctx.waitUntil(promise));
    return this.#made;
  }

  async enqueue(notice: Notice): Promise<void> {
    if (!NOTICE_ID.test(notice.id) || !NOTICE_TYPE.test(notice.type)) return this.#drop("malformed");
    this.#isOf(notice.tenantId);
    const { id, type, at, data } = notice;
    const added = this.#store.add({ id, type, at, data: cleanData(data, maskedText) }, Date.now());
    if (added === "full") return this.#drop("full");
    if (added === "added") this.#runSoon();
  }

  async deliveries(query: Parameters<DeliveryQueue["deliveries"]>[0]): Promise<DeliveryPage> {
    return this.#store.list(query.webhookId, query.status, query.before, query.limit);
  }

  async replay(webhookId: WebhookId, deliveryId: DeliveryId): Promise<Delivery | null> {
    if (this.#store.find(webhookId, deliveryId) === null) return null;
    this.#store.restart(deliveryId, Date.now());
    this.#runSoon();
    return this.#store.find(webhookId, deliveryId);
  }

  async sendTest(tenantId: TenantId, webhookId: WebhookId): Promise<Delivery> {
    this.#isOf(tenantId);
    const now = Date.now();
    const data = { message: "This is a test. Nothing has happened." };
    const delivery = this.#store.addFor(
      webhookId,
      { id: newId("event"), type: TEST_TYPE, at: now, data },
      now,
    );
    this.#runSoon();
    return delivery;
  }

  async forget(webhookId: WebhookId): Promise<void> {
    this.#store.forget(webhookId);
  }

  /** Never throws: an alarm that fails six times is not called again. */
  override async alarm(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    let next: number | null = Date.now() + AWAY_MS;
    try {
      await this.ctx.storage.setAlarm(Date.now() + GUARD_MS);
      await this.#run(Date.now() + RUN_MS);
      next = this.#nextAlarm();
    } catch (error) {
      console.error(
        JSON.stringify({ at: "notification-queue", error: error instanceof Error ? error.name : "unknown" }),
      );
    }
    // In one turn: what comes from here on sets an alarm of its own.
    this.#isRunning = false;
    if (this.#isWoken) next = Date.now();
    void (next === null ? this.ctx.storage.deleteAlarm() : this.ctx.storage.setAlarm(next));
  }

  async #run(until: number): Promise<void> {
    try {
      for (;;) {
        this.#isWoken = false;
        await this.#startDue(until);
        if (this.#isWoken) continue;
        if (this.#inFlight.size === 0) return;
        await this.#somethingHappens();
      }
    } finally {
      await Promise.allSettled(this.#inFlight.values());
    }
  }

  /** A try has ended, something new has come, or something else is due. */
  #somethingHappens(): Promise<unknown> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#isWoken) return Promise.resolve();
    const due = this.#store.nextDue(this.#idle().map(({ id }) => id)) ?? Number.POSITIVE_INFINITY;
    const inMs = Math.max(due - Date.now(), 50);
    const timer = inMs < GUARD_MS / 2 ? [scheduler.wait(inMs)] : [];
    return Promise.race([...this.#inFlight.values(), woken, ...timer]);
  }

  #idle(): readonly Receiver[] {
    return this.#receivers.filter(({ id }) => !this.#inFlight.has(id) && this.#hasRoom(id));
  }

  #hasRoom(id: WebhookId): boolean {
    if (this.#inFlight.size >= AT_ONCE) return false;
    if (!this.#slow.has(id)) return true;
    return [...this.#inFlight.keys()].filter((one) => this.#slow.has(one)).length < SLOW_AT_ONCE;
  }

  /** Throws where the receivers cannot be read: nothing is lost, and nothing is sent. */
  async #startDue(until: number): Promise<void> {
    const tenantId = this.#tenantId;
    if (tenantId === undefined) return;
    for (;;) {
      const receivers = await this.#notifier.receivers(tenantId);
      this.#receivers = receivers;
      const notices = this.#store.waitingNotices(NOTICES_AT_ONCE);
      if (notices.length === 0) break;
      for (const notice of notices) {
        const told = receivers.filter((receiver) => receiver.enabled && concerns(receiver, notice));
        const ids = told.map(({ id }) => id);
        this.#store.spread(notice.id, ids, Date.now());
      }
    }
    this.#prune();
    for (const receiver of this.#receivers) {
      if (Date.now() >= until || this.#inFlight.has(receiver.id) || !this.#hasRoom(receiver.id)) continue;
      this.#startOne(tenantId, receiver);
    }
  }

  #startOne(tenantId: TenantId, receiver: Receiver): void {
    const now = Date.now();
    const due = this.#store.due(receiver.id, now);
    if (due === null) return;
    if (!receiver.enabled) {
      this.#store.endPending(receiver.id, "disabled", now);
      return;
    }
    const { delivery, notice } = due;
    const attempt = delivery.attempts + 1;
    if (attempt > MAX_ATTEMPTS) {
      this.#store.end(delivery.id, "dead", delivery.lastStatus, "interrupted", now);
      this.#isWoken = true;
      return;
    }
    this.#store.claim(delivery.id, attempt, now + (pauseMs(attempt, null, Math.random()) ?? GUARD_MS));
    const sent = this.#notifier.sender
      .send({ tenantId, deliveryId: delivery.id, attempt, notice }, receiver)
      .then((receipt) => this.#note(tenantId, delivery.id, attempt, receiver, receipt, now))
      .catch(() => console.error(JSON.stringify({ at: "notification-queue", error: "outcome not kept" })))
      .finally(() => this.#inFlight.delete(receiver.id));
    this.#inFlight.set(receiver.id, sent);
  }

  async #note(
    tenantId: TenantId,
    id: DeliveryId,
    attempt: number,
    receiver: Receiver,
    receipt: Receipt,
    startedAt: number,
  ): Promise<void> {
    const now = Date.now();
    if (receipt.kind === "delivered" && now - startedAt < SLOW_MS) this.#slow.delete(receiver.id);
    else this.#slow.add(receiver.id);
    switch (receipt.kind) {
      case "delivered":
        this.#store.end(id, "delivered", receipt.status, null, now);
        return;
      case "failed": {
        const pause = pauseMs(attempt, receipt.retryAfterSeconds, Math.random());
        if (pause === null) this.#store.end(id, "dead", receipt.status, receipt.reason, now);
        else this.#store.retry(id, now + pause, receipt.status, receipt.reason);
        return;
      }
      case "gone":
        this.#store.end(id, "dead", receipt.status, "gone", now);
        await this.#notifier.disableGone(tenantId, receiver.id);
        this.#store.endPending(receiver.id, "disabled", now);
    }
  }

  #prune(): void {
    const now = Date.now();
    if (now - this.#prunedAt < PRUNE_MS) return;
    this.#prunedAt = now;
    this.#store.prune(
      this.#receivers.map(({ id }) => id),
      now,
    );
  }

  /** When something is to be done next; null: never, unless something new comes. */
  #nextAlarm(): number | null {
    const now = Date.now();
    const due = this.#store.nextDue(this.#receivers.map(({ id }) => id));
    if (due === null && this.#store.isEmpty) return null;
    return Math.max(Math.min(due ?? Number.POSITIVE_INFINITY, now + PRUNE_MS), now);
  }

  /** A run that is under way looks again; else the alarm begins one at once. */
  #runSoon(): void {
    this.#isWoken = true;
    this.#wake();
    if (!this.#isRunning) void this.ctx.storage.setAlarm(Date.now());
  }

  #isOf(tenantId: TenantId): void {
    const own = this.#tenantId ?? this.ctx.id.name ?? tenantId;
    if (own !== tenantId || (this.ctx.id.name ?? own) !== tenantId)
      throw new Error("a queue is its tenant's alone");
    if (this.#tenantId === tenantId) return;
    this.#tenantId = tenantId;
    this.ctx.storage.kv.put("tenant", tenantId);
  }

  #drop(why: string): void {
    console.error(JSON.stringify({ at: "notification-queue.enqueue", dropped: why }));
  }
}
