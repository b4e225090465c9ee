import { and, count, desc, eq, gt, lt, lte, or, type SQL } from "drizzle-orm";
import { z } from "zod";
import { canonicalJson } from "../audit/canonical-json.ts";
import { fitForOutbox } from "../audit/clean.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { sha256Hex } from "../base/digest.ts";
import { type AgentId, type ApprovalId, idSchema, newId, type TenantId } from "../base/ids.ts";
import { decodeCursor, encodeCursor, type Page } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import { readSecretUse } from "../connections/secret-use.ts";
import type { Agent } from "../identity/agents.ts";
import { approvalNeed } from "../identity/approval-need.ts";
import { eventBy } from "../identity/events.ts";
import type { ApprovalGate, GateVerdict, HeldRequest } from "../tokens/approval-gate.ts";
import type { TokenRequest } from "../tokens/schemas.ts";
import type { TokenAsker } from "../tokens/tokens.ts";
import { readStrictSecrets } from "../vault/strict-secrets.ts";
import { markExpired } from "./expiry.ts";
import { type Reached, reachOf } from "./reach.ts";
import { approvals, type ApprovalStatus } from "./tables.ts";

export type Approval = typeof approvals.$inferSelect;

/** How long people have to answer. */
const ANSWERED_WITHIN_MS = 3_600_000;
/** An agent that asks for more waits for answers first. */
const MAX_PENDING = 20;
/** What is looked through for what a request reaches. */
const MAX_STRICT_SECRETS = 5_000;
const MAX_CONNECTIONS = 5_000;

const FIRST_LOOK_MS = 250;
const LATER_LOOKS_MS = 2_000;

/** What reaches no secret needs nobody, whatever changes meanwhile. */
const ANY_TIME: GateVerdict = { kind: "free", epoch: Number.MAX_SAFE_INTEGER };

const cursorSchema = z.tuple([z.number().int(), idSchema("approval")]);

