import { and, eq, isNull } from "drizzle-orm";
import type { Database } from "../../base/database.ts";
import type { AgentId, TenantId } from "../../base/ids.ts";
import type { VerifiedClaims } from "../oidc/claims.ts";
import { peekToken, type VerifyDependencies } from "../oidc/verify.ts";
import { agents } from "../tables.ts";
import { claimAt } from "./claim.ts";
import { type Recognition, recognise } from "./recognise.ts";
import type { TrustRule } from "./rule.ts";
import { readRules } from "./trust-rules.ts";

/** An agent as it was when its rules were read. */
export interface TrustingAgent {
  readonly tenantId: TenantId;
  readonly agentId: AgentId;
  readonly ipAllowlist: readonly string[];
  readonly updatedAt: number;
}

/** What the ledger tells of why a workload was let in. */
export type Evidence = {
  readonly trust_rule: string;
  readonly issuer: string;
  readonly subject: string;
  /** Those that the rule asks for. */
  readonly claims: Readonly<Record<string, string>>;
};

export type Workload =
  | {
      readonly kind: "recognised";
      readonly agent: TrustingAgent;
      readonly rule: TrustRule;
      readonly evidence: Evidence;
      /** When its own token ends, in seconds since 1970. */
      readonly expiresAt: number;
    }
  | {
      readonly kind: "refused" | "unavailable";
      /** Null where there is no such agent: nobody's ledger is to tell of it. */
      readonly agent: TrustingAgent | null;
      readonly reason: string;
      /** What the token says it is from, which proves nothing. */
      readonly claimedIssuer: string | null;
    };

const MAX_VALUE = 256;

/** Tells workloads by the tokens of the platforms they run on. */
export class Workloads {
  readonly #db: Database;
  readonly #verification: VerifyDependencies;

  constructor(parts: { readonly db: Database; readonly verification: VerifyDependencies }) {
    this.#db = parts.db;
    this.#verification = parts.verification;
  }

  /** Which of an agent's rules lets a token's bearer in. An agent that is not there is one without rules. */
  async recognise(agentId: AgentId, token: string, kind: "workload" | "access_token"): Promise<Workload> {
    const agent = await this.#find(agentId);
    const rules = agent === null ? [] : await readRules(this.#db, agent.tenantId, agentId);
    const recognition = await recognise(rules, token, kind, this.#verification);
    if (recognition.kind !== "recognised" || agent === null) {
      const claimedIssuer = peekToken(token)?.issuer.slice(0, MAX_VALUE) ?? null;
      const isAway = recognition.kind === "unavailable";
      return {
        kind: isAway ? "unavailable" : "refused",
        agent,
        reason: reasonOf(recognition),
        claimedIssuer,
      };
    }
    const { rule, claims } = recognition;
    return { kind: "recognised", agent, rule, evidence: evidenceOf(rule, claims), expiresAt: claims.exp };
  }

  /** An agent's id does not say in which jurisdiction it is. Null for one that is disabled, too. */
  async #find(agentId: AgentId): Promise<TrustingAgent | null> {
    const found = await Promise.all(
      this.#db.jurisdictions.map((jurisdiction) =>
        this.#db
          .acrossTenants("whose agent it is, by its id", jurisdiction)
          .select({
            tenantId: agents.tenantId,
            agentId: agents.id,
            ipAllowlist: agents.ipAllowlist,
            updatedAt: agents.updatedAt,
          })
          .from(agents)
          .where(and(eq(agents.id, agentId), isNull(agents.deletedAt), isNull(agents.disabledAt))),
      ),
    );
    return found.flat()[0] ?? null;
  }
}

function reasonOf(recognition: Recognition): string {
  if (recognition.kind === "refused") return recognition.reason;
  return recognition.kind === "unavailable" ? recognition.failure : "untrusted";
}

function evidenceOf(rule: TrustRule, claims: VerifiedClaims): Evidence {
  const text = (value: unknown): string =>
    (typeof value === "string" ? value : (JSON.stringify(value) ?? "")).slice(0, MAX_VALUE);
  const asked = Object.keys(rule.claims).map((name) => [name, text(claimAt(claims, name))] as const);
  return {
    trust_rule: rule.id,
    issuer: text(claims.iss),
    subject: text(claims.sub),
    claims: Object.fromEntries(asked),
  };
}
