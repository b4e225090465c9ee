import { DurableObject } from "cloudflare:workers";
import { auditEventOf, noticeOf } from "../src/approvals/announce.ts";
import { whoMayAnswer } from "../src/approvals/approvers.ts";
import { type Act, asOf, type Case, isOpen, openCase, type Step, step } from "../src/approvals/case.ts";
import type {
  Answered,
  AskedCase,
  By,
  CaseQuery,
  Consumed,
  Decided,
  DeskObject,
  Standing,
  Vote,
} from "../src/approvals/desk.ts";
import { FEED_MEMBER } from "../src/approvals/feed.ts";
import { askedBy, grantedOf, isDecided, standingOf } from "../src/approvals/standing.ts";
import { AuditLog } from "../src/audit/audit.ts";
import { openDatabase } from "../src/base/database.ts";
import { type AgentId, type ApprovalId, type MemberId, newId, type TenantId } from "../src/base/ids.ts";
import { objectIdFor } from "../src/base/object-ids.ts";
import type { NoticeQueue } from "../src/notifications/notice.ts";
import type { SealedText } from "../src/vault/sealed-form.ts";
import { CaseStore, isForgettable } from "./case-store.ts";
import { DeskFeeds } from "./desk-feeds.ts";
import { DeskOutbox } from "./desk-outbox.ts";
import { DeskWaits } from "./desk-waits.ts";

/** An agent that asks for more waits for answers first. */
const MOST_OPEN = 20;
/** What is cancelled and asked for again makes work for people, and is kept: so many new ones an hour. */
const MOST_AN_HOUR = 120;
const HOUR_MS = 3_600_000;
const DUE_AT_ONCE = 200;
/** Where an alarm is over without a word of when the next is due, or fails. */
const ALARM_AGAIN_MS = 30_000;
const LONGEST_WAIT_MS = 60_000;

/**
 * The requests of one tenant that wait for people: their one writer. What becomes of them `case.ts` decides; here it is
 * written down, in one synchronous step with what is to be told of it, by the object's own clock. Alarms only do what
 * time has done anyway: nothing hangs on when one comes, whether it comes twice, or at all (attack 78).
 */