/** Requests that people have to answer. One of another tenant is one that does not exist. */
export class Approvals implements ApprovalGate {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The tenant's events wait in the outbox. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#onEvents = parts.onEvents;
  }

  /**
   * A request for a token that reaches secrets above the standard tier waits for people, according to `approvalNeed`.
   * The same request while that is open is that one. Throws CONFLICT where 20 of the agent's are open.
   */
  async ask(caller: TokenAsker, agent: Agent, request: TokenRequest): Promise<GateVerdict> {
    const { tenantId } = caller;
    if (request.scopes.every((scope) => scope === "namespaces:read")) return ANY_TIME;
    const { epoch, value: strict } = await readStrictSecrets(this.#db, tenantId, MAX_STRICT_SECRETS);
    const uses = strict?.length === 0 ? [] : await readSecretUse(this.#db, tenantId, MAX_CONNECTIONS);
    const reached = reachOf(request.scopes, strict, uses);
    // An agent that nobody trusts is asked for whatever it reaches: what its scopes match is also made tomorrow.
    const need = approvalNeed(reached.tier, agent.trustTier);
    if (need.approvals === 0) return { kind: "free", epoch };
    const digest = digestOf(caller.agentId, request);
    const open = await this.#open(tenantId, caller.agentId, digest);
    if (open !== null) return open;
    const row = {
      id: newId("approval"),
      agentId: caller.agentId,
      ...{ digest, request, reach: reached.reach, tier: reached.tier },
      approvalsNeeded: need.approvals,
      delaySeconds: need.delaySeconds,
      ip: caller.request.ip,
      status: "pending" as const,
      createdAt: this.#clock(),
      expiresAt: this.#clock() + ANSWERED_WITHIN_MS,
    };
    return this.#write(caller, row, reached);
  }

  async #open(tenantId: TenantId, agentId: AgentId, digest: string): Promise<HeldRequest | null> {
    const db = this.#db.of(tenantId).onPrimary();
    const now = this.#clock();
    const own = and(eq(approvals.agentId, agentId), eq(approvals.status, "pending"));
    const [same, stale, [open]] = await db.batch([
      db
        .select()
        .from(approvals)
        .where(and(own, eq(approvals.digest, digest), gt(approvals.expiresAt, now))),
      db
        .select({ id: approvals.id })
        .from(approvals)
        .where(and(own, lte(approvals.expiresAt, now))),
      db
        .select({ count: count() })
        .from(approvals)
        .where(and(own, gt(approvals.expiresAt, now))),
    ]);
    const [held] = same;
    if (held !== undefined) return { kind: "held", approvalId: held.id, expiresAt: held.expiresAt };
    if (stale.length > 0) {
      await markExpired(
        this.#db,
        tenantId,
        stale.map(({ id }) => id),
        now,
      );
      this.#onEvents(tenantId);
    }
    if ((open?.count ?? 0) < MAX_PENDING) return null;
    throw new Problem("CONFLICT", `This agent has ${MAX_PENDING} requests that wait for people.`, {
      why: "Wait for their answers, or until the oldest has been open for an hour.",
    });
  }

  async #write(
    caller: TokenAsker,
    row: Omit<typeof approvals.$inferInsert, "tenantId">,
    { tier, reach }: Reached,
  ): Promise<HeldRequest> {
    const { tenantId } = caller;
    const db = this.#db.of(tenantId);
    const event = eventBy(caller, row.createdAt, {
      event_type: "approval.requested",
      resource_type: "approval",
      resource: row.id,
      context: {
        request_id: caller.request.requestId,
        ...row.request.context,
        agent_id: caller.agentId,
        tier,
        approvals_needed: row.approvalsNeeded,
        delay_seconds: row.delaySeconds,
        expires_at: new Date(row.expiresAt).toISOString(),
        digest: row.digest,
        secrets: reach.secrets,
        connections: reach.connections,
        scopes: row.request.scopes,
      },
    });
    try {
      await db.batch([
        db.insert(approvals).values(row),
        db.insert(auditOutbox).values({ event: fitForOutbox(event) }),
      ]);
    } catch (error) {
      // Someone was faster with the same one.
      const open = await this.#open(tenantId, caller.agentId, row.digest);
      if (open !== null) return open;
      throw error;
    }
    this.#onEvents(tenantId);
    return { kind: "held", approvalId: row.id, expiresAt: row.expiresAt };
  }

  /** Newest first. */
  async list(
    tenantId: TenantId,
    status: ApprovalStatus | undefined,
    { limit, cursor }: Page,
  ): Promise<{ readonly approvals: readonly Approval[]; readonly nextCursor: string | null }> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, cursorSchema);
    const rows = await this.#db
      .of(tenantId)
      .select()
      .from(approvals)
      .where(
        and(
          this.#isStatus(status),
          after &&
            or(
              lt(approvals.createdAt, after[0]),
              and(eq(approvals.createdAt, after[0]), lt(approvals.id, after[1])),
            ),
        ),
      )
      .orderBy(desc(approvals.createdAt), desc(approvals.id))
      .limit(limit + 1);
    const page = rows.slice(0, limit).map((row) => this.#asOfNow(row));
    const last = page.at(-1);
    const more = rows.length > limit && last !== undefined;
    return { approvals: page, nextCursor: more ? encodeCursor([last.createdAt, last.id]) : null };
  }

  /** Throws NOT_FOUND, also for another agent's. */
  async get(tenantId: TenantId, agentId: AgentId, id: ApprovalId): Promise<Approval> {
    const rows = await this.#db
      .of(tenantId)
      .onPrimary()
      .select()
      .from(approvals)
      .where(and(eq(approvals.id, id), eq(approvals.agentId, agentId)));
    if (rows[0] === undefined) throw new Problem("NOT_FOUND", "There is no such request for approval.");
    return this.#asOfNow(rows[0]);
  }

  /** As `get`, once it is answered, or after so many seconds. */
  async wait(tenantId: TenantId, agentId: AgentId, id: ApprovalId, seconds: number): Promise<Approval> {
    const until = this.#clock() + seconds * 1_000;
    for (let pause = FIRST_LOOK_MS; ; pause = Math.min(pause * 2, LATER_LOOKS_MS)) {
      const approval = await this.get(tenantId, agentId, id);
      const left = until - this.#clock();
      if (approval.status !== "pending" || left <= 0) return approval;
      await scheduler.wait(Math.min(pause, left));
    }
  }

  #isStatus(status: ApprovalStatus | undefined): SQL | undefined {
    if (status === undefined) return undefined;
    const now = this.#clock();
    const isLate = and(eq(approvals.status, "pending"), lte(approvals.expiresAt, now));
    if (status === "pending") return and(eq(approvals.status, "pending"), gt(approvals.expiresAt, now));
    return status === "expired" ? or(eq(approvals.status, "expired"), isLate) : eq(approvals.status, status);
  }

  #asOfNow(row: Approval): Approval {
    return row.status === "pending" && row.expiresAt <= this.#clock() ? { ...row, status: "expired" } : row;
  }
}

/** Of what is asked for, the reason given included, and by whom. */
function digestOf(agentId: AgentId, request: TokenRequest): string {
  return sha256Hex(canonicalJson({ kind: "token", agent_id: agentId, ...request }));
}
