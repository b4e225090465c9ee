import { sql } from "drizzle-orm";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { type Jurisdiction, jurisdictionOf } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import type { MemberCaller } from "./caller.ts";
import type { ChangeResult, TenantChanges } from "./changes.ts";
import { eventBy } from "./events.ts";
import type { TenantPatch, TenantSettings } from "./schemas.ts";
import { tenants } from "./tables.ts";

export interface Tenant {
  readonly id: TenantId;
  readonly name: string;
  /** Where its data stay; null: anywhere. Settled with its creation. */
  readonly jurisdiction: Jurisdiction | null;
  readonly epoch: number;
  readonly settings: TenantSettings;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** What a tenant has set, and its red button. */
export class Tenants {
  readonly #db: Database;
  readonly #changes: TenantChanges;
  readonly #clock: Clock;
  readonly #requireFresh: (caller: MemberCaller) => void;

  constructor(parts: {
    readonly db: Database;
    readonly changes: TenantChanges;
    readonly clock: Clock;
    /** Throws STEP_UP_REQUIRED for a person who has not shown who they are just before. */
    readonly requireFresh: (caller: MemberCaller) => void;
  }) {
    this.#db = parts.db;
    this.#changes = parts.changes;
    this.#clock = parts.clock;
    this.#requireFresh = parts.requireFresh;
  }

  /** Throws NOT_FOUND. */
  async get(tenantId: TenantId): Promise<Tenant> {
    const [row] = await this.#db.of(tenantId).select().from(tenants);
    if (row === undefined) throw new Problem("NOT_FOUND", "There is no such tenant.");
    return { ...row, jurisdiction: jurisdictionOf(row.id) };
  }

  /** Settings that the patch does not name stay. */
  async update(caller: MemberCaller, patch: TenantPatch): Promise<{ tenant: Tenant; change: ChangeResult }> {
    const { tenantId } = caller;
    const change = await this.#changes.apply(tenantId, {
      statements: [
        this.#db
          .of(tenantId)
          .update(tenants)
          .set({ settings: sql`json_patch(${tenants.settings}, ${JSON.stringify(patch)})` }),
      ],
      events: [
        eventBy(caller, this.#clock(), {
          event_type: "tenant.updated",
          resource_type: "tenant",
          resource: tenantId,
          context: patch,
        }),
      ],
    });
    return { tenant: await this.get(tenantId), change };
  }

  /**
   * Frozen, a tenant's tokens and agents are refused whatever they ask for, until it is unfrozen: at once, where letting
   * them go on takes a fresh sign-in (STEP_UP_REQUIRED).
   */
  async freeze(caller: MemberCaller, frozen: boolean, reason: string): Promise<ChangeResult> {
    if (!frozen) this.#requireFresh(caller);
    return this.#changes.apply(caller.tenantId, {
      statements: [],
      events: [
        eventBy(caller, this.#clock(), {
          event_type: frozen ? "tenant.frozen" : "tenant.unfrozen",
          resource_type: "tenant",
          resource: caller.tenantId,
          context: { reason },
        }),
      ],
      frozen,
    });
  }
}
