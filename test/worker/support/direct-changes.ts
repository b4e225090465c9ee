import { sql } from "drizzle-orm";
import { auditOutbox } from "../../../src/audit/tables.ts";
import type { Database } from "../../../src/base/database.ts";
import type { TenantId } from "../../../src/base/ids.ts";
import type { Change, ChangeResult, TenantChanges } from "../../../src/identity/changes.ts";
import { tenants } from "../../../src/identity/tables.ts";

/** Changes without a gate: one batch of the change, its events and epoch + 1, in force at once. Keeps what landed. */
export class DirectChanges implements TenantChanges {
  readonly landed: Change[] = [];
  /** Runs once, before the next change lands: what somebody else did in between. */
  meanwhile: (() => Promise<unknown>) | null = null;
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async apply(tenantId: TenantId, change: Change): Promise<ChangeResult> {
    const { meanwhile } = this;
    this.meanwhile = null;
    await meanwhile?.();
    const db = this.#db.of(tenantId);
    const step = db
      .update(tenants)
      .set({ epoch: sql`${tenants.epoch} + 1` })
      .returning({ epoch: tenants.epoch });
    const events = change.events.map((event) => db.insert(auditOutbox).values({ event }));
    const [rows] = await db.batch([step, ...change.statements, ...events]);
    const epoch = rows[0]?.epoch;
    if (epoch === undefined) throw new Error("no such tenant");
    this.landed.push(change);
    return { epoch, effectiveAt: Date.now() };
  }
}
