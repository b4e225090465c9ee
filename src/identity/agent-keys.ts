import { and, asc, eq, gt, isNull, or } from "drizzle-orm";
import type { Clock } from "../base/clock.ts";
import type { Database, Statement } from "../base/database.ts";
import { newId, type AgentId, type AgentKeyId, type TenantId } from "../base/ids.ts";
import { jurisdictionOf } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import { agentEvent } from "./agent-events.ts";
import { mustFindAgent } from "./agent-rows.ts";
import type { MemberCaller } from "./caller.ts";
import type { ChangeResult, TenantChanges } from "./changes.ts";
import { credentialDigest, isCredential, newCredential } from "./credential.ts";
import type { AgentKeyLife } from "./key-age.ts";
import type { AgentKeyCreate } from "./schemas.ts";
import { agentKeys, agents } from "./tables.ts";

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

/** The keys of a tenant's agents: several live at a time, so that they rotate. */
export class AgentKeys {
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

  /** Those that were not removed, oldest first. */
  live(tenantId: TenantId, agentId: AgentId): Promise<AgentKey[]> {
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

  /** One more live key, so that the old one can be removed once nobody uses it. Throws NOT_FOUND, CONFLICT beyond 10. */
  async add(
    caller: MemberCaller,
    agentId: AgentId,
    input: AgentKeyCreate,
  ): Promise<NewAgentKey & Pick<AgentKey, "name" | "expiresAt">> {
    const keys = await this.#ofLiveAgent(caller.tenantId, agentId);
    if (keys.length >= MAX_LIVE_KEYS) {
      throw new Problem("CONFLICT", `An agent has at most ${MAX_LIVE_KEYS} keys. Remove one first.`);
    }
    const now = this.#clock();
    const { statement, ...key } = this.draft(caller, agentId, input, now);
    const change = await this.#changes.apply(caller.tenantId, {
      statements: [statement],
      events: [agentEvent(caller, now, "agent.key_created", agentId, { key_id: key.keyId, ...input })],
    });
    return { ...key, change };
  }

  /** Tokens asked for with it live on: a rotation is not a revocation. Throws NOT_FOUND. */
  async remove(caller: MemberCaller, agentId: AgentId, keyId: AgentKeyId): Promise<ChangeResult> {
    const keys = await this.#ofLiveAgent(caller.tenantId, agentId);
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

  /** A new key, and the statement that makes it one. */
  draft(
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

  async #ofLiveAgent(tenantId: TenantId, agentId: AgentId): Promise<readonly AgentKey[]> {
    const [, keys] = await Promise.all([
      mustFindAgent(this.#db, tenantId, agentId),
      this.live(tenantId, agentId),
    ]);
    return keys;
  }
}
