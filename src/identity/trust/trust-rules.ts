import { and, asc, eq, isNull, sql } from "drizzle-orm";
import type { Clock } from "../../base/clock.ts";
import type { Database, Statement } from "../../base/database.ts";
import { type AgentId, newId, type TenantId, type TrustRuleId } from "../../base/ids.ts";
import { Problem } from "../../base/problem.ts";
import type { MemberCaller } from "../caller.ts";
import type { ChangeResult, TenantChanges } from "../changes.ts";
import { eventBy } from "../events.ts";
import { type CheckDestination, discoveryUrl } from "../oidc/issuer.ts";
import { agents, agentTrustRules } from "../tables.ts";
import { keysUriOf } from "./match.ts";
import type { TrustRule, TrustRuleInput } from "./rule.ts";

/** A rule as it is kept. Times are milliseconds since 1970. */
export interface StoredTrustRule extends TrustRule {
  readonly id: TrustRuleId;
  readonly createdAt: number;
}

/** The same bounds as `trustRulesSchema`: all of an agent's rules are read and matched for every exchange. */
const MAX_RULES = 20;
const MAX_CHARACTERS = 32_768;

/** The trust rules of a tenant's agents. */
export class TrustRules {
  readonly #db: Database;
  readonly #changes: TenantChanges;
  readonly #agents: { find(tenantId: TenantId, agentId: AgentId): Promise<unknown> };
  readonly #checkDestination: CheckDestination;
  readonly #clock: Clock;

  constructor(parts: {
    readonly db: Database;
    readonly changes: TenantChanges;
    readonly agents: { find(tenantId: TenantId, agentId: AgentId): Promise<unknown> };
    /** Throws for a URL that this deployment fetches nothing from. */
    readonly checkDestination: CheckDestination;
    readonly clock: Clock;
  }) {
    this.#db = parts.db;
    this.#changes = parts.changes;
    this.#agents = parts.agents;
    this.#checkDestination = parts.checkDestination;
    this.#clock = parts.clock;
  }

  /** In the order in which they are tried. Throws NOT_FOUND. */
  async list(tenantId: TenantId, agentId: AgentId): Promise<readonly StoredTrustRule[]> {
    await this.#must(tenantId, agentId);
    return readRules(this.#db, tenantId, agentId);
  }

  /** Throws NOT_FOUND, CONFLICT beyond 20 rules, VALIDATION_ERROR where the issuer's keys could not be fetched. */
  async add(
    caller: MemberCaller,
    agentId: AgentId,
    input: TrustRuleInput,
  ): Promise<{ readonly rule: StoredTrustRule; readonly change: ChangeResult }> {
    this.#checkSources(input);
    const rules = await this.list(caller.tenantId, agentId);
    if (rules.length >= MAX_RULES) {
      throw new Problem("CONFLICT", `An agent has at most ${MAX_RULES} trust rules. Remove one first.`);
    }
    if (JSON.stringify([...rules, input]).length > MAX_CHARACTERS) {
      throw new Problem("CONFLICT", `An agent's trust rules have at most ${MAX_CHARACTERS} characters.`);
    }
    const rule: StoredTrustRule = { ...input, id: newId("trust"), createdAt: this.#clock() };
    const insert = this.#db
      .of(caller.tenantId)
      .insert(agentTrustRules)
      .values({
        ...{ id: rule.id, agentId, rule: input, createdAt: rule.createdAt, createdBy: caller.memberId },
      });
    const change = await this.#change(caller, agentId, insert, { trust_rule_added: rule.id, rule: input });
    return { rule, change };
  }

  /** From then on nobody gets a token by it; those that were got live on, as with a key. Throws NOT_FOUND. */
  async remove(caller: MemberCaller, agentId: AgentId, ruleId: TrustRuleId): Promise<ChangeResult> {
    const rules = await this.list(caller.tenantId, agentId);
    const rule = rules.find(({ id }) => id === ruleId);
    if (rule === undefined) throw new Problem("NOT_FOUND", "The agent has no such trust rule.");
    const remove = this.#db
      .of(caller.tenantId)
      .delete(agentTrustRules)
      .where(and(eq(agentTrustRules.id, ruleId), eq(agentTrustRules.agentId, agentId)));
    const { name, issuer } = rule;
    return this.#change(caller, agentId, remove, { trust_rule_removed: ruleId, rule: { name, issuer } });
  }

  /** The agent is newer afterwards: a token is only issued to one that is as it was when its rules were read. */
  #change(
    caller: MemberCaller,
    agentId: AgentId,
    statement: Statement,
    context: Readonly<Record<string, unknown>>,
  ): Promise<ChangeResult> {
    const now = this.#clock();
    const step = this.#db
      .of(caller.tenantId)
      .update(agents)
      .set({ updatedAt: sql`max(${now}, ${agents.updatedAt} + 1)` })
      .where(and(eq(agents.id, agentId), isNull(agents.deletedAt)));
    const what = { event_type: "agent.updated", resource_type: "agent", resource: agentId, context } as const;
    return this.#changes.apply(caller.tenantId, {
      statements: [step, statement],
      events: [eventBy(caller, now, what)],
    });
  }

  /** The gateway fetches the keys, so where they are is held against the same rules as a connection's base URL. */
  #checkSources(rule: TrustRuleInput): void {
    const keysUri = keysUriOf(rule);
    this.#checkSource("issuer", keysUri === undefined ? discoveryUrl(rule.issuer) : null);
    // An issuer that is only a name may be anything but plain http.
    if (!rule.issuer.startsWith("https://")) this.#checkSource("issuer", rule.issuer);
    this.#checkSource("jwks_uri", keysUri ?? null);
  }

  #checkSource(path: string, url: string | null): void {
    if (url === null) return;
    try {
      this.#checkDestination(url.split("?", 1)[0] ?? "");
    } catch (cause) {
      if (!(cause instanceof Problem)) throw cause;
      const message = `leads where this gateway fetches nothing from: ${cause.message}`;
      throw new Problem("VALIDATION_ERROR", `\`${path}\`: ${message}`, {
        errors: [{ path, message }],
        cause,
      });
    }
  }

  async #must(tenantId: TenantId, agentId: AgentId): Promise<void> {
    if ((await this.#agents.find(tenantId, agentId)) !== null) return;
    throw new Problem("NOT_FOUND", "There is no such agent.");
  }
}

/** An agent's rules, oldest first. */
export async function readRules(
  db: Database,
  tenantId: TenantId,
  agentId: AgentId,
): Promise<readonly StoredTrustRule[]> {
  const rows = await db
    .of(tenantId)
    .select()
    .from(agentTrustRules)
    .where(eq(agentTrustRules.agentId, agentId))
    .orderBy(asc(agentTrustRules.createdAt), asc(agentTrustRules.id));
  return rows.map(({ id, rule, createdAt }) => ({ ...rule, id, createdAt }));
}
