import { fitForOutbox } from "../audit/clean.ts";
import { auditOutbox } from "../audit/tables.ts";
import { BoundedCache } from "../base/cache.ts";
import type { DeniedBy } from "../base/denied-by.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { type AgentId, newId, type TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { RequestInfo } from "../base/request.ts";
import type { AgentCaller } from "../identity/caller.ts";

const MINUTE_MS = 60_000;

/** What an isolate has written down of refused requests: by agent, reason and rule, when, and how many came since. */
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

export interface RefusedRequest {
  readonly tenantId: TenantId;
  readonly agentId: AgentId;
  /** `system` where it could not be told who it was. */
  readonly actor: string;
  /** Of a token or of a permission. */
  readonly type: "token.denied" | "permission.denied";
  readonly reason: string;
  readonly by: DeniedBy | undefined;
  readonly context: Readonly<Record<string, unknown>>;
  readonly request: RequestInfo;
}

/**
 * Refused requests for tokens and permissions in their agent's ledger. Of exchanges anybody can cause one, and an agent as
 * many as it likes: alike ones are one event per agent, reason, rule, minute and isolate; the next says how many came
 * before it.
 */
export class RefusedRequests {
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

  /** `work`, which an agent asked for with its key: where it is forbidden, that is written down. */
  async watch<T>(
    { tenantId, agentId, actor, request }: AgentCaller,
    { type, ...context }: Pick<RefusedRequest, "type"> & Readonly<Record<string, unknown>>,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Problem && error.status === 403) {
        const { code: reason, options } = error;
        this.note({ tenantId, agentId, actor, type, reason, by: options.by, context, request });
      }
      throw error;
    }
  }

  /** The answer does not wait for it. */
  note(refused: RefusedRequest): void {
    const now = this.#clock();
    const { agentId, type, actor, reason, by } = refused;
    const repeats = this.#counts.next([agentId, type, actor, reason, JSON.stringify(by)].join("\n"), now);
    if (repeats !== null) this.#waitUntil(this.#write(refused, repeats, now).catch(() => undefined));
  }

  async #write(
    { tenantId, agentId, actor, type, reason, by, context, request }: RefusedRequest,
    repeats: number,
    now: number,
  ) {
    const event = fitForOutbox({
      id: newId("event"),
      event_type: type,
      resource_type: "agent",
      resource: agentId,
      actor,
      ip_address: request.ip,
      user_agent: request.userAgent,
      outcome: "denied",
      timestamp: new Date(now).toISOString(),
      context: {
        request_id: request.requestId,
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
