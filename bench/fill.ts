import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import path from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { genesis, sealBlocks } from "../src/audit/chain.ts";
import type { AuditEvent } from "../src/audit/event.ts";

/** How much a tenant holds beside what the bench itself made. */
export interface Amounts {
  secrets: number;
  tokens: number;
  events: number;
}

type Row = Record<string, SQLInputValue>;

/**
 * Fills the tenant of a state directory while nothing serves it, by SQL: copies of the secret, its version and the
 * token that are there, and events that continue the ledger's hash chain.
 */
export function fillTenant(stateDir: string, amounts: Amounts): void {
  const tenantId = fillConfiguration(stateDir, amounts);
  fillLedger(stateDir, tenantId, amounts.events);
}

function fillConfiguration(stateDir: string, amounts: Amounts): string {
  const db = openHolder(path.join(stateDir, "d1"), "tenants");
  try {
    const tenantId = String(oneRow(db, "SELECT id FROM tenants")["id"]);
    const secret = oneRow(db, "SELECT * FROM secrets");
    const version = oneRow(db, "SELECT * FROM secret_versions");
    const token = oneRow(db, "SELECT * FROM tokens");
    db.exec("BEGIN");
    const addSecret = inserter(db, "secrets", secret);
    const addVersion = inserter(db, "secret_versions", version);
    for (let at = 0; at < amounts.secrets; at += 1) {
      const secretId = `sec_${hex(12)}`;
      addSecret({ ...secret, id: secretId, path: `bulk/namespace-${at % 100}/KEY_${at}` });
      addVersion({ ...version, id: `ver_${hex(12)}`, secret_id: secretId });
    }
    const addToken = inserter(db, "tokens", token);
    for (let at = 0; at < amounts.tokens; at += 1) addToken({ ...token, id: `tok_${hex(12)}` });
    db.exec("COMMIT");
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    return tenantId;
  } finally {
    db.close();
  }
}

const EVENTS_A_TIME = 20_000;

function fillLedger(stateDir: string, tenantId: string, count: number): void {
  const db = openHolder(path.join(stateDir, "do"), "blocks");
  try {
    const [last] = db
      .prepare("SELECT last_seq, hash, latest FROM blocks ORDER BY first_seq DESC LIMIT 1")
      .all();
    let head =
      last === undefined ? genesis(tenantId) : { seq: Number(last["last_seq"]), hash: String(last["hash"]) };
    const latest = Number(last?.["latest"] ?? 0);
    const insert = db.prepare(
      `INSERT INTO blocks (first_seq, last_seq, first_time, last_time, latest, prev_hash, hash, ids, events)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    const timestamp = new Date(Date.now() - 3_600_000).toISOString();
    db.exec("BEGIN");
    for (let made = 0; made < count; made += EVENTS_A_TIME) {
      const events = Array.from({ length: Math.min(EVENTS_A_TIME, count - made) }, (_, at) =>
        sampleEvent(made + at, timestamp),
      );
      for (const block of sealBlocks(head, events)) {
        const { first_seq, last_seq, first_time, last_time, prev_hash, hash } = block;
        const newest = Math.max(latest, last_time);
        const ids = block.ids.join("\n");
        insert.run(first_seq, last_seq, first_time, last_time, newest, prev_hash, hash, ids, block.events);
        head = { seq: last_seq, hash };
      }
    }
    db.exec("COMMIT");
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
}

/** As the gateway writes a call's. */
function sampleEvent(at: number, timestamp: string): AuditEvent {
  const tokenId = `tok_${Math.floor(at / 10)
    .toString(16)
    .padStart(24, "0")}`;
  return {
    id: `${tokenId}.${at % 10}`,
    event_type: "connection.called",
    resource_type: "connection",
    resource: "bulk",
    actor: "agent:agt_000000000000000000000000",
    ip_address: "127.0.0.1",
    user_agent: null,
    outcome: "success",
    timestamp,
    context: {
      token_id: tokenId,
      request_id: `req_${at.toString(16).padStart(24, "0")}`,
      method: "GET",
      path: "/v1/charges",
      host: "api.example.com",
      status: 200,
      duration_ms: 3,
      bytes: 958,
    },
  };
}

/** The one SQLite file below the directory that has the table. */
function openHolder(directory: string, table: string): DatabaseSync {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" });
  for (const file of files.filter((name) => name.endsWith(".sqlite"))) {
    const db = new DatabaseSync(path.join(directory, file));
    const found = db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(table);
    if (found !== undefined) return db;
    db.close();
  }
  throw new Error(`there is no database with the table ${table} below ${directory}`);
}

function oneRow(db: DatabaseSync, query: string): Row {
  const row = db.prepare(`${query} LIMIT 1`).get();
  if (row === undefined) throw new Error(`no row: ${query}`);
  return row as Row;
}

/** Inserts rows with the columns of a given one, whatever the schema's present columns are. */
function inserter(db: DatabaseSync, table: string, like: Row): (row: Row) => void {
  const columns = Object.keys(like);
  const names = columns.map((column) => `"${column}"`).join(", ");
  const insert = db.prepare(`INSERT INTO ${table} (${names}) VALUES (${columns.map(() => "?").join(", ")})`);
  return (row) => insert.run(...columns.map((column) => row[column] ?? null));
}

const hex = (bytes: number) => randomBytes(bytes).toString("hex");
