import type { AuditEvent } from "../src/audit/event.ts";
import { within } from "../src/base/within.ts";
import type { Notice } from "../src/notifications/notice.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    goes TEXT NOT NULL,
    item TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
  ) STRICT;
`;

const AT_ONCE = 100;
const NOTIFY_WITHIN_MS = 5_000;
const LOOK_AGAIN_MS = 20_000;
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
/** Who is told outside is told within hours, or not at all; the ledger gets everything, whenever. */
const NOTICE_ATTEMPTS = 300;

interface Row {
  readonly seq: number;
  readonly item: string;
  readonly attempts: number;
  readonly [column: string]: SqlStorageValue;
}

/**
 * What a desk still has to tell, written in the step in which it happened: to the ledger, and to whoever is notified.
 * Both know what comes twice by its id. Neither holds up the other, nor anything else.
 */
export class DeskOutbox {
  readonly #sql: SqlStorage;
  readonly #record: (events: readonly AuditEvent[]) => Promise<boolean>;
  readonly #notify: (notice: Notice) => Promise<void>;
  #running: Promise<void> | null = null;
  #again = false;
  #failures = 0;
  #failedAt = 0;

  constructor(
    sql: SqlStorage,
    parts: {
      /** True once they are in the ledger. */
      readonly record: (events: readonly AuditEvent[]) => Promise<boolean>;
      readonly notify: (notice: Notice) => Promise<void>;
    },
  ) {
    this.#sql = sql;
    this.#record = parts.record;
    this.#notify = parts.notify;
    sql.exec(SCHEMA);
  }

  add(event: AuditEvent | null, notice: Notice): void {
    if (event !== null) this.#add("ledger", event);
    this.#add("notice", notice);
  }

  /** When to deliver next, at the soonest; null: nothing waits. */
  retryAt(now: number): number | null {
    const [row] = this.#sql.exec<{ waiting: number }>("SELECT EXISTS (SELECT 1 FROM outbox) AS waiting");
    if (!row?.waiting) return null;
    // What is on its way now is looked after once more, should this object die meanwhile.
    if (this.#failures === 0) return now + LOOK_AGAIN_MS;
    return this.#failedAt + Math.min(RETRY_MS * 2 ** this.#failures, MAX_RETRY_MS);
  }

  /** Hands over what waits, one delivery at a time. Never throws: what is left stays. */
  deliver(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#again) {
        this.#again = false;
        const [recorded, notified] = await Promise.all([this.#deliverEvents(), this.#deliverNotices()]);
        if (!recorded || !notified) {
          this.#failures = Math.min(this.#failures + 1, 10);
          this.#failedAt = Date.now();
          return;
        }
        this.#failures = 0;
      }
    } finally {
      // In the turn that has found nothing more: what comes next begins anew.
      this.#running = null;
    }
  }

  async #deliverEvents(): Promise<boolean> {
    for (;;) {
      const rows = this.#waiting("ledger", AT_ONCE);
      if (rows.length === 0) return true;
      if (!(await this.#record(rows.map(({ item }) => JSON.parse(item) as AuditEvent)))) return false;
      for (const { seq } of rows) this.#remove(seq);
    }
  }

  async #deliverNotices(): Promise<boolean> {
    for (;;) {
      const [row] = this.#waiting("notice", 1);
      if (row === undefined) return true;
      try {
        await within(NOTIFY_WITHIN_MS, this.#notify(JSON.parse(row.item) as Notice));
        this.#remove(row.seq);
      } catch {
        this.#sql.exec("UPDATE outbox SET attempts = attempts + 1 WHERE seq = ?", row.seq);
        if (row.attempts >= NOTICE_ATTEMPTS) this.#remove(row.seq);
        return false;
      }
    }
  }

  #waiting(goes: "ledger" | "notice", limit: number): readonly Row[] {
    return [
      ...this.#sql.exec<Row>(
        "SELECT seq, item, attempts FROM outbox WHERE goes = ? ORDER BY seq LIMIT ?",
        goes,
        limit,
      ),
    ];
  }

  #add(goes: "ledger" | "notice", item: AuditEvent | Notice): void {
    this.#sql.exec("INSERT INTO outbox (goes, item) VALUES (?, ?)", goes, JSON.stringify(item));
  }

  #remove(seq: number): void {
    this.#sql.exec("DELETE FROM outbox WHERE seq = ?", seq);
  }
}
