import type { TenantId } from "../base/ids.ts";
import { type Homes, objectIdFor } from "../base/object-ids.ts";
import { Problem } from "../base/problem.ts";
import { within } from "../base/within.ts";
import type { AuditEvent } from "./event.ts";
import type { AppendResult, BlockPage, BlockRange, Head, Ledger } from "./ledger.ts";
import type { AuditFilters, EventPage, PageRequest } from "./query.ts";
import { queryEvents } from "./query.ts";

/** The binding of the ledger objects, as far as it is used here. */
export interface LedgerNamespace extends Homes {
  get(id: DurableObjectId): Ledger;
}

const APPEND_TIMEOUT_MS = 5_000;

/** Every tenant's ledger: append and read; there is nothing else that can be done to one. */
export class AuditLog {
  readonly #ledgers: LedgerNamespace;
  readonly #environment: string;

  /** `environment`: the deployment's ENVIRONMENT. */
  constructor(ledgers: LedgerNamespace, environment = "production") {
    this.#ledgers = ledgers;
    this.#environment = environment;
  }

  /**
   * Hands events over; `ok` means that they are durable in the tenant's ledger, each once. Say `redelivery` whenever
   * any of them may have been handed over before. Asks a second time where the first answer got lost. At most 1,000
   * events and about 10 s. Never throws.
   */
  async append(
    tenantId: string,
    events: readonly AuditEvent[],
    options: { readonly redelivery: boolean } = { redelivery: false },
  ): Promise<AppendResult> {
    try {
      return await within(APPEND_TIMEOUT_MS, this.#ledger(tenantId).append({ events, ...options }));
    } catch (error) {
      if (isOverloaded(error)) return { ok: false, reason: "unreachable" };
    }
    try {
      return await within(APPEND_TIMEOUT_MS, this.#ledger(tenantId).append({ events, redelivery: true }));
    } catch {
      return { ok: false, reason: "unreachable" };
    }
  }

  /** Like `append`, for operations that must not happen unrecorded: throws `UNAVAILABLE` if it failed. */
  async record(tenantId: string, events: readonly AuditEvent[]): Promise<void> {
    const result = await this.append(tenantId, events);
    if (result.ok) return;
    throw new Problem("UNAVAILABLE", "This could not be recorded in the audit ledger, so it was not done", {
      cause: result.reason,
      why: "Try again in a few seconds",
    });
  }

  query(tenantId: string, filters: AuditFilters, request: PageRequest): Promise<EventPage> {
    return queryEvents(this.#ledger(tenantId), filters, request);
  }

  /** The rows themselves, for exports and `verifyBlocks`. */
  blocks(tenantId: string, range: BlockRange): Promise<BlockPage> {
    return this.#ledger(tenantId).blocks(range);
  }

  /** The present end of the chain; kept outside, it proves later that nothing was cut off. */
  head(tenantId: string): Promise<Head> {
    return this.#ledger(tenantId).head();
  }

  /** A fresh stub each time: one that broke stays broken. */
  #ledger(tenantId: string): Ledger {
    return this.#ledgers.get(objectIdFor(this.#ledgers, this.#environment, tenantId as TenantId));
  }
}

function isOverloaded(error: unknown): boolean {
  return typeof error === "object" && error !== null && "overloaded" in error && error.overloaded === true;
}
