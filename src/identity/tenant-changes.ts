import { lt, sql } from "drizzle-orm";
import type { AuditLog } from "../audit/audit.ts";
import { fitForOutbox } from "../audit/clean.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Database } from "../base/database.ts";
import { newId, type TenantId } from "../base/ids.ts";
import type { Jurisdiction } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import type { Change, ChangeResult, TenantChanges } from "./changes.ts";
import type { GateChange, GateObject } from "./leases.ts";
import { flushOutbox } from "./outbox.ts";
import { gateChanges, tenants } from "./tables.ts";

function isRefusal(error: unknown): boolean {
  if (error instanceof Problem) return true;
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    // drizzle's own message quotes the query's parameters, which may say anything.
    if (!("params" in at) && /constraint failed/i.test(at.message)) return true;
  }
  return false;
}

const ATTEMPTS = 3;
/** The gate remembers an unsettled change for a minute, a batch takes at most 30 s: it must begin well before. */
const PREPARED_WITHIN_MS = 15_000;
const TENANTS_AT_ONCE = 100;

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
    const askedAt = await this.#ask(tenantId, async (gate) => {
      const now = Date.now();
      await gate.prepare(tenantId, changeId, gateChange);
      return now;
    }).catch((error: unknown) => {
      throw error instanceof Problem
        ? new Problem(error.code, error.message, { ...error.options, nothingDone: true })
        : error;
    });
    let epoch: number;
    try {
      if (Date.now() - askedAt > PREPARED_WITHIN_MS) {
        throw new Problem(
          "UNAVAILABLE",
          "The change took too long to begin, so nothing was changed. Try again.",
          { nothingDone: true },
        );
      }
      epoch = await this.#write(tenantId, changeId, change);
    } catch (error) {
      // Only where the batch surely did not land; otherwise the gate finds out from D1 what became of it.
      if (isRefusal(error))
        this.#waitUntil(this.#ask(tenantId, (gate) => gate.abort(changeId)).catch(() => undefined));
      throw error;
    }
    const { effectiveInMs } = await this.#ask(tenantId, (gate) => gate.commit(changeId, gateChange, epoch));
    this.#waitUntil(this.flush(tenantId));
    // On this clock, by which the answer waits: the gate's may be another.
    return { epoch, effectiveAt: Date.now() + effectiveInMs };
  }

  async #write(tenantId: TenantId, changeId: string, change: Change): Promise<number> {
    const db = this.#db.of(tenantId);
    const step = db
      .update(tenants)
      .set({ epoch: sql`${tenants.epoch} + 1` })
      .returning({ epoch: tenants.epoch });
    const landed = db.insert(gateChanges).values({
      id: changeId,
      epoch: sql`coalesce((select ${tenants.epoch} from ${tenants} where ${tenants.id} = ${tenantId}), 0)`,
      at: Date.now(),
    });
    const events = change.events.map((event) =>
      db.insert(auditOutbox).values({ event: fitForOutbox(event) }),
    );
    const results: unknown[] = await db.batch([step, landed, ...change.statements, ...events]);
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

  /**
   * Clears away what says that a change landed `before` (milliseconds since 1970), for tenants whose gate has settled
   * what it had open: asked for a lease, it looks. Of one jurisdiction's tenants, or of those that have none. Bounded;
   * what is left is taken up the next time.
   */
  async forgetSettled(before: number, jurisdiction: Jurisdiction | null = null): Promise<void> {
    const old = await this.#db
      .acrossTenants("changes that landed long ago", jurisdiction)
      .selectDistinct({ tenantId: gateChanges.tenantId })
      .from(gateChanges)
      .where(lt(gateChanges.at, before))
      .limit(TENANTS_AT_ONCE);
    for (const { tenantId } of old) {
      try {
        await this.#gate(tenantId).lease(tenantId);
        await this.#db.of(tenantId).delete(gateChanges).where(lt(gateChanges.at, before));
      } catch {
        console.error(
          JSON.stringify({ at: "gate-changes.forget", tenant: tenantId, error: "kept for the next sweep" }),
        );
      }
    }
  }

  /** Brings the tenant's waiting events to the ledger; what fails stays and is tried again by the next change or sweep. */
  async flush(tenantId: TenantId): Promise<void> {
    try {
      await flushOutbox(this.#db, this.#audit, tenantId);
    } catch {
      console.error(
        JSON.stringify({ at: "audit-outbox.flush", tenant: tenantId, error: "kept for the next flush" }),
      );
    }
  }
}
