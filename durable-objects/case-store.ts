import { type Case, type CaseKind, type CaseStatus, isOpen } from "../src/approvals/case.ts";
import type { CaseQuery } from "../src/approvals/desk.ts";
import type { AgentId, ApprovalId } from "../src/base/ids.ts";
import type { SealedText } from "../src/vault/sealed-form.ts";

/** How long a case is kept once it is over; the ledger has what happened for as long as it has anything. */
const KEPT_MS = 30 * 24 * 3_600_000;

/** `due`: when time next does something to it. Times are milliseconds since 1970. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS cases (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    agent_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    due INTEGER NOT NULL,
    consumed_by TEXT,
    held TEXT NOT NULL,
    sealed TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS cases_request ON cases (agent_id, digest);
  CREATE INDEX IF NOT EXISTS cases_newest ON cases (created_at, id);
  CREATE INDEX IF NOT EXISTS cases_due ON cases (due);
  CREATE INDEX IF NOT EXISTS cases_agent ON cases (agent_id, created_at);
`;

const OPEN = "status IN ('pending', 'approved')";
/** As of ?1: what is late has expired, whether that is written down or not. */
const STATUS_NOW = `CASE WHEN ${OPEN} AND expires_at <= ?1 THEN 'expired' ELSE status END`;

/** The cases of one desk, in its own storage. */
export class CaseStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(SCHEMA);
  }

  get(id: ApprovalId): Case | null {
    return this.#one("SELECT held FROM cases WHERE id = ?1", id);
  }

  /** What people are shown of it, sealed. */
  sealed(id: ApprovalId): SealedText | null {
    const [row] = this.#sql.exec<{ sealed: string | null }>("SELECT sealed FROM cases WHERE id = ?", id);
    return row?.sealed ? (JSON.parse(row.sealed) as SealedText) : null;
  }

  /** The last that was asked for. */
  newest(agentId: AgentId, digest: string): Case | null {
    const of = "agent_id = ?1 AND digest = ?2";
    return this.#one(`SELECT held FROM cases WHERE ${of} ORDER BY seq DESC LIMIT 1`, agentId, digest);
  }

  /** The one that this use has used up. */
  usedBy(agentId: AgentId, digest: string, useId: string): Case | null {
    const of = "agent_id = ?1 AND digest = ?2 AND consumed_by = ?3 AND status = 'consumed'";
    return this.#one(`SELECT held FROM cases WHERE ${of}`, agentId, digest, useId);
  }

  countOpen(agentId: AgentId, now: number): number {
    const [row] = this.#sql.exec<{ count: number }>(
      `SELECT count(*) AS count FROM cases WHERE agent_id = ?1 AND ${OPEN} AND expires_at > ?2`,
      agentId,
      now,
    );
    return row?.count ?? 0;
  }

  /** How many it has asked for from then on. */
  countSince(agentId: AgentId, from: number): number {
    const [row] = this.#sql.exec<{ count: number }>(
      "SELECT count(*) AS count FROM cases WHERE agent_id = ?1 AND created_at > ?2",
      agentId,
      from,
    );
    return row?.count ?? 0;
  }

  /** Newest first. */
  list({ status, kind, before, limit }: CaseQuery, now: number): readonly Case[] {
    const [at, id] = before ?? [Number.MAX_SAFE_INTEGER, ""];
    const rows = this.#sql.exec<{ held: string }>(
      `SELECT held FROM cases
       WHERE (created_at, id) < (?2, ?3) AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR ${STATUS_NOW} = ?5)
       ORDER BY created_at DESC, id DESC LIMIT ?6`,
      ...([now, at, id, kind, status, limit] satisfies [
        number,
        number,
        string,
        CaseKind | null,
        CaseStatus | null,
        number,
      ]),
    );
    return [...rows].map(readHeld);
  }

  add(held: Case, sealed: SealedText | null): void {
    this.#sql.exec(
      `INSERT INTO cases (id, agent_id, digest, kind, status, created_at, expires_at, due, held, sealed)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`,
      ...[held.id, held.agentId, held.digest, held.kind, held.status, held.createdAt, held.expiresAt],
      ...[dueOf(held), JSON.stringify(held), sealed === null ? null : JSON.stringify(sealed)],
    );
  }

  put(held: Case): void {
    this.#sql.exec(
      "UPDATE cases SET status = ?2, expires_at = ?3, due = ?4, consumed_by = ?5, held = ?6 WHERE id = ?1",
      ...[held.id, held.status, held.expiresAt, dueOf(held), held.consumedBy, JSON.stringify(held)],
    );
  }

  remove(id: ApprovalId): void {
    this.#sql.exec("DELETE FROM cases WHERE id = ?", id);
  }

  /** Those to which time has something to do. */
  due(now: number, limit: number): readonly Case[] {
    const rows = this.#sql.exec<{ held: string }>(
      "SELECT held FROM cases WHERE due <= ? ORDER BY due LIMIT ?",
      now,
      limit,
    );
    return [...rows].map(readHeld);
  }

  /** When it has next, null: never. */
  nextDue(): number | null {
    const [row] = this.#sql.exec<{ due: number | null }>("SELECT min(due) AS due FROM cases");
    return row?.due ?? null;
  }

  #one(query: string, ...values: readonly SqlStorageValue[]): Case | null {
    const [row] = this.#sql.exec<{ held: string }>(query, ...values);
    return row === undefined ? null : readHeld(row);
  }
}

/** Whether it is over, and has been for long enough to be forgotten. */
export function isForgettable(held: Case, now: number): boolean {
  return !isOpen(held) && now >= held.touchedAt + KEPT_MS;
}

function dueOf(held: Case): number {
  if (!isOpen(held)) return held.touchedAt + KEPT_MS;
  return held.notBefore === null || held.toldReady ? held.expiresAt : held.notBefore;
}

function readHeld({ held }: { readonly held: string }): Case {
  return JSON.parse(held) as Case;
}
