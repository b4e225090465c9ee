import { and, asc, count, eq, gt, isNull, or, sql } from "drizzle-orm";
import { z } from "zod";
import type { AuditEvent } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Database, Statement } from "../base/database.ts";
import { idSchema, newId, type AgentId, type AgentKeyId, type TenantId } from "../base/ids.ts";
import { jurisdictionOf } from "../base/jurisdiction.ts";
import { decodeCursor, encodeCursor, type Page } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import { isTrustedLess, type TrustTier } from "./approval-need.ts";
import type { MemberCaller } from "./caller.ts";
import type { ChangeResult, TenantChanges } from "./changes.ts";
import { credentialDigest, isCredential, newCredential } from "./credential.ts";
import { eventBy } from "./events.ts";
import type { AgentKeyLife } from "./key-age.ts";
import { narrows } from "./narrowing.ts";
import type { AgentCreate, AgentKeyCreate, AgentPatch } from "./schemas.ts";
import { agentKeys, agents } from "./tables.ts";

/** A workload identity. Times are milliseconds since 1970. */
export interface Agent {
  readonly id: AgentId;
  readonly name: string;
  readonly description: string;
  readonly allowedNamespaces: readonly string[];
  readonly allowedScopes: readonly string[];
  /** Canonical CIDRs; empty: from anywhere. */
  readonly ipAllowlist: readonly string[];
  readonly trustTier: TrustTier;
  readonly disabled: boolean;
  /** When one of its keys was last used, some minutes behind. */
  readonly lastSeenAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface AgentKey extends AgentKeyLife {
  readonly id: AgentKeyId;
  readonly name: string | null;
  /** Some minutes behind. */
  readonly lastUsedAt: number | null;
}

export interface NewAgentKey {
  readonly keyId: AgentKeyId;
  /** Shown once; only its digest is kept. */
  readonly apiKey: Redacted;
  readonly change: ChangeResult;
}

/** Whose key it is, and from where it may be used. */
export interface AgentKeyHolder {
  readonly tenantId: TenantId;
  readonly agentId: AgentId;
  readonly keyId: AgentKeyId;
  readonly ipAllowlist: readonly string[];
  readonly lastUsedAt: number | null;
}

/** So often, at most, it is written down that a key was used. */
const SEEN_EVERY_MS = 5 * 60_000;
const MAX_LIVE_KEYS = 10;
const cursorSchema = z.tuple([idSchema("agent")]);

/** A tenant's agents and their keys. An agent of another tenant is one that does not exist. */
export class Agents {
  readonly #db: Database;
  readonly #changes: TenantChanges;
  readonly #clock: Clock;
  readonly #pepper: Uint8Array;
  readonly #waitUntil: (promise: Promise<unknown>) => void;

  constructor(parts: {
    readonly db: Database;
    readonly changes: TenantChanges;
    readonly clock: Clock;
    readonly waitUntil: (promise: Promise<unknown>) => void;
    /** The deployment's PEPPER, 32 bytes. */
    readonly pepper: Uint8Array;
  }) {
    this.#db = parts.db;
    this.#changes = parts.changes;
    this.#clock = parts.clock;
    this.#pepper = parts.pepper;
    this.#waitUntil = parts.waitUntil;
  }

