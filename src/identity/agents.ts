import { and, asc, count, eq, gt, isNull, sql } from "drizzle-orm";
import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { idSchema, newId, type AgentId, type TenantId } from "../base/ids.ts";
import { decodeCursor, encodeCursor, type Page } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import { agentEvent } from "./agent-events.ts";
import { type AgentKey, AgentKeys, type NewAgentKey } from "./agent-keys.ts";
import { type Agent, agentFromRow, findAgent, isLiveAgent, mustFindAgent } from "./agent-rows.ts";
import { isTrustedLess, type TrustTier } from "./approval-need.ts";
import type { MemberCaller } from "./caller.ts";
import type { ChangeResult, TenantChanges } from "./changes.ts";
import { narrows } from "./narrowing.ts";
import type { AgentCreate, AgentPatch } from "./schemas.ts";
import { agentKeys, agents } from "./tables.ts";

const cursorSchema = z.tuple([idSchema("agent")]);

/** A tenant's agents and their keys. An agent of another tenant is one that does not exist. */
export class Agents {
  readonly keys: AgentKeys;
  readonly #db: Database;
  readonly #changes: TenantChanges;
  readonly #clock: Clock;
  readonly #requireVetted: (caller: MemberCaller) => Promise<void>;

  constructor(parts: {
    readonly db: Database;
    readonly changes: TenantChanges;
    readonly clock: Clock;
    readonly waitUntil: (promise: Promise<unknown>) => void;
    /** The deployment's PEPPER, 32 bytes. */
    readonly pepper: Uint8Array;
    /** Throws ROLE_DENIED for a person whom a credential for scripts let in within the last day. */
    readonly requireVetted: (caller: MemberCaller) => Promise<void>;
  }) {
    this.#db = parts.db;
    this.#changes = parts.changes;
    this.#clock = parts.clock;
    this.#requireVetted = parts.requireVetted;
    this.keys = new AgentKeys(parts);
  }

