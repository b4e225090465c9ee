import type { AskedCase, Claim } from "../approvals/desk.ts";
import type { ClaimKey, Desks } from "../approvals/desks.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { type AgentId, newId, type PermissionId, type TenantId } from "../base/ids.ts";
import { newTokenId } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import { MAX_WAIT_SECONDS } from "../base/wait-query.ts";
import type { Redacted } from "../base/redacted.ts";
import type { Agent } from "../identity/agent-rows.ts";
import type { AgentCaller, MemberCaller } from "../identity/caller.ts";
import type { Lease, Leases } from "../identity/leases.ts";
import { frozen } from "../tokens/denial.ts";
import { checkBounds } from "../tokens/request-bounds.ts";
import type { TokenAsker } from "../tokens/issue-terms.ts";
import type { IssuedToken, PermittedToken } from "../tokens/tokens.ts";
import type { Action } from "./action.ts";
import { readAction } from "./action-rows.ts";
import { narrowRow } from "./narrow.ts";
import type { Need } from "./need.ts";
import type { Needs } from "./needs.ts";
import { digestOf, factsOf } from "./permission-digest.ts";
import { describePermission, permissionEvent } from "./permission-events.ts";
import { caseOf, scopesOf, tokenContextOf, tokenRulesOf } from "./permission-faces.ts";
import {
  findSame,
  getPermission,
  insertPermission,
  isSame,
  movePermission,
  type PermissionRow,
} from "./permission-rows.ts";
import type { PermissionRequest } from "./schemas.ts";
import { bindPermission, settlePermission } from "./settle.ts";

export interface PermissionParts {
  readonly db: Database;
  readonly desks: Pick<Desks, "claim" | "find" | "decided">;
  readonly needs: Needs;
  readonly agents: { get(tenantId: TenantId, agentId: AgentId): Promise<{ readonly agent: Agent }> };
  readonly tokens: {
    permit(caller: TokenAsker, permitted: PermittedToken): Promise<IssuedToken>;
    revoke(caller: AgentCaller | MemberCaller, tokenId: PermittedToken["tokenId"]): Promise<void>;
  };
  readonly leases: Pick<Leases, "ask">;
  readonly clock: Clock;
  readonly waitUntil: (promise: Promise<unknown>) => void;
  readonly onEvents: (tenantId: TenantId) => void;
}

/** A permission and, once in its life, its token. */
export interface Collected {
  readonly row: PermissionRow;
  readonly token: Redacted | null;
}

/** How long a permission waits to be collected; one that people agreed to from when that holds, as their desk has it. */
const COLLECTED_WITHIN_MS = 15 * 60_000;

/** One-time permissions: asked for by agents, answered by people, handed out as a token once. */
export class Permissions {
  readonly #parts: PermissionParts;

  constructor(parts: PermissionParts) {
    this.#parts = parts;
  }

