import { and, desc, eq, gt, isNotNull, isNull, lt, or } from "drizzle-orm";
import { z } from "zod";
import type { AuditLog } from "../audit/audit.ts";
import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent, EventType } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { matchesGlob } from "../base/glob.ts";
import { idSchema, type MemberId, newId, type RevealGrantId, type TenantId } from "../base/ids.ts";
import { decodeCursor, encodeCursor, type Page } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import type { MemberCaller } from "../identity/caller.ts";
import { endRevealGrants } from "./reveal-ends.ts";
import type { RevealGrantCreate } from "./reveal-schemas.ts";
import { secretEvent } from "./secret-events.ts";
import type { FoundSecret } from "./secret-index.ts";
import { revealGrants, secrets } from "./tables.ts";
import type { Vault } from "./vault.ts";

type Row = typeof revealGrants.$inferSelect;

/** Times are milliseconds since 1970. */
export type RevealGrant = Omit<Row, "tenantId"> & { readonly status: "pending" | "active" | "ended" };

export interface Revealed {
  readonly found: FoundSecret;
  readonly value: Redacted;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** So long a request waits for a second person. */
const WAITS_MS = 3_600_000;
/** So long admins are told of a grant, from when it was asked for. */
const TOLD_MS = 24 * 3_600_000;
const TOLD_AT_ONCE = 50;

const cursorSchema = z.tuple([z.number().int(), idSchema("revealGrant")]);

/**
 * How a person reads plaintext: under a grant of their own making that has a reason, is told to all admins, ends by
 * itself within the hour, and keeps its holder from the trail meanwhile. What covers a critical secret needs a second
 * person. What agents may read (`reveal`) is another matter, and says nothing here.
 */
export class RevealGrants {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #vault: Pick<Vault, "index" | "reveal">;
  readonly #audit: Pick<AuditLog, "record">;
  readonly #mayBeOne: (tenantId: TenantId, one: MemberId, other: MemberId) => Promise<boolean>;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    readonly vault: Pick<Vault, "index" | "reveal">;
    readonly audit: Pick<AuditLog, "record">;
    /** Whether one of two persons may have made up the other just now. */
    readonly mayBeOne: (tenantId: TenantId, one: MemberId, other: MemberId) => Promise<boolean>;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#vault = parts.vault;
    this.#audit = parts.audit;
    this.#mayBeOne = parts.mayBeOne;
    this.#onEvents = parts.onEvents;
  }

  /** Active at once, or pending where it covers a critical secret. Throws SECRET_NOT_FOUND for a path without a secret. */
  async create(caller: MemberCaller, { path, reason, ttl }: RevealGrantCreate): Promise<RevealGrant> {
    const { tenantId, memberId } = caller;
    const db = this.#db.of(tenantId);
    const rows = await db
      .select({ path: secrets.path, tier: secrets.accessTier })
      .from(secrets)
      .where(and(isNull(secrets.deletedAt), path.includes("*") ? undefined : eq(secrets.path, path)));
    const covered = rows.filter((secret) => matchesGlob(path, secret.path));
    if (covered.length === 0) throw new Problem("SECRET_NOT_FOUND", "There is no secret that this covers.");
    const waits = covered.some(({ tier }) => tier === "critical");
    const now = this.#clock();
    const row: Row = {
      ...{ id: newId("revealGrant"), tenantId, memberId, pattern: path, reason, ttlSeconds: ttl },
      ...{ requestedAt: now, startsAt: waits ? null : now },
      expiresAt: now + (waits ? WAITS_MS : ttl * 1_000),
      ...{ approvedBy: null, endedAt: null, endedBy: null },
    };
    const event = this.#event(caller, waits ? "reveal.requested" : "reveal.granted", row);
    const { $client: client } = db;
    await client.batch([
      client
        .prepare(
          `insert into reveal_grants (id, tenant_id, member_id, pattern, reason, ttl_seconds, requested_at, starts_at, expires_at)
           values (?2, ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`,
        )
        .bind(tenantId, row.id, memberId, path, reason, ttl, now, row.startsAt, row.expiresAt),
      client
        .prepare("insert into audit_outbox (tenant_id, event) values (?1, ?2)")
        .bind(tenantId, JSON.stringify(event)),
    ]);
    this.#onEvents(tenantId);
    return fromRow(row, now);
  }