  /** Null for a key that is malformed, unknown, expired or removed, and for one whose agent is disabled or deleted. */
  async authenticate(key: string): Promise<AgentKeyHolder | null> {
    if (!isCredential("vka", key)) return null;
    const jurisdiction = jurisdictionOf(key);
    if (!this.#db.jurisdictions.includes(jurisdiction)) return null;
    const rows = await this.#db
      .acrossTenants("whose key it is, by its digest", jurisdiction)
      .select({
        tenantId: agentKeys.tenantId,
        agentId: agentKeys.agentId,
        keyId: agentKeys.id,
        ipAllowlist: agents.ipAllowlist,
        lastUsedAt: agentKeys.lastUsedAt,
      })
      .from(agentKeys)
      .innerJoin(agents, and(eq(agents.id, agentKeys.agentId), eq(agents.tenantId, agentKeys.tenantId)))
      .where(
        and(
          eq(agentKeys.digest, credentialDigest(this.#pepper, key)),
          isNull(agentKeys.revokedAt),
          or(isNull(agentKeys.expiresAt), gt(agentKeys.expiresAt, this.#clock())),
          isNull(agents.deletedAt),
          isNull(agents.disabledAt),
        ),
      );
    return rows[0] ?? null;
  }

  /** That a key was used, from where it may be: written down now and then, and no answer waits for it. */
  seen({ tenantId, agentId, keyId, lastUsedAt }: Omit<AgentKeyHolder, "ipAllowlist">): void {
    const now = this.#clock();
    if (lastUsedAt !== null && now - lastUsedAt < SEEN_EVERY_MS) return;
    const db = this.#db.of(tenantId);
    const writing = db.batch([
      db.update(agentKeys).set({ lastUsedAt: now }).where(eq(agentKeys.id, keyId)),
      db.update(agents).set({ lastSeenAt: now }).where(eq(agents.id, agentId)),
    ]);
    this.#waitUntil(writing.catch(() => undefined));
  }

  /** Null where there is none, or no longer. */
  async find(tenantId: TenantId, agentId: AgentId): Promise<Agent | null> {
    const rows = await this.#db.of(tenantId).select().from(agents).where(isLiveAgent(agentId));
    return rows[0] === undefined ? null : fromRow(rows[0]);
  }

  /** An agent and its live keys. Throws NOT_FOUND. */
  async get(tenantId: TenantId, agentId: AgentId): Promise<{ agent: Agent; keys: readonly AgentKey[] }> {
    const [agent, keys] = await Promise.all([
      this.#must(tenantId, agentId),
      this.#liveKeys(tenantId, agentId),
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
    const shown = rows.slice(0, page.limit).map(fromRow);
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

  async create(caller: MemberCaller, input: AgentCreate): Promise<NewAgentKey & { readonly agent: Agent }> {
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
    const key = this.#newKey(caller, agent.id, {}, now);
    const { disabled: _, ...columns } = agent;
    const change = await this.#changes.apply(caller.tenantId, {
      statements: [this.#db.of(caller.tenantId).insert(agents).values(columns), key.statement],
      events: [agentEvent(caller, now, "agent.created", agent.id, { ...input, key_id: key.keyId })],
    });
    return { agent, keyId: key.keyId, apiKey: key.apiKey, change };
  }

  /** Tokens issued before are refused where the patch disables the agent or narrows what it may do. Throws NOT_FOUND. */
  async update(
    caller: MemberCaller,
    agentId: AgentId,
    patch: AgentPatch,
  ): Promise<{ agent: Agent; change: ChangeResult }> {
    const before = await this.#must(caller.tenantId, agentId);
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
    const agent = await this.#must(caller.tenantId, agentId);
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

  /** One more live key, so that the old one can be removed once nobody uses it. Throws NOT_FOUND, CONFLICT beyond 10. */
  async addKey(
    caller: MemberCaller,
    agentId: AgentId,
    input: AgentKeyCreate,
  ): Promise<NewAgentKey & Pick<AgentKey, "name" | "expiresAt">> {
    const { keys } = await this.get(caller.tenantId, agentId);
    if (keys.length >= MAX_LIVE_KEYS) {
      throw new Problem("CONFLICT", `An agent has at most ${MAX_LIVE_KEYS} keys. Remove one first.`);
    }
    const now = this.#clock();
    const { statement, ...key } = this.#newKey(caller, agentId, input, now);
    const change = await this.#changes.apply(caller.tenantId, {
      statements: [statement],
      events: [agentEvent(caller, now, "agent.key_created", agentId, { key_id: key.keyId, ...input })],
    });
    return { ...key, change };
  }

  /** Tokens asked for with it live on: a rotation is not a revocation. Throws NOT_FOUND. */
  async removeKey(caller: MemberCaller, agentId: AgentId, keyId: AgentKeyId): Promise<ChangeResult> {
    const { keys } = await this.get(caller.tenantId, agentId);
    if (!keys.some((key) => key.id === keyId))
      throw new Problem("NOT_FOUND", "The agent has no such live key.");
    const now = this.#clock();
    return this.#changes.apply(caller.tenantId, {
      statements: [
        this.#db
          .of(caller.tenantId)
          .update(agentKeys)
          .set({ revokedAt: now })
          .where(and(eq(agentKeys.id, keyId), eq(agentKeys.agentId, agentId), isNull(agentKeys.revokedAt))),
      ],
      events: [agentEvent(caller, now, "agent.key_revoked", agentId, { key_id: keyId })],
    });
  }

  async #must(tenantId: TenantId, agentId: AgentId): Promise<Agent> {
    const agent = await this.find(tenantId, agentId);
    if (agent === null) throw new Problem("NOT_FOUND", "There is no such agent.");
    return agent;
  }

  #liveKeys(tenantId: TenantId, agentId: AgentId): Promise<AgentKey[]> {
    return this.#db
      .of(tenantId)
      .select({
        ...{ id: agentKeys.id, name: agentKeys.name, createdAt: agentKeys.createdAt },
        ...{ lastUsedAt: agentKeys.lastUsedAt, expiresAt: agentKeys.expiresAt },
      })
      .from(agentKeys)
      .where(and(eq(agentKeys.agentId, agentId), isNull(agentKeys.revokedAt)))
      .orderBy(asc(agentKeys.createdAt), asc(agentKeys.id));
  }

  #newKey(
    { tenantId, memberId }: MemberCaller,
    agentId: AgentId,
    { name = null, ttl }: { readonly name?: string | null | undefined; readonly ttl?: number | undefined },
    now: number,
  ): Omit<NewAgentKey, "change"> & Pick<AgentKey, "name" | "expiresAt"> & { statement: Statement } {
    const keyId = newId("agentKey");
    const apiKey = newCredential("vka", jurisdictionOf(tenantId));
    const digest = credentialDigest(this.#pepper, apiKey);
    const expiresAt = ttl === undefined ? null : now + ttl * 1000;
    const statement = this.#db
      .of(tenantId)
      .insert(agentKeys)
      .values({ id: keyId, agentId, digest, name, expiresAt, createdAt: now, createdBy: memberId });
    return { keyId, apiKey, name, expiresAt, statement };
  }
}

function isLiveAgent(agentId: AgentId) {
  return and(eq(agents.id, agentId), isNull(agents.deletedAt));
}

function fromRow(row: typeof agents.$inferSelect): Agent {
  const { tenantId: _tenantId, disabledAt, deletedAt: _deletedAt, ...agent } = row;
  return { ...agent, disabled: disabledAt !== null };
}

function agentEvent(
  caller: MemberCaller,
  now: number,
  type: Extract<AuditEvent["event_type"], `agent.${string}`>,
  agentId: AgentId,
  context: AuditEvent["context"],
): AuditEvent {
  return eventBy(caller, now, { event_type: type, resource_type: "agent", resource: agentId, context });
}
