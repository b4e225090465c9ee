import type { CaseStatus } from "../approvals/case.ts";
import type { Desks } from "../approvals/desks.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { AgentId, PermissionId, TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { AgentCaller, MemberCaller } from "../identity/caller.ts";
import type { TokenState } from "../tokens/charge.ts";
import type { Grant } from "../tokens/grant.ts";
import type { Tokens } from "../tokens/tokens.ts";
import { permissionEvent } from "./permission-events.ts";
import { getPermission, listPermissions, movePermission, type PermissionRow } from "./permission-rows.ts";
import type { PermissionListQuery, PermissionStatus } from "./schemas.ts";

export interface StandingParts {
  readonly db: Database;
  readonly desks: Pick<Desks, "run">;
  readonly tokens: Pick<Tokens, "revoke" | "uses">;
  readonly clock: Clock;
  readonly onEvents: (tenantId: TenantId) => void;
}

/** A permission as it is right now. */
export interface Standing {
  readonly row: PermissionRow;
  readonly status: PermissionStatus;
  /** Null where it has no token that could be used. */
  readonly usesLeft: number | null;
}

/** What the desk's word for it means for a permission that was not collected. */
const STATUS_OF: Readonly<Record<CaseStatus, PermissionStatus>> = {
  pending: "pending",
  approved: "approved",
  consumed: "approved",
  denied: "denied",
  cancelled: "revoked",
  expired: "expired",
};

/** How permissions stand: what is stored, what their desk says, and what their tokens have left. */
export class PermissionStandings {
  readonly #parts: StandingParts;

  constructor(parts: StandingParts) {
    this.#parts = parts;
  }

  /** Throws NOT_FOUND, also for another agent's where an agent asks. */
  async get(tenantId: TenantId, agentId: AgentId | null, id: PermissionId): Promise<Standing> {
    return this.of(await getPermission(this.#parts.db, tenantId, agentId, id));
  }

  /** Newest first. A page may be short although more are to come: a status is only known once it was looked at. */
  async list(
    tenantId: TenantId,
    query: PermissionListQuery,
  ): Promise<{ readonly standings: readonly Standing[]; readonly nextCursor: string | null }> {
    const { db, clock } = this.#parts;
    const { rows, nextCursor } = await listPermissions(db, tenantId, query, clock());
    const all = await Promise.all(rows.map((row) => this.of(row)));
    const { status } = query;
    const standings = status === undefined ? all : all.filter((standing) => standing.status === status);
    return { standings, nextCursor };
  }

  /** What time and uses have made of it is written down. */
  async of(row: PermissionRow): Promise<Standing> {
    const { clock } = this.#parts;
    if (row.status !== "pending" && row.status !== "approved")
      return { row, status: row.status, usesLeft: null };
    if (row.expiresAt <= clock()) return this.#settle(row, "expired");
    if (row.status === "pending") return this.#asked(row);
    if (row.collectedAt === null) return { row, status: "approved", usesLeft: row.maxUses };
    const { uses, revoked } = await this.#uses(row);
    if (revoked) return { row, status: "revoked", usesLeft: null };
    if (uses >= row.maxUses) return this.#settle(row, "used");
    return { row, status: "approved", usesLeft: row.maxUses - uses };
  }

  /**
   * Ends a permission, and its token with it, and its question to people; an agent its own, a member any. What has
   * ended otherwise stays as it is. Throws NOT_FOUND.
   */
  async revoke(caller: AgentCaller | MemberCaller, id: PermissionId): Promise<Standing> {
    const { clock, db, desks, tokens, onEvents } = this.#parts;
    const agentId = caller.kind === "agent" ? caller.agentId : null;
    const row = await getPermission(db, caller.tenantId, agentId, id);
    const now = clock();
    const to = { status: "revoked", decidedAt: row.decidedAt ?? now } as const;
    // First the row: who hands the token out looks at it afterwards, and takes it back.
    if (row.status === "pending" || row.status === "approved") {
      await movePermission(
        db,
        row,
        ["pending", "approved"],
        to,
        permissionEvent(caller, now, "revoked", row),
      );
      onEvents(row.tenantId);
    }
    await tokens.revoke(caller, row.tokenId).catch((error: unknown) => {
      if (!(error instanceof Problem && error.code === "NOT_FOUND")) throw error;
    });
    const { approvalId } = row;
    if (row.collectedAt === null && approvalId !== null) {
      const { ip, userAgent, requestId } = caller.request;
      const by = { actor: caller.actor, ip, userAgent, requestId };
      await desks.run(row.tenantId, (desk) => desk.cancel(approvalId, "The permission was revoked.", by));
    }
    return this.of(await getPermission(db, caller.tenantId, agentId, id));
  }

  /** What people have made of it and the agent has not yet collected. */
  async #asked(row: PermissionRow): Promise<Standing> {
    const { tenantId, approvalId } = row;
    if (approvalId === null) return { row, status: "pending", usesLeft: null };
    const found = await this.#parts.desks.run(tenantId, (desk) => desk.get(approvalId));
    const status = found === null ? "expired" : STATUS_OF[found.held.status];
    if (status === "expired") return this.#settle(row, "expired");
    const expiresAt = found?.held.expiresAt ?? row.expiresAt;
    return { row: { ...row, expiresAt }, status, usesLeft: null };
  }

  async #uses(row: PermissionRow): Promise<TokenState> {
    const token: Pick<Grant, "tokenId" | "expiresAt" | "ancestors"> = {
      ...{ tokenId: row.tokenId, expiresAt: row.expiresAt, ancestors: [] },
    };
    return this.#parts.tokens.uses(token);
  }

  async #settle(row: PermissionRow, status: "expired" | "used"): Promise<Standing> {
    const { clock, db, onEvents } = this.#parts;
    const now = clock();
    const at = status === "expired" ? Math.min(row.expiresAt, now) : now;
    // Outside of the gateway each use has had its line.
    const isTold = status === "used" && row.granted.calls === null;
    const event = isTold ? null : permissionEvent(null, at, status, row, { max_uses: row.maxUses });
    const to = { status, decidedAt: row.decidedAt ?? now } as const;
    const moved = await movePermission(db, row, ["pending", "approved"], to, event);
    onEvents(row.tenantId);
    if (moved) return { row: { ...row, status }, status, usesLeft: null };
    const latest = await getPermission(db, row.tenantId, null, row.id);
    return { row: latest, status: latest.status, usesLeft: null };
  }
}
