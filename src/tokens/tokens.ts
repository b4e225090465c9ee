import { and, desc, eq, isNull, lt, or, sql } from "drizzle-orm";
import { z } from "zod";
import { auditOutbox } from "../audit/tables.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { type AgentId, idSchema, newId, type TenantId, type TokenId } from "../base/ids.ts";
import { newTokenId } from "../base/jurisdiction.ts";
import { decodeCursor, encodeCursor, type Page } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import { Redacted } from "../base/redacted.ts";
import type { Agent } from "../identity/agent-rows.ts";
import type { Caller, MemberCaller } from "../identity/caller.ts";
import type { ChangeResult, TenantChanges, Watermark } from "../identity/changes.ts";
import type { Leases, RevocationGate, RevokedToken } from "../identity/leases.ts";
import type { ApprovalGate, HeldRequest } from "./approval-gate.ts";
import type { TokenObject, TokenState } from "./charge.ts";
import { frozen } from "./denial.ts";
import { type Grant, grantOf } from "./grant.ts";
import { CHANGED_MEANWHILE, changedMeanwhile, insertToken } from "./insert-token.ts";
import type { IssueTerms, TokenAsker } from "./issue-terms.ts";
import { lineIds, rootOf } from "./line.ts";
import { checkBounds } from "./request-bounds.ts";
import type { TokenRequest } from "./schemas.ts";
import { tokens } from "./tables.ts";
import { tokenEvent } from "./token-events.ts";
import type { TokenSigner } from "./token.ts";

/** A row of the token index as people see it. */
export type IndexedToken = Grant & { readonly revokedAt: number | null };

export interface TokenParts {
  readonly db: Database;
  readonly signer: TokenSigner;
  readonly agents: { get(tenantId: TenantId, agentId: AgentId): Promise<{ readonly agent: Agent }> };
  readonly approvals: ApprovalGate;
  readonly changes: TenantChanges;
  readonly leases: Pick<Leases, "current" | "ask">;
  readonly object: (tokenId: TokenId) => TokenObject;
  readonly gate: (tenantId: TenantId) => RevocationGate;
  readonly clock: Clock;
  /** Brings the tenant's events from the outbox to the ledger. */
  readonly flush: (tenantId: TenantId) => Promise<void>;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

/** What the token of a permission is: its id was drawn with the permission's, so that there is never a second one. */
export type PermittedToken = Pick<
  Grant,
  "tokenId" | "scopes" | "allow" | "maxUses" | "jkt" | "context" | "expiresAt" | "permission" | "epoch"
>;

export interface IssuedToken {
  readonly kind: "issued";
  readonly token: Redacted;
  readonly grant: Grant;
}

const TELL_ATTEMPTS = 3;

const cursorSchema = z.tuple([z.number().int(), idSchema("token")]);

/** Issues, shows and revokes scoped tokens. A token of another tenant is one that does not exist. */
export class Tokens {
  readonly #parts: TokenParts;

  constructor(parts: TokenParts) {
    this.#parts = parts;
  }

  /** As `request`. Throws APPROVAL_REQUIRED where people have to answer first; the request is written down all the same. */
  async issue(
    caller: TokenAsker,
    request: TokenRequest,
    terms: IssueTerms | null = null,
  ): Promise<IssuedToken> {
    const answer = await this.request(caller, request, terms);
    if (answer.kind === "issued") return answer;
    throw new Problem("APPROVAL_REQUIRED", `People have to approve this first: ${answer.approvalId}.`, {
      why: "Repeat the same request: once they have approved it, it is answered with the token.",
      approvalId: answer.approvalId,
    });
  }