  /**
   * The second person's word: it begins now. Throws NOT_FOUND, CONFLICT for one that does not wait (any more), ROLE_DENIED
   * for who asked for it, and for who may be the same person (attack 74).
   */
  async approve(caller: MemberCaller, id: RevealGrantId): Promise<RevealGrant> {
    const { tenantId, memberId } = caller;
    const row = await this.#get(tenantId, id);
    if (row.memberId === memberId) {
      throw new Problem("ROLE_DENIED", "Nobody approves their own request.", { why: "Ask another admin." });
    }
    if (await this.#mayBeOne(tenantId, memberId, row.memberId)) {
      throw new Problem("ROLE_DENIED", "One of you two let the other in within the last 24 hours.", {
        why: "Ask an admin who has been here for longer.",
      });
    }
    const now = this.#clock();
    const begun: Row = {
      ...row,
      startsAt: now,
      expiresAt: now + row.ttlSeconds * 1_000,
      approvedBy: memberId,
    };
    const { $client: client } = this.#db.of(tenantId);
    const waits = "tenant_id = ?1 and id = ?2 and starts_at is null and ended_at is null and expires_at > ?3";
    const [written] = await client.batch([
      client
        .prepare(
          `insert into audit_outbox (tenant_id, event)
           select ?1, ?4 where exists (select 1 from reveal_grants where ${waits} and member_id <> ?5) returning seq`,
        )
        .bind(tenantId, id, now, JSON.stringify(this.#event(caller, "reveal.granted", begun)), memberId),
      client
        .prepare(
          `update reveal_grants set starts_at = ?3, expires_at = ?4, approved_by = ?5
           where ${waits} and member_id <> ?5`,
        )
        .bind(tenantId, id, now, begun.expiresAt, memberId),
    ]);
    if (written?.results.length !== 1) {
      throw new Problem("CONFLICT", "This does not wait for anybody's word any more.");
    }
    this.#onEvents(tenantId);
    return fromRow(begun, now);
  }

  /** Ends one, pending or active: the caller's own, or any where the caller is an admin. Throws NOT_FOUND. */
  async end(caller: MemberCaller, id: RevealGrantId): Promise<void> {
    const { tenantId, memberId, role } = caller;
    const row = await this.#get(tenantId, id);
    if (row.memberId !== memberId && role !== "admin") throw notFound();
    const now = this.#clock();
    await endRevealGrants(this.#db, tenantId, now, [
      { row, at: now, endedBy: memberId, event: this.#event(caller, "reveal.ended", row) },
    ]);
    this.#onEvents(tenantId);
  }

  /** Newest first: all of them, or for an editor the caller's own. */
  async list(
    { tenantId, memberId, role }: MemberCaller,
    page: Page,
  ): Promise<{ readonly grants: readonly RevealGrant[]; readonly nextCursor: string | null }> {
    const [at, id] = page.cursor === undefined ? [null, null] : decodeCursor(page.cursor, cursorSchema);
    const rows = await this.#db
      .of(tenantId)
      .select()
      .from(revealGrants)
      .where(
        and(
          role === "editor" ? eq(revealGrants.memberId, memberId) : undefined,
          at === null
            ? undefined
            : or(
                lt(revealGrants.requestedAt, at),
                and(eq(revealGrants.requestedAt, at), lt(revealGrants.id, id)),
              ),
        ),
      )
      .orderBy(desc(revealGrants.requestedAt), desc(revealGrants.id))
      .limit(page.limit + 1);
    const now = this.#clock();
    const grants = rows.slice(0, page.limit).map((row) => fromRow(row, now));
    const last = grants.at(-1);
    const nextCursor = rows.length > page.limit && last ? encodeCursor([last.requestedAt, last.id]) : null;
    return { grants, nextCursor };
  }

  /** What admins and auditors are told: grants of the last 24 hours, and what waits for a second person. Newest first. */
  async notices(tenantId: TenantId): Promise<readonly RevealGrant[]> {
    const now = this.#clock();
    const rows = await this.#db
      .of(tenantId)
      .select()
      .from(revealGrants)
      .where(gt(revealGrants.requestedAt, now - TOLD_MS))
      .orderBy(desc(revealGrants.requestedAt), desc(revealGrants.id))
      .limit(TOLD_AT_ONCE);
    return rows.map((row) => fromRow(row, now));
  }

  /**
   * The plaintext, once that it is read is in the ledger. Throws REVEAL_DENIED without an active grant, whether or not the
   * secret exists; then SECRET_NOT_FOUND, SECRET_EXPIRED, and APPROVAL_REQUIRED for a critical secret (it may have become
   * one since) under a grant that nobody approved; UNAVAILABLE where the reading cannot be recorded.
   */
  async reveal(caller: MemberCaller, path: string, version?: number): Promise<Revealed> {
    const { tenantId } = caller;
    const now = this.#clock();
    const covering = (await this.#active(caller, now)).filter(({ pattern }) => matchesGlob(pattern, path));
    const grant = covering.find(({ approvedBy }) => approvedBy !== null) ?? covering[0];
    if (grant === undefined) {
      throw new Problem("REVEAL_DENIED", "You have no active grant that covers this path.", {
        why: "Ask for one with `POST /v1/reveal-grants`, giving a reason.",
      });
    }
    const current = await this.#vault.index.find(tenantId, path);
    const found =
      version === undefined ? current : current && (await this.#vault.index.find(tenantId, path, version));
    if (found === null) throw new Problem("SECRET_NOT_FOUND", "There is no secret at this path.");
    const { secret, sealed } = found;
    if (secret.expiresAt !== null && secret.expiresAt <= now) {
      throw new Problem("SECRET_EXPIRED", "The secret has expired: its value is not read any more.");
    }
    if (secret.accessTier === "critical" && grant.approvedBy === null) {
      throw new Problem("APPROVAL_REQUIRED", "This secret is critical, and nobody has approved your grant.", {
        why: "Ask for a new grant: it will wait for a second person.",
      });
    }
    const value = await this.#vault.reveal(tenantId, sealed);
    const context = { version: sealed.version, reveal_grant_id: grant.id, reason: grant.reason };
    await this.#audit.record(tenantId, [secretEvent(caller, now, "secret.read", path, context)]);
    return { found, value, at: now };
  }

  /** Throws TRAIL_SUSPENDED for who may read plaintext right now: nobody looks meanwhile at what is written of it. */
  async requireTrail(caller: MemberCaller): Promise<void> {
    const [grant] = await this.#active(caller, this.#clock());
    if (grant === undefined) return;
    throw new Problem("TRAIL_SUSPENDED", "While you may read plaintext you do not read the trail.", {
      why: `End your grant, \`DELETE /v1/reveal-grants/${grant.id}\`, or wait until it ends by itself.`,
    });
  }

  #active({ tenantId, memberId }: MemberCaller, now: number): Promise<readonly Row[]> {
    return this.#db
      .of(tenantId)
      .select()
      .from(revealGrants)
      .where(
        and(
          ...[eq(revealGrants.memberId, memberId), gt(revealGrants.expiresAt, now)],
          ...[isNotNull(revealGrants.startsAt), isNull(revealGrants.endedAt)],
        ),
      );
  }

  async #get(tenantId: TenantId, id: RevealGrantId): Promise<Row> {
    const [row] = await this.#db.of(tenantId).select().from(revealGrants).where(eq(revealGrants.id, id));
    if (row === undefined) throw notFound();
    return row;
  }

  #event(caller: MemberCaller, type: Extract<EventType, `reveal.${string}`>, row: Row): AuditEvent {
    return fitForOutbox({
      id: newId("event"),
      ...{ event_type: type, resource_type: "reveal_grant", resource: row.id, actor: caller.actor },
      ip_address: caller.request.ip,
      user_agent: caller.request.userAgent,
      outcome: "success",
      timestamp: new Date(this.#clock()).toISOString(),
      context: {
        ...{ member_id: row.memberId, path: row.pattern, reason: row.reason, ttl_seconds: row.ttlSeconds },
        expires_at: new Date(row.expiresAt).toISOString(),
        ...(row.approvedBy === null ? {} : { approved_by: row.approvedBy }),
      },
    });
  }
}

function fromRow({ tenantId: _tenantId, ...row }: Row, now: number): RevealGrant {
  const isOver = row.endedAt !== null || row.expiresAt <= now;
  return { ...row, status: isOver ? "ended" : row.startsAt === null ? "pending" : "active" };
}

const notFound = (): Problem => new Problem("NOT_FOUND", "There is no such grant.");
