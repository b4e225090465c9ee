import { fitForOutbox } from "../audit/clean.ts";
import { auditOutbox } from "../audit/tables.ts";
import { BoundedCache } from "../base/cache.ts";
import type { DeniedBy } from "../base/denied-by.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { type AgentId, newId, type TenantId } from "../base/ids.ts";
import type { RequestInfo } from "../base/request.ts";

const MINUTE_MS = 60_000;

/** What an isolate has written down of refused exchanges: by agent, reason and rule, when, and how many came since. */
export class RefusalCounts {
  readonly #groups = new BoundedCache<string, { readonly minute: number; repeats: number }>(1_000);

  /** How many came since the last that was written down; null: this one is only counted. */
  next(key: string, now: number): number | null {
    const minute = Math.floor(now / MINUTE_MS);
    const group = this.#groups.get(key);
    if (group?.minute === minute) {
      group.repeats++;
      return null;
    }
    this.#groups.set(key, { minute, repeats: 0 });
    return group?.repeats ?? 0;
  }
}

export interface RefusedExchange {
  readonly tenantId: TenantId;
  readonly agentId: AgentId;
  readonly reason: string;
  readonly by: DeniedBy | undefined;
  readonly context: Readonly<Record<string, unknown>>;
  readonly request: RequestInfo;
}

/**
 * Refused exchanges in their agent's ledger: anybody can cause one, so alike ones are one event per agent, reason, rule,
 * minute and isolate; the next says how many came before it.
 */
export class RefusedExchanges {
  readonly #db: Database;
  readonly #counts: RefusalCounts;
  readonly #clock: Clock;
  readonly #flush: (tenantId: TenantId) => Promise<void>;
  readonly #waitUntil: (promise: Promise<unknown>) => void;

  constructor(parts: {
    readonly db: Database;
    /** The isolate's. */
    readonly counts: RefusalCounts;
    readonly clock: Clock;
    readonly flush: (tenantId: TenantId) => Promise<void>;
    readonly waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.#db = parts.db;
    this.#counts = parts.counts;
    this.#clock = parts.clock;
    this.#flush = parts.flush;
    this.#waitUntil = parts.waitUntil;
  }

  /** The answer does not wait for it. */
  note(refused: RefusedExchange): void {
    const now = this.#clock();
    const { agentId, reason, by } = refused;
    const repeats = this.#counts.next(`${agentId}\n${reason}\n${JSON.stringify(by)}`, now);
    if (repeats !== null) this.#waitUntil(this.#write(refused, repeats, now).catch(() => undefined));
  }

  async #write(
    { tenantId, agentId, reason, by, context, request }: RefusedExchange,
    repeats: number,
    now: number,
  ) {
    const event = fitForOutbox({
      id: newId("event"),
      event_type: "token.denied",
      resource_type: "agent",
      resource: agentId,
      // Who it was is what could not be told.
      actor: "system",
      ip_address: request.ip,
      user_agent: request.userAgent,
      outcome: "denied",
      timestamp: new Date(now).toISOString(),
      context: {
        request_id: request.requestId,
        grant: "token-exchange",
        reason,
        ...by,
        ...context,
        ...(repeats > 0 ? { repeated_before: repeats } : {}),
      },
    });
    await this.#db.of(tenantId).insert(auditOutbox).values({ event });
    await this.#flush(tenantId);
  }
}