  /**
   * Issues a token within the agent's bounds, or holds the request where people have to answer first. Throws
   * SCOPE_DENIED where the bounds do not cover what is asked for, and TENANT_FROZEN. The row is written only if the
   * agent is, in that very statement, as it was when its bounds were read: a token never slips past an agent's being
   * disabled or narrowed; else CONFLICT.
   */
  async request(
    caller: TokenAsker,
    request: TokenRequest,
    terms: IssueTerms | null = null,
  ): Promise<IssuedToken | HeldRequest> {
    const { db, clock, leases, signer, waitUntil } = this.#parts;
    const lease =
      leases.current(caller.tenantId, waitUntil) ?? (await leases.ask(caller.tenantId, waitUntil));
    if (lease.frozen) throw frozen();
    const { agent } = await this.#parts.agents.get(caller.tenantId, caller.agentId);
    if (terms !== null && terms.agentUpdatedAt !== agent.updatedAt) throw changedMeanwhile();
    checkBounds(agent, request);
    const tokenId = newTokenId(caller.tenantId);
    const asked = { tokenId, epoch: lease.epoch, terms };
    const verdict = await this.#parts.approvals.ask(caller, agent, request, asked);
    if (verdict.kind === "held") return verdict;
    const issuedAt = clock();
    const wanted = Math.ceil(issuedAt / 1000 + request.ttl) * 1000;
    const draft: Omit<Grant, "epoch"> = {
      ancestors: [],
      tokenId,
      tenantId: caller.tenantId,
      agentId: caller.agentId,
      scopes: request.scopes,
      ipAllowlist: request.ip_allowlist.length > 0 ? request.ip_allowlist : agent.ipAllowlist,
      maxUses: request.max_uses ?? null,
      rate: request.rate ?? null,
      allow: request.allow ?? null,
      tool: request.tool ?? null,
      user: request.user ?? null,
      jkt: request.dpop_jkt ?? null,
      permission: null,
      context: request.context,
      issuedAt,
      expiresAt: Math.min(wanted, terms?.notAfter ?? wanted),
    };
    const ground = { agentUpdatedAt: agent.updatedAt, epoch: verdict.epoch };
    const approval = verdict.kind === "granted" ? { approval_id: verdict.approvalId } : {};
    const evidence = { ...terms?.evidence, ...approval };
    const writing = insertToken({ db, now: clock() }, caller, draft, ground, evidence);
    const epoch = await writing.catch(async (error: unknown) => {
      // Only what surely was not issued: what may have been is used up.
      const isNotIssued = error instanceof Problem && error.message === CHANGED_MEANWHILE;
      if (isNotIssued && verdict.kind === "granted") {
        await this.#parts.approvals
          .release(caller.tenantId, verdict.approvalId, tokenId)
          .catch(() => undefined);
      }
      throw error;
    });
    waitUntil(this.#parts.flush(caller.tenantId));
    return { kind: "issued", token: new Redacted(signer.issue(draft)), grant: { ...draft, epoch } };
  }

  /**
   * The token of a permission: whoever permitted it has answered for what it reaches. Throws SCOPE_DENIED where the
   * agent's bounds do not cover it, TENANT_FROZEN, and CONFLICT where the agent was changed just now.
   */
  async permit(caller: TokenAsker, permitted: PermittedToken): Promise<IssuedToken> {
    const { db, clock, leases, signer, waitUntil } = this.#parts;
    const { tenantId, agentId } = caller;
    const lease = leases.current(tenantId, waitUntil) ?? (await leases.ask(tenantId, waitUntil));
    if (lease.frozen) throw frozen();
    const { agent } = await this.#parts.agents.get(tenantId, agentId);
    const { epoch: readAt, ...bound } = permitted;
    checkBounds(agent, { scopes: bound.scopes, ip_allowlist: [] });
    const draft: Omit<Grant, "epoch"> = {
      ...bound,
      ...{ ancestors: [], tenantId, agentId, ipAllowlist: agent.ipAllowlist },
      ...{ rate: null, tool: null, user: null, issuedAt: clock() },
    };
    const ground = { agentUpdatedAt: agent.updatedAt, epoch: readAt };
    const epoch = await insertToken({ db, now: clock() }, caller, draft, ground, {});
    waitUntil(this.#parts.flush(tenantId));
    return { kind: "issued", token: new Redacted(signer.issue(draft)), grant: { ...draft, epoch } };
  }

  /** Newest first; an agent sees its own. */
  async list(
    tenantId: TenantId,
    agentId: AgentId | null,
    { limit, cursor }: Page,
  ): Promise<{ readonly tokens: readonly IndexedToken[]; readonly nextCursor: string | null }> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, cursorSchema);
    const rows = await this.#parts.db
      .of(tenantId)
      .select()
      .from(tokens)
      .where(
        and(
          agentId === null ? undefined : eq(tokens.agentId, agentId),
          after &&
            or(lt(tokens.issuedAt, after[0]), and(eq(tokens.issuedAt, after[0]), lt(tokens.id, after[1]))),
        ),
      )
      .orderBy(desc(tokens.issuedAt), desc(tokens.id))
      .limit(limit + 1);
    const page = rows.slice(0, limit).map(toIndexed);
    const last = page.at(-1);
    const more = rows.length > limit && last !== undefined;
    return { tokens: page, nextCursor: more ? encodeCursor([last.issuedAt, last.tokenId]) : null };
  }