  /** Null where there is none, or no longer. */
  find(tenantId: TenantId, agentId: AgentId): Promise<Agent | null> {
    return findAgent(this.#db, tenantId, agentId);
  }

  /** An agent and its live keys. Throws NOT_FOUND. */
  async get(tenantId: TenantId, agentId: AgentId): Promise<{ agent: Agent; keys: readonly AgentKey[] }> {
    const [agent, keys] = await Promise.all([
      mustFindAgent(this.#db, tenantId, agentId),
      this.keys.live(tenantId, agentId),
    ]);
    return { agent, keys };
  }

  async list(
    tenantId: TenantId,
    page: Page,
  ): Promise<{ agents: readonly Agent[]; nextCursor: string | null }> {
    const after = page.cursor === undefined ? null : decodeCursor(page.cursor, cursorSchema)[0];
    const rows = await this.#db
      .of(tenantId)
      .select()
      .from(agents)
      .where(and(isNull(agents.deletedAt), after === null ? undefined : gt(agents.id, after)))
      .orderBy(asc(agents.id))
      .limit(page.limit + 1);
    const shown = rows.slice(0, page.limit).map(agentFromRow);
    const last = shown.at(-1);
    return { agents: shown, nextCursor: rows.length > page.limit && last ? encodeCursor([last.id]) : null };
  }

  async count(tenantId: TenantId): Promise<number> {
    const rows = await this.#db
      .of(tenantId)
      .select({ count: count() })
      .from(agents)
      .where(isNull(agents.deletedAt));
    return rows[0]?.count ?? 0;
  }

  /** Throws ROLE_DENIED as `#trustMore`. */
  async create(caller: MemberCaller, input: AgentCreate): Promise<NewAgentKey & { readonly agent: Agent }> {
    await this.#trustMore(caller, "standard", input.trust_tier);
    const now = this.#clock();
    const agent: Agent = {
      id: newId("agent"),
      name: input.name,
      description: input.description,
      allowedNamespaces: input.allowed_namespaces,
      allowedScopes: input.allowed_scopes,
      ipAllowlist: input.ip_allowlist,
      trustTier: input.trust_tier,
      disabled: false,
      lastSeenAt: null,
      createdAt: now,
      updatedAt: now,
    };
    const key = this.keys.draft(caller, agent.id, {}, now);
    const { disabled: _, ...columns } = agent;
    const change = await this.#changes.apply(caller.tenantId, {
      statements: [this.#db.of(caller.tenantId).insert(agents).values(columns), key.statement],
      events: [agentEvent(caller, now, "agent.created", agent.id, { ...input, key_id: key.keyId })],
    });
    return { agent, keyId: key.keyId, apiKey: key.apiKey, change };
  }

  /**
   * Tokens issued before are refused where the patch disables the agent or narrows what it may do. Throws NOT_FOUND, and
   * ROLE_DENIED as `#trustMore`.
   */
  async update(
    caller: MemberCaller,
    agentId: AgentId,
    patch: AgentPatch,
  ): Promise<{ agent: Agent; change: ChangeResult }> {
    const before = await mustFindAgent(this.#db, caller.tenantId, agentId);
    await this.#trustMore(caller, before.trustTier, patch.trust_tier ?? before.trustTier);
    const now = this.#clock();
    const after: Agent = {
      ...before,
      name: patch.name ?? before.name,
      description: patch.description ?? before.description,
      allowedNamespaces: patch.allowed_namespaces ?? before.allowedNamespaces,
      allowedScopes: patch.allowed_scopes ?? before.allowedScopes,
      ipAllowlist: patch.ip_allowlist ?? before.ipAllowlist,
      trustTier: patch.trust_tier ?? before.trustTier,
      disabled: patch.disabled ?? before.disabled,
      updatedAt: Math.max(now, before.updatedAt + 1),
    };
    const disables = after.disabled && !before.disabled;
    const revokes = disables || narrows(before, after) || isTrustedLess(before.trustTier, after.trustTier);
    const change = await this.#changes.apply(caller.tenantId, {
      statements: [
        this.#db
          .of(caller.tenantId)
          .update(agents)
          .set({
            ...(patch.name === undefined ? {} : { name: patch.name }),
            ...(patch.description === undefined ? {} : { description: patch.description }),
            ...(patch.allowed_namespaces === undefined
              ? {}
              : { allowedNamespaces: patch.allowed_namespaces }),
            ...(patch.allowed_scopes === undefined ? {} : { allowedScopes: patch.allowed_scopes }),
            ...(patch.ip_allowlist === undefined ? {} : { ipAllowlist: patch.ip_allowlist }),
            ...(patch.trust_tier === undefined ? {} : { trustTier: patch.trust_tier }),
            ...(patch.disabled === undefined || patch.disabled === before.disabled
              ? {}
              : { disabledAt: patch.disabled ? now : null }),
            // Strictly later: a token is issued only to an agent that is as it was when its bounds were read.
            updatedAt: sql`max(${now}, ${agents.updatedAt} + 1)`,
          })
          .where(isLiveAgent(agentId)),
      ],
      events: [
        agentEvent(caller, now, disables ? "agent.disabled" : "agent.updated", agentId, {
          ...patch,
          tokens_revoked: revokes,
        }),
      ],
      ...(revokes ? { watermarks: [{ kind: "agent" as const, key: agentId }] } : {}),
    });
    return { agent: after, change };
  }

  /** Its keys and every token issued to it are refused from then on. Throws NOT_FOUND. */
  async delete(caller: MemberCaller, agentId: AgentId): Promise<ChangeResult> {
    const agent = await mustFindAgent(this.#db, caller.tenantId, agentId);
    const now = this.#clock();
    const db = this.#db.of(caller.tenantId);
    return this.#changes.apply(caller.tenantId, {
      statements: [
        db.update(agents).set({ deletedAt: now, updatedAt: now }).where(isLiveAgent(agentId)),
        db
          .update(agentKeys)
          .set({ revokedAt: now })
          .where(and(eq(agentKeys.agentId, agentId), isNull(agentKeys.revokedAt))),
      ],
      events: [agentEvent(caller, now, "agent.deleted", agentId, { name: agent.name })],
      watermarks: [{ kind: "agent", key: agentId }],
    });
  }

  /**
   * An agent that is trusted more has fewer people asked, or none. So that is for people, whom no script let in just now:
   * a credential for scripts approves nothing, and could do without (attack 96). Throws ROLE_DENIED.
   */
  async #trustMore(caller: MemberCaller, before: TrustTier, after: TrustTier): Promise<void> {
    if (!isTrustedLess(after, before)) return;
    if (caller.script) {
      throw new Problem("ROLE_DENIED", "Fewer people would be asked about what this agent reaches.", {
        why: "Leave `trust_tier` out, or have an admin who signs in say so.",
      });
    }
    await this.#requireVetted(caller);
  }
}
