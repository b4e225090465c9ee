import { sql } from "drizzle-orm";
import type { AuditLog } from "../audit/audit.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Database } from "../base/database.ts";
import { newId, type TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Change, ChangeResult, TenantChanges } from "./changes.ts";
import type { GateChange, GateObject } from "./leases.ts";
import { tenants } from "./tables.ts";

function isRefusal(error: unknown): boolean {
  if (error instanceof Problem) return true;
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    // drizzle's own message quotes the query's parameters, which may say anything.
    if (!("params" in at) && /constraint failed/i.test(at.message)) return true;
  }
  return false;
}

const ATTEMPTS = 3;

/**
 * prepare (no new leases) → one D1 batch (the change, its events, epoch + 1) → commit. Acknowledged only after the
 * commit: from the answer's `effectiveAt` on, no call anywhere is decided on what was before.
 */
export class GatedChanges implements TenantChanges {
  readonly #db: Database;
  readonly #gate: (tenantId: TenantId) => GateObject;
  readonly #audit: Pick<AuditLog, "append">;
  readonly #waitUntil: (promise: Promise<unknown>) => void;

  constructor(dependencies: {
    db: Database;
    gate: (tenantId: TenantId) => GateObject;
    audit: Pick<AuditLog, "append">;
    waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.#db = dependencies.db;
    this.#gate = dependencies.gate;
    this.#audit = dependencies.audit;
    this.#waitUntil = dependencies.waitUntil;
  }

  async apply(tenantId: TenantId, change: Change): Promise<ChangeResult> {
    const changeId = newId("request");
    const gateChange: GateChange = {
      watermarks: change.watermarks ?? [],
      ...(change.frozen === undefined ? {} : { frozen: change.frozen }),
    };
    await this.#ask(tenantId, (gate) => gate.prepare(tenantId, changeId, gateChange));
    let epoch: number;
    try {
      epoch = await this.#write(tenantId, change);
    } catch (error) {
      // Only where the batch surely did not land; otherwise the gate finds out from D1 what became of it.
      if (isRefusal(error))
        this.#waitUntil(this.#ask(tenantId, (gate) => gate.abort(changeId)).catch(() => undefined));
      throw error;
    }
    const { effectiveAt } = await this.#ask(tenantId, (gate) => gate.commit(changeId, gateChange, epoch));
    this.#waitUntil(this.flush(tenantId));
    return { epoch, effectiveAt };
  }

  async #write(tenantId: TenantId, change: Change): Promise<number> {
    const step = this.#db
      .update(tenants)
      .set({ epoch: sql`${tenants.epoch} + 1` })
      .where(sql`${tenants.id} = ${tenantId}`)
      .returning({ epoch: tenants.epoch });
    const events = change.events.map((event) => this.#db.insert(auditOutbox).values({ tenantId, event }));
    const results: unknown[] = await this.#db.batch([step, ...change.statements, ...events]);
    const rows = results[0] as { epoch: number }[];
    const epoch = rows[0]?.epoch;
    if (epoch === undefined) throw new Problem("NOT_FOUND", "There is no such tenant.");
    return epoch;
  }

  async #ask<T>(tenantId: TenantId, call: (gate: GateObject) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call(this.#gate(tenantId));
      } catch (cause) {
        if (attempt < ATTEMPTS) continue;
        throw new Problem(
          "UNAVAILABLE",
          "The change could not be confirmed. Look at what holds, then try again.",
          {
            cause,
          },
        );
      }
    }
  }

  /** Brings the tenant's waiting events to the ledger; what fails stays and is tried again by the next change or sweep. */
  async flush(tenantId: TenantId): Promise<void> {
    try {
      const rows = await this.#db
        .select()
        .from(auditOutbox)
        .where(sql`${auditOutbox.tenantId} = ${tenantId}`)
        .orderBy(auditOutbox.seq)
        .limit(200);
      const last = rows.at(-1);
      if (last === undefined) return;
      const events = rows.map((row) => row.event);
      const answer = await this.#audit.append(tenantId, events, { redelivery: true });
      if (!answer.ok) return;
      const sequences = rows.map((row) => row.seq);
      for (let start = 0; start < sequences.length; start += 50) {
        const part = sequences.slice(start, start + 50);
        await this.#db.delete(auditOutbox).where(sql`${auditOutbox.seq} IN (${sql.join(part, sql`, `)})`);
      }
    } catch {
      console.error(
        JSON.stringify({ at: "audit-outbox.flush", tenant: tenantId, error: "kept for the next flush" }),
      );
    }
  }
}