  /** Throws NOT_FOUND, also for another agent's token where an agent asks. */
  async get(tenantId: TenantId, agentId: AgentId | null, tokenId: TokenId): Promise<IndexedToken> {
    const [row] = await this.#parts.db
      .of(tenantId)
      .select()
      .from(tokens)
      .where(eq(tokens.id, tokenId))
      .limit(1);
    if (row === undefined || (agentId !== null && row.agentId !== agentId)) {
      throw new Problem("NOT_FOUND", "There is no such token.");
    }
    return toIndexed(row);
  }

  /** Uses so far; charges nothing. */
  async uses(token: Pick<Grant, "tokenId" | "expiresAt" | "ancestors">): Promise<TokenState> {
    return this.#parts.object(rootOf(token).tokenId).state(lineIds(token));
  }

  /**
   * Once this has returned, the token's next call is refused, everywhere, and its open streams end within L. Its own
   * object is told first: what the index says is true of the object as well. Where this throws, it can be done again.
   */
  async revoke(
    caller: MemberCaller | (TokenAsker & { readonly kind: "agent" }),
    tokenId: TokenId,
  ): Promise<void> {
    const { clock } = this.#parts;
    const { tenantId } = caller;
    const db = this.#parts.db.of(tenantId);
    const agentId = caller.kind === "agent" ? caller.agentId : null;
    const token = await this.get(tenantId, agentId, tokenId);
    const root = rootOf(token);
    const child = root.tokenId === tokenId ? undefined : { tokenId, expiresAt: token.expiresAt };
    await this.#tell(() => this.#parts.object(root.tokenId).revoke(tenantId, root.expiresAt, child));
    const streams = this.#tell(() => this.#parts.gate(tenantId).noteRevoked(revokedToken(token)));
    if (token.revokedAt !== null) return streams;
    const event = tokenEvent(caller, clock(), tokenId, "token.revoked", { agent_id: token.agentId });
    const index = db.batch([
      db.update(tokens).set({ revokedAt: clock() }).where(eq(tokens.id, tokenId)),
      // What descends from it is revoked with it: its object knows, and lists should say so.
      db
        .update(tokens)
        .set({ revokedAt: clock() })
        .where(
          and(
            eq(tokens.rootId, root.tokenId),
            isNull(tokens.revokedAt),
            sql`instr(${tokens.ancestors}, ${`"${tokenId}"`}) > 0`,
          ),
        ),
      db.insert(auditOutbox).values({ event }),
    ]);
    await Promise.all([index, streams]);
    this.#parts.waitUntil(this.#parts.flush(tenantId));
  }

  /**
   * Revokes a token by its text, where it is live and the caller's to revoke: any of its tenant for a member, an
   * agent's own for an agent, itself for a token. What is not is left alone.
   */
  async revokeByText(caller: Caller, text: string): Promise<void> {
    const claims = this.#parts.signer.verify(text, this.#parts.clock);
    if (claims === null || claims.tenantId !== caller.tenantId) return;
    if (caller.kind === "token" && claims.tokenId !== caller.grant.tokenId) return;
    const { tenantId, actor, request } = caller;
    const revoker =
      caller.kind === "token"
        ? { kind: "agent" as const, agentId: caller.grant.agentId, tenantId, actor, request }
        : caller;
    try {
      await this.revoke(revoker, claims.tokenId);
    } catch (error) {
      if (!(error instanceof Problem && error.code === "NOT_FOUND")) throw error;
    }
  }

  /** Tells that a token is revoked, which may be told many times. Throws UNAVAILABLE. */
  async #tell(tell: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await tell();
      } catch (cause) {
        if (attempt < TELL_ATTEMPTS) continue;
        throw new Problem("UNAVAILABLE", "The token could not be revoked. Try again.", { cause });
      }
    }
  }

  /** Every token issued until now that reaches the target: one write, however many tokens there are. */
  async revokeAll(caller: MemberCaller, watermark: Watermark): Promise<ChangeResult> {
    const event = tokenEvent(caller, this.#parts.clock(), newId("token"), "token.revoked", {
      bulk: watermark.kind,
      target: watermark.key,
    });
    return this.#parts.changes.apply(caller.tenantId, {
      statements: [],
      events: [{ ...event, resource: `${watermark.kind}:${watermark.key}` }],
      watermarks: [watermark],
    });
  }
}

function revokedToken({ tokenId, agentId, issuedAt }: IndexedToken): RevokedToken {
  return { tokenId, agentId, issuedAt };
}

function toIndexed(row: typeof tokens.$inferSelect): IndexedToken {
  return { ...grantOf(row), revokedAt: row.revokedAt };
}
