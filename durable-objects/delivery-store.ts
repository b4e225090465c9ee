import { type DeliveryId, newId, type WebhookId } from "../src/base/ids.ts";
import type { Delivery, DeliveryPage } from "../src/notifications/deliveries.ts";
import type { CleanNotice } from "../src/notifications/message.ts";
import type { DeliveryStatus } from "../src/notifications/schemas.ts";

/** Notices that no receiver has been looked up for yet; more are dropped. */
const MAX_WAITING_NOTICES = 2_000;
/** Of one receiver: what is beyond is dead at once, and can be replayed. */
const MAX_PENDING = 1_000;
/** Of one receiver, delivered and dead ones each: the oldest go first. */
const MAX_ENDED = 1_000;
const DAY_MS = 86_400_000;
const KEPT_DEAD_MS = 30 * DAY_MS;
const KEPT_DELIVERED_MS = 7 * DAY_MS;
/** So long a notice that comes again is known, whoever was told of it. */
const KEPT_NOTICE_MS = 7 * DAY_MS;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS notices (
    id TEXT PRIMARY KEY, type TEXT NOT NULL, at INTEGER NOT NULL, data TEXT NOT NULL,
    kept_at INTEGER NOT NULL, waiting INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS notices_waiting ON notices (kept_at) WHERE waiting = 1;
  CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, notice_id TEXT NOT NULL, webhook_id TEXT NOT NULL,
    status TEXT NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER, last_status INTEGER, last_error TEXT,
    created_at INTEGER NOT NULL, ended_at INTEGER, UNIQUE (notice_id, webhook_id)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (webhook_id, status, next_at);
`;

const COLUMNS = `deliveries.seq, deliveries.id, notice_id, webhook_id, type, status, attempts, next_at, last_status,
  last_error, created_at, ended_at`;
const JOINED = "deliveries JOIN notices ON notices.id = deliveries.notice_id";

type Row = Record<"seq" | "attempts" | "created_at", number> &
  Record<"next_at" | "last_status" | "ended_at", number | null> &
  Record<"id" | "notice_id" | "webhook_id" | "type" | "status", string> & { last_error: string | null };
type NoticeRow = { id: string; type: string; at: number; data: string };

/** The queue's tables. Everything is synchronous: the platform writes what one turn did in one step. */
export class DeliveryStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#sql.exec(SCHEMA);
  }

  /** `known` where it came before, `full` where too many wait: then it is not kept. */
  add({ id, type, at, data }: CleanNotice, now: number): "added" | "known" | "full" {
    if (this.#one("SELECT 1 AS n FROM notices WHERE id = ?", id) !== null) return "known";
    const waiting = this.#one("SELECT count(*) AS n FROM notices WHERE waiting = 1") ?? 0;
    if (waiting >= MAX_WAITING_NOTICES) return "full";
    this.#insertNotice({ id, type, at, data }, now, 1);
    return "added";
  }

  /** A notice for one receiver, which no other one is told of. */
  addFor(webhookId: WebhookId, notice: CleanNotice, now: number): Delivery {
    const id = this.#storage.transactionSync(() => {
      this.#insertNotice(notice, now, 0);
      return this.#insertDelivery(notice.id, webhookId, now);
    });
    const delivery = this.find(webhookId, id);
    if (delivery === null) throw new Error("a delivery that was just made is there");
    return delivery;
  }

  waitingNotices(limit: number): readonly CleanNotice[] {
    return this.#sql
      .exec<NoticeRow>(
        "SELECT id, type, at, data FROM notices WHERE waiting = 1 ORDER BY kept_at LIMIT ?",
        limit,
      )
      .toArray()
      .map(noticeOf);
  }

  /** A waiting notice becomes a delivery for each receiver that it concerns. */
  spread(noticeId: string, webhookIds: readonly WebhookId[], now: number): void {
    this.#storage.transactionSync(() => {
      for (const webhookId of webhookIds) this.#insertDelivery(noticeId, webhookId, now);
      const done = "UPDATE notices SET waiting = 0 WHERE id = ?";
      // Of one that concerns nobody only the id is kept, so that it is known if it comes again.
      const forgotten = "UPDATE notices SET waiting = 0, data = '{}' WHERE id = ?";
      this.#sql.exec(webhookIds.length === 0 ? forgotten : done, noticeId);
    });
  }

  /** What is due for a receiver longest. */
  due(
    webhookId: WebhookId,
    now: number,
  ): { readonly delivery: Delivery; readonly notice: CleanNotice } | null {
    const [row] = this.#sql.exec<Row & { at: number; data: string }>(
      `SELECT ${COLUMNS}, at, data FROM ${JOINED}
       WHERE webhook_id = ? AND status = 'pending' AND next_at <= ? ORDER BY next_at, seq LIMIT 1`,
      webhookId,
      now,
    );
    if (row === undefined) return null;
    return { delivery: deliveryOf(row), notice: noticeOf({ ...row, id: row.notice_id }) };
  }

  /** When something is due next for one of these receivers; null where nothing waits. */
  nextDue(webhookIds: readonly WebhookId[]): number | null {
    const times = webhookIds.flatMap(
      (id) =>
        this.#one(
          "SELECT min(next_at) AS n FROM deliveries WHERE webhook_id = ? AND status = 'pending'",
          id,
        ) ?? [],
    );
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Before a try: counts it and says when the next one is, should nobody live to tell what became of this one. */
  claim(id: DeliveryId, attempt: number, nextAt: number): void {
    this.#sql.exec("UPDATE deliveries SET attempts = ?, next_at = ? WHERE id = ?", attempt, nextAt, id);
  }

  retry(id: DeliveryId, nextAt: number, status: number | null, error: string): void {
    this.#sql.exec(
      "UPDATE deliveries SET next_at = ?, last_status = ?, last_error = ? WHERE id = ? AND status = 'pending'",
      nextAt,
      status,
      error,
      id,
    );
  }

  end(
    id: DeliveryId,
    ended: Exclude<DeliveryStatus, "pending">,
    status: number | null,
    error: string | null,
    now: number,
  ): void {
    this.#sql.exec(
      "UPDATE deliveries SET status = ?, next_at = NULL, last_status = ?, last_error = ?, ended_at = ? WHERE id = ?",
      ended,
      status,
      error,
      now,
      id,
    );
  }

  /** All that waits for a receiver is dead. */
  endPending(webhookId: WebhookId, error: string, now: number): void {
    this.#sql.exec(
      `UPDATE deliveries SET status = 'dead', next_at = NULL, last_error = ?, ended_at = ?
       WHERE webhook_id = ? AND status = 'pending'`,
      error,
      now,
      webhookId,
    );
  }

  find(webhookId: WebhookId, id: DeliveryId): Delivery | null {
    const [row] = this.#sql.exec<Row>(
      `SELECT ${COLUMNS} FROM ${JOINED} WHERE deliveries.id = ? AND webhook_id = ?`,
      id,
      webhookId,
    );
    return row === undefined ? null : deliveryOf(row);
  }

  restart(id: DeliveryId, now: number): void {
    this.#sql.exec(
      "UPDATE deliveries SET status = 'pending', attempts = 0, next_at = ?, ended_at = NULL WHERE id = ?",
      now,
      id,
    );
  }

  list(
    webhookId: WebhookId,
    status: DeliveryStatus | null,
    before: number | null,
    limit: number,
  ): DeliveryPage {
    const rows = this.#sql
      .exec<Row>(
        `SELECT ${COLUMNS} FROM ${JOINED}
         WHERE webhook_id = ?1 AND deliveries.seq < ?2 AND (?3 IS NULL OR status = ?3)
         ORDER BY deliveries.seq DESC LIMIT ?4`,
        webhookId,
        before ?? Number.MAX_SAFE_INTEGER,
        status,
        limit + 1,
      )
      .toArray();
    const shown = rows.slice(0, limit);
    return {
      deliveries: shown.map(deliveryOf),
      next: rows.length > limit ? (shown.at(-1)?.seq ?? null) : null,
    };
  }

  forget(webhookId: WebhookId): void {
    this.#sql.exec("DELETE FROM deliveries WHERE webhook_id = ?", webhookId);
  }

  /** Removes what is too old, and what is of receivers that are not there any more. */
  prune(webhookIds: readonly WebhookId[], now: number): void {
    this.#sql.exec(
      "DELETE FROM deliveries WHERE webhook_id NOT IN (SELECT value FROM json_each(?))",
      JSON.stringify(webhookIds),
    );
    const remove = "DELETE FROM deliveries WHERE status = ? AND ended_at < ?";
    this.#sql.exec(remove, "dead", now - KEPT_DEAD_MS);
    this.#sql.exec(remove, "delivered", now - KEPT_DELIVERED_MS);
    this.#sql.exec(
      `DELETE FROM notices WHERE waiting = 0 AND kept_at < ?
       AND NOT EXISTS (SELECT 1 FROM deliveries WHERE notice_id = notices.id)`,
      now - KEPT_NOTICE_MS,
    );
  }

  get isEmpty(): boolean {
    return this.#one("SELECT 1 AS n FROM notices LIMIT 1") === null;
  }

  #insertNotice({ id, type, at, data }: CleanNotice, now: number, waiting: number): void {
    const values = [id, type, at, JSON.stringify(data), now, waiting];
    this.#sql.exec("INSERT INTO notices VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", ...values);
  }

  #insertDelivery(noticeId: string, webhookId: WebhookId, now: number): DeliveryId {
    const id = newId("delivery");
    const isFull = this.#count(webhookId, "pending") >= MAX_PENDING;
    const [status, error] = isFull ? ["dead", "queue_full"] : ["pending", null];
    this.#sql.exec(
      `INSERT INTO deliveries (id, notice_id, webhook_id, status, attempts, next_at, last_error, created_at, ended_at)
       VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      ...[id, noticeId, webhookId, status, isFull ? null : now, error, now, isFull ? now : null],
    );
    for (const ended of ["delivered", "dead"] as const) this.#trim(webhookId, ended);
    return id;
  }

  #count(webhookId: WebhookId, status: DeliveryStatus): number {
    const counted = "SELECT count(*) AS n FROM deliveries WHERE webhook_id = ? AND status = ?";
    return this.#one(counted, webhookId, status) ?? 0;
  }

  #trim(webhookId: WebhookId, status: DeliveryStatus): void {
    if (this.#count(webhookId, status) <= MAX_ENDED) return;
    this.#sql.exec(
      `DELETE FROM deliveries WHERE webhook_id = ?1 AND status = ?2 AND seq <= (
         SELECT seq FROM deliveries WHERE webhook_id = ?1 AND status = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3)`,
      webhookId,
      status,
      MAX_ENDED,
    );
  }

  #one(query: string, ...values: unknown[]): number | null {
    const [row] = this.#sql.exec<{ n: number | null }>(query, ...values);
    return row?.n ?? null;
  }
}

function deliveryOf(row: Row): Delivery {
  return {
    id: row.id as DeliveryId,
    webhookId: row.webhook_id as WebhookId,
    noticeId: row.notice_id,
    type: row.type,
    status: row.status as DeliveryStatus,
    attempts: row.attempts,
    nextAt: row.next_at,
    lastStatus: row.last_status,
    lastError: row.last_error,
    createdAt: row.created_at,
    endedAt: row.ended_at,
  };
}

function noticeOf({ id, type, at, data }: NoticeRow): CleanNotice {
  return { id, type, at, data: JSON.parse(data) as CleanNotice["data"] };
}