export class ApprovalDesk extends DurableObject<Env> implements DeskObject {
  readonly #cases: CaseStore;
  readonly #outbox: DeskOutbox;
  readonly #feeds: DeskFeeds;
  readonly #waits = new DeskWaits();
  #tenantId: TenantId | undefined;
  #alarmAt: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { sql, kv } = ctx.storage;
    this.#tenantId = kv.get<TenantId>("tenant");
    this.#cases = new CaseStore(sql);
    this.#feeds = new DeskFeeds(ctx, async (ids) => {
      const allowed = await whoMayAnswer(openDatabase(env), this.#tenant(), ids);
      return new Set(allowed.map(({ id }) => id));
    });
    const audit = new AuditLog(env.AUDIT_LEDGER, env.ENVIRONMENT);
    this.#outbox = new DeskOutbox(sql, {
      record: async (events) => (await audit.append(this.#tenant(), events, { redelivery: true })).ok,
      notify: (notice) => this.#queue().enqueue(notice),
    });
  }

  async find(agentId: AgentId, digest: string, useId: string): Promise<Standing | null> {
    return this.#find(agentId, digest, useId);
  }

  async ask(asked: AskedCase, useId: string): Promise<Standing> {
    const { tenantId, agentId, digest, sealed, by } = asked;
    const standing = this.#find(agentId, digest, useId);
    if (standing !== null) return standing;
    const now = Date.now();
    if (this.#cases.countOpen(agentId, now) >= MOST_OPEN) return { kind: "crowded", most: MOST_OPEN };
    if (this.#cases.countSince(agentId, now - HOUR_MS) >= MOST_AN_HOUR)
      return { kind: "crowded", most: MOST_AN_HOUR };
    if (this.#tenantId === undefined) {
      this.#tenantId = tenantId;
      this.ctx.storage.kv.put("tenant", tenantId);
    }
    const made = { id: newId("approval"), ip: by.ip, requestId: by.requestId };
    const opened = openCase(asked, made, now);
    this.#cases.add(opened.held, sealed);
    this.#tell(opened, by);
    return standingOf(opened.held, useId, now) ?? { kind: "crowded", most: 0 };
  }

  async consume(id: ApprovalId, useId: string, entitled: readonly MemberId[]): Promise<Consumed> {
    const held = this.#cases.get(id);
    if (held === null) return { kind: "refused", reason: "unknown" };
    const next = this.#do(held, { kind: "consume", useId, entitled }, askedBy(held));
    switch (next.refusal) {
      case null:
        return { kind: "granted", approvalId: id, granted: grantedOf(next.held) };
      case "too_soon":
      case "quorum_lost":
        return { kind: "refused", reason: next.refusal };
      default:
        return { kind: "refused", reason: "over" };
    }
  }

  async release(id: ApprovalId, useId: string): Promise<void> {
    const held = this.#cases.get(id);
    if (held === null) return;
    const newest = this.#cases.newest(held.agentId, held.digest);
    const hasTwin = newest !== null && newest.id !== id && isOpen(asOf(newest, Date.now()));
    this.#do(held, { kind: "release", useId, hasTwin }, askedBy(held));
  }

  async get(id: ApprovalId): Promise<{ readonly held: Case; readonly sealed: SealedText | null } | null> {
    const held = this.#cases.get(id);
    return held === null ? null : { held: asOf(held, Date.now()), sealed: this.#cases.sealed(id) };
  }

  async list(query: CaseQuery): Promise<readonly Case[]> {
    const now = Date.now();
    return this.#cases.list(query, now).map((held) => asOf(held, now));
  }

  async approve(id: ApprovalId, vote: Vote, by: By): Promise<Answered> {
    return this.#answer(id, { kind: "approve", ...vote }, by);
  }

  async deny(id: ApprovalId, reason: string, by: By): Promise<Answered> {
    return this.#answer(id, { kind: "deny", actor: by.actor, reason }, by);
  }

  async cancel(id: ApprovalId, reason: string | null, by: By): Promise<Answered> {
    return this.#answer(id, { kind: "cancel", actor: by.actor, reason }, by);
  }

  async decided(id: ApprovalId, until: "answered" | "usable", milliseconds: number): Promise<Decided> {
    const end = Date.now() + Math.min(milliseconds, LONGEST_WAIT_MS);
    let place: AgentId | null = null;
    try {
      for (;;) {
        const stored = this.#cases.get(id);
        const now = Date.now();
        if (stored === null) return { kind: "unknown" };
        const held = asOf(stored, now);
        if (isDecided(held, until, now) || now >= end) return { kind: "seen", held };
        const crowd = place === null ? this.#waits.enter(held.agentId) : null;
        if (crowd !== null) return crowd;
        place = held.agentId;
        const changes = Math.min(end, held.expiresAt, held.notBefore ?? end);
        await this.#waits.changed(id, Math.max(1, changes - now));
      }
    } finally {
      if (place !== null) this.#waits.leave(place);
    }
  }

  /** The live feed. Only the gateway gets here, and says who watches. */
  override fetch(request: Request): Response {
    const memberId = request.headers.get(FEED_MEMBER) as MemberId | null;
    if (memberId === null || request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return new Response(null, { status: 400 });
    }
    const response = this.#feeds.open(memberId, Date.now());
    this.#arm();
    return response;
  }

  override webSocketMessage(): void {
    // Whoever watches has nothing to say.
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    socket.close(code === 1005 || code === 1006 ? 1000 : code);
  }

  override async alarm(): Promise<void> {
    // Armed again before anything can fail.
    this.#setAlarm(Date.now() + ALARM_AGAIN_MS);
    try {
      const now = Date.now();
      this.#feeds.closeLate(now);
      for (const held of this.#cases.due(now, DUE_AT_ONCE)) {
        if (isForgettable(held, now)) this.#cases.remove(held.id);
        else this.#do(held, { kind: "look" }, null);
      }
      // Not waited for: while something waits to be told, another alarm comes soon.
      this.ctx.waitUntil(this.#outbox.deliver());
      const next = this.#nextDue();
      if (next === null) this.#forgetAlarm();
      else this.#setAlarm(next);
    } catch (error) {
      console.error(JSON.stringify({ at: "approval-desk.alarm", error: String(error) }));
    }
  }

  #find(agentId: AgentId, digest: string, useId: string): Standing | null {
    const found = this.#cases.usedBy(agentId, digest, useId) ?? this.#cases.newest(agentId, digest);
    if (found === null) return null;
    // What time has done is written down by whoever sees it: a clock that goes back does not undo it.
    const { held } = this.#do(found, { kind: "look" }, null);
    return standingOf(held, useId, Date.now());
  }

  #answer(id: ApprovalId, act: Extract<Act, { kind: "approve" | "deny" | "cancel" }>, by: By): Answered {
    const before = this.#cases.get(id);
    if (before === null) return { kind: "unknown" };
    const { held, refusal } = this.#do(before, act, by);
    if (refusal === null) return { kind: "ok", held };
    return { kind: refusal === "answered" || refusal === "recheck" ? refusal : "over", held };
  }

  /** One step, whole: the case, what is to be told, and when to look again. Nothing is awaited in between. */
  #do(before: Case, act: Act, by: By | null): Step {
    const now = Date.now();
    const next = step(before, act, now);
    if (next.happened.length > 0) {
      this.#cases.put(next.held);
      this.#tell(next, by);
    }
    return next;
  }

  #tell({ held, happened }: Step, by: By | null): void {
    for (const happening of happened) {
      const isByTime = ["timed_out", "ready", "reopened"].includes(happening.type);
      const announcement = { tenantId: this.#tenant(), held, happening, by: isByTime ? null : by };
      this.#outbox.add(auditEventOf(announcement), noticeOf(announcement));
    }
    this.#waits.wake(held.id);
    this.#arm();
    this.ctx.waitUntil(Promise.all([this.#outbox.deliver(), this.#feeds.tell(held, happened)]));
  }

  /** Sees to it that an alarm comes in time: one that comes too soon does no harm, and finds the next time itself. */
  #arm(): void {
    const next = this.#nextDue();
    const isArmed = this.#alarmAt !== null && this.#alarmAt > Date.now();
    if (next !== null && !(isArmed && (this.#alarmAt ?? 0) <= next)) this.#setAlarm(next);
  }

  #nextDue(): number | null {
    const times = [this.#cases.nextDue(), this.#outbox.retryAt(Date.now()), this.#feeds.nextEnd()];
    const known = times.filter((time) => time !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  #setAlarm(at: number): void {
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }

  #forgetAlarm(): void {
    this.#alarmAt = null;
    void this.ctx.storage.deleteAlarm();
  }

  #tenant(): TenantId {
    if (this.#tenantId === undefined) throw new Error("a desk without a tenant has no cases");
    return this.#tenantId;
  }

  #queue(): NoticeQueue {
    const { NOTIFICATION_QUEUE: queues, ENVIRONMENT: environment } = this.env;
    return queues.get(objectIdFor(queues, environment, this.#tenant()));
  }
}