  /**
   * Asks for a permission, or for what became of the very same request: once people have agreed, it is answered with
   * the token. `jkt`: the key that the token is bound to, whoever collects it; null: none. Throws NOT_FOUND for no
   * action, SCOPE_DENIED where the agent may not call what the action calls, what `settlePermission` and `Needs`
   * refuse, and CONFLICT where too many of the agent's wait.
   */
  async request(caller: AgentCaller, request: PermissionRequest, jkt: string | null): Promise<Collected> {
    const { db } = this.#parts;
    const { tenantId, agentId } = caller;
    const { agent, lease } = await this.#agent(caller);
    const { value: action, epoch } = await readAction(db, tenantId, request.action);
    if (action === null) throw noAction(request.action);
    checkBounds(agent, { scopes: scopesOf(action), ip_allowlist: [] });
    const settled = settlePermission(action, request);
    const now = this.#parts.clock();
    const id = newId("permission");
    const resource = request.resource ?? null;
    const draft = {
      ...{ id, tenantId, agentId, action: action.name, actionVersion: action.version, resource },
      template: request.template ?? null,
      asked: {
        ...{ scope: request.scope, ttlSeconds: request.ttl ?? null, maxUses: request.max_uses ?? null },
        ...(jkt === null ? {} : { jkt }),
      },
      ...settled,
      context: request.context,
    };
    const need = await this.#parts.needs.of(caller, agent, action, factsOf(draft), {
      epoch: lease.epoch,
      now,
    });
    const digest = digestOf(draft, need);
    const same = await findSame(db, tenantId, agentId, digest, now);
    const ground = Math.min(need.epoch, epoch);
    const known = same && (await this.#advance(caller, same, waitOf(request)));
    if (known !== null && known.row.status !== "expired") return known;
    const { approvals, delaySeconds } = need;
    const row: PermissionRow = {
      ...{ ...draft, digest, ip: caller.request.ip },
      // It is handed out once they have agreed, never before.
      granted: bindPermission(id, action, resource, settled.scope, { approvals, delaySeconds }),
      ...{ approvalsNeeded: approvals, delaySeconds, approvalId: null },
      ...{ status: approvals === 0 ? "approved" : "pending", reason: null },
      ...{ tokenId: newTokenId(tenantId), collectedAt: null, createdAt: now, decidedAt: null },
      expiresAt: now + COLLECTED_WITHIN_MS,
    };
    const written = await this.#write(caller, row, action, need);
    if (written.status === "approved") return this.#handOut(caller, written, written, ground);
    return this.#advance(caller, written, waitOf(request));
  }

  /** What became of an agent's own, with the token where it may be had and was not yet. Throws NOT_FOUND. */
  async collect(caller: AgentCaller, id: PermissionId, waitSeconds: number): Promise<Collected> {
    const row = await getPermission(this.#parts.db, caller.tenantId, caller.agentId, id);
    return this.#advance(caller, row, waitSeconds);
  }

  /** Writes a request down, with people asked where they have to be; where the same came first, that one. */
  async #write(caller: AgentCaller, row: PermissionRow, action: Action, need: Need): Promise<PermissionRow> {
    const { db, desks, onEvents } = this.#parts;
    const { tenantId, agentId, digest } = row;
    let written = row;
    if (row.status === "pending") {
      const make = async (): Promise<AskedCase> => caseOf(caller, row, action, need);
      const claim = await desks.claim({ tenantId, agentId, digest }, row.id, make);
      written = { ...row, approvalId: claim.approvalId, ...standingOf(claim, row) };
      // The desk knows when it ends. Here stands the latest: answered at the last moment, after its delay, not collected.
      const latest = written.expiresAt + row.delaySeconds * 1_000 + COLLECTED_WITHIN_MS;
      if (written.status === "pending") written = { ...written, expiresAt: latest };
    }
    const events = [permissionEvent(caller, row.createdAt, "requested", row, describePermission(written))];
    if (written.status === "denied") {
      events.push(permissionEvent(caller, row.createdAt, "denied", row, { reason: written.reason }));
    }
    try {
      await insertPermission(db, tenantId, written, events);
    } catch (error) {
      const same = isSame(error) ? await findSame(db, tenantId, agentId, digest, row.createdAt) : null;
      if (same === null) throw error;
      return same;
    }
    onEvents(tenantId);
    return written;
  }

  /** Asks the desk how it stands, and hands the token out where it is approved. */
  async #advance(caller: AgentCaller, row: PermissionRow, waitSeconds: number): Promise<Collected> {
    const { clock, desks } = this.#parts;
    const { tenantId, agentId, digest, approvalId } = row;
    if (row.status === "approved" && row.collectedAt === null) return this.#recheck(caller, row, null);
    if (row.status !== "pending" || approvalId === null) return { row, token: null };
    if (waitSeconds > 0) {
      await desks.decided(tenantId, approvalId, "usable", waitSeconds * 1_000);
    }
    const key = { tenantId, agentId, digest };
    const standing = await desks.find(key, row.id);
    if (standing === null || standing.kind === "crowded") {
      return { row: await this.#end(row, "expired", null, clock()), token: null };
    }
    const claim = standing.kind === "ready" ? await this.#useUp(key, row) : standing;
    // Somebody ended it just now.
    if (claim === null) return { row: await this.#latest(row), token: null };
    if (claim.kind === "granted") return this.#recheck(caller, row, claim.granted);
    if (claim.kind === "pending") return { row: { ...row, ...standingOf(claim, row) }, token: null };
    return { row: await this.#end(row, "denied", claim.reason, claim.expiresAt), token: null };
  }

  /** Uses the approval up; null where it is not open any more. */
  async #useUp(key: ClaimKey, row: PermissionRow): Promise<Claim | null> {
    const ended = new Error("not open");
    try {
      return await this.#parts.desks.claim(key, row.id, () => Promise.reject(ended));
    } catch (error) {
      if (error === ended) return null;
      throw error;
    }
  }

  #latest({ tenantId, agentId, id }: PermissionRow): Promise<PermissionRow> {
    return getPermission(this.#parts.db, tenantId, agentId, id);
  }

  /** What was approved is void where anything that it rests on has changed (attack 79). */
  async #recheck(caller: AgentCaller, row: PermissionRow, granted: string | null): Promise<Collected> {
    const { clock, db, needs } = this.#parts;
    const { agent, lease } = await this.#agent(caller);
    const { value: action, epoch } = await readAction(db, row.tenantId, row.action);
    const now = clock();
    const need = action && (await needs.of(caller, agent, action, factsOf(row), { epoch: lease.epoch, now }));
    if (need === null || digestOf(row, need) !== row.digest) {
      const reason = "The action, the agent, a policy or a secret was changed meanwhile. Ask again.";
      return { row: await this.#end(row, "denied", reason, now), token: null };
    }
    return this.#handOut(caller, row, narrowRow(row, granted), Math.min(need.epoch, epoch));
  }

  /**
   * Hands the token out, once: whoever marks the row does. `row` as asked for, `granted` as granted. What was revoked
   * meanwhile is revoked with it.
   */
  async #handOut(
    caller: AgentCaller,
    row: PermissionRow,
    granted: PermissionRow,
    epoch: number,
  ): Promise<Collected> {
    const { clock, db, tokens, onEvents } = this.#parts;
    const now = clock();
    const collected: PermissionRow = {
      ...granted,
      ...{ status: "approved", collectedAt: now, decidedAt: now },
      expiresAt: Math.ceil(now / 1_000 + granted.ttlSeconds) * 1_000,
    };
    const event = permissionEvent(caller, now, "granted", row, describePermission(collected));
    const from = ["pending", "approved"] as const;
    const isFirst = await movePermission(db, row, from, columnsOf(collected), event, true);
    onEvents(row.tenantId);
    if (!isFirst) return { row: await this.#latest(row), token: null };
    let issued: IssuedToken;
    try {
      issued = await tokens.permit(caller, {
        ...{ tokenId: row.tokenId, scopes: scopesOf(granted.granted), allow: tokenRulesOf(granted.granted) },
        ...{ maxUses: granted.maxUses, context: tokenContextOf(row.context), jkt: row.asked.jkt ?? null },
        ...{ expiresAt: collected.expiresAt, permission: granted.granted, epoch },
      });
    } catch (error) {
      // Surely not issued: it may be asked for again, as it was.
      if (error instanceof Problem && error.status < 500) {
        await movePermission(db, row, ["approved"], columnsOf(row), null);
      }
      throw error;
    }
    const latest = await this.#latest(row);
    if (latest.status === "approved") return { row: latest, token: issued.token };
    await tokens.revoke(caller, row.tokenId);
    return { row: latest, token: null };
  }

  async #end(
    row: PermissionRow,
    status: "denied" | "expired",
    reason: string | null,
    expiresAt: number,
  ): Promise<PermissionRow> {
    const { clock, db, onEvents } = this.#parts;
    const now = clock();
    const event = permissionEvent(null, now, status, row, reason === null ? {} : { reason });
    const to = { status, reason, decidedAt: now, expiresAt };
    const moved = await movePermission(db, row, ["pending", "approved"], to, event, true);
    onEvents(row.tenantId);
    return moved ? { ...row, ...to } : this.#latest(row);
  }

  async #agent(caller: AgentCaller): Promise<{ readonly agent: Agent; readonly lease: Lease }> {
    const { agents, leases, waitUntil } = this.#parts;
    const { tenantId, agentId } = caller;
    // Permissions are few: what was changed a moment ago counts.
    const lease = await leases.ask(tenantId, waitUntil);
    if (lease.frozen) throw frozen();
    const { agent } = await agents.get(tenantId, agentId);
    return { agent, lease };
  }
}

function waitOf({ wait_for_approval: wait }: PermissionRequest): number {
  return typeof wait === "number" ? wait : wait ? MAX_WAIT_SECONDS : 0;
}

function noAction(name: string): Problem {
  return new Problem("NOT_FOUND", `There is no action "${name}".`, {
    why: "An editor of this tenant can declare it.",
  });
}

function columnsOf({ id: _id, tenantId: _tenantId, ...columns }: PermissionRow) {
  return columns;
}

function standingOf(
  claim: Claim,
  row: PermissionRow,
): Pick<PermissionRow, "status" | "reason" | "decidedAt" | "expiresAt"> {
  const { decidedAt, expiresAt } = row;
  if (claim.kind === "granted") return { status: "pending", reason: null, decidedAt, expiresAt };
  if (claim.kind === "pending") {
    return { status: "pending", reason: null, decidedAt, expiresAt: claim.expiresAt };
  }
  return { status: "denied", reason: claim.reason, decidedAt: row.createdAt, expiresAt: claim.expiresAt };
}
