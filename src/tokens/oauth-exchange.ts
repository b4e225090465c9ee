import { inAllowlist } from "../base/address.ts";
import type { Clock } from "../base/clock.ts";
import type { DeniedBy } from "../base/denied-by.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import type { RequestInfo } from "../base/request.ts";
import { scopeSchema, withinBounds } from "../base/scope.ts";
import type { Workload, Workloads } from "../identity/trust/workloads.ts";
import type { Grant } from "./grant.ts";
import { CHANGED_MEANWHILE } from "./insert-token.ts";
import { type ExchangeRequest, SUBJECT_TOKEN_TYPES } from "./oauth-schemas.ts";
import type { RefusedRequests } from "./refused-requests.ts";
import type { TokenRequest } from "./schemas.ts";
import type { Tokens } from "./tokens.ts";

/** How long a token lives where neither the rule nor the request says. */
const DEFAULT_TTL_SECONDS = 3_600;
const ROUNDS = 3;

type Recognised = Extract<Workload, { kind: "recognised" }>;
type ClientInfo = RequestInfo & { readonly sharedAddress: boolean };

/** RFC 8693: a workload's own token for a scoped one of an agent that trusts it. */
export class Exchange {
  readonly #workloads: Pick<Workloads, "recognise">;
  readonly #tokens: Pick<Tokens, "issue">;
  readonly #refused: RefusedRequests;
  readonly #origin: string;
  readonly #clock: Clock;

  constructor(parts: {
    readonly workloads: Pick<Workloads, "recognise">;
    readonly tokens: Pick<Tokens, "issue">;
    readonly refused: RefusedRequests;
    /** The gateway's own. */
    readonly origin: string;
    readonly clock: Clock;
  }) {
    this.#workloads = parts.workloads;
    this.#tokens = parts.tokens;
    this.#refused = parts.refused;
    this.#origin = parts.origin;
    this.#clock = parts.clock;
  }

  /**
   * Within what the rule allows and what the agent may, for no longer than the rule says or the subject token lives.
   * `jkt`: the key it is bound to. Throws EXCHANGE_REFUSED, the same whether the agent is not there, has no such rule or
   * the token is no good; to who is recognised also SCOPE_DENIED, ADDRESS_DENIED,
   * TENANT_FROZEN, POLICY_DENIED, APPROVAL_REQUIRED and APPROVAL_DENIED.
   */
  async exchange(
    asked: ExchangeRequest,
    jkt: string | null,
    request: ClientInfo,
  ): Promise<{ readonly token: Redacted; readonly grant: Grant }> {
    this.#checkTarget(asked);
    const scopes = parseScopes(asked.scope);
    for (let round = 1; ; round++) {
      const workload = await this.#recognise(asked, request);
      try {
        return await this.#issue(workload, asked, scopes, jkt, request);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        const isChanged = error.message === CHANGED_MEANWHILE;
        if (isChanged && round < ROUNDS) continue;
        if (isChanged) throw away("The agent is being changed. Try again.");
        if (error.status < 500)
          this.#note(workload, error.code, request, workload.evidence, error.options.by);
        throw error;
      }
    }
  }

  async #recognise(asked: ExchangeRequest, request: ClientInfo): Promise<Recognised> {
    const kind = SUBJECT_TOKEN_TYPES[asked.subject_token_type];
    const workload = await this.#workloads.recognise(asked.client_id, asked.subject_token, kind);
    if (workload.kind === "recognised") return workload;
    this.#note(workload, workload.reason, request, { claimed_issuer: workload.claimedIssuer });
    if (workload.kind === "unavailable") {
      throw away("The issuer's keys could not be had, so the subject token was not checked. Try again.");
    }
    throw refused();
  }

  async #issue(
    { agent, rule, evidence, expiresAt }: Recognised,
    asked: ExchangeRequest,
    scopes: readonly string[],
    jkt: string | null,
    request: ClientInfo,
  ) {
    const notAfter = Math.floor(expiresAt) * 1_000;
    const left = Math.floor((notAfter - this.#clock()) / 1_000);
    if (left < 1) throw refused();
    checkAddress(agent.ipAllowlist, request);
    const outside = scopes.find((scope) => !isAllowedBy(rule.allowed_scopes, scope));
    if (outside !== undefined) {
      throw new Problem("SCOPE_DENIED", `The trust rule does not allow the scope "${outside}".`, {
        why: "Ask for less, or have an admin widen the rule's `allowed_scopes`.",
      });
    }
    // Not what is left of the subject token, which is less each time: people approve this, and `notAfter` ends it.
    const longest = rule.max_ttl ?? DEFAULT_TTL_SECONDS;
    const wanted: TokenRequest = {
      scopes: [...scopes],
      ttl: Math.min(asked.ttl ?? longest, longest),
      max_uses: asked.max_uses,
      ip_allowlist: asked.ip_allowlist ?? [],
      rate: asked.rate,
      allow: asked.allow,
      tool: asked.tool,
      user: asked.user,
      dpop_jkt: jkt ?? undefined,
      context: asked.context ?? {},
    };
    const { tenantId, agentId, updatedAt } = agent;
    const asker = { tenantId, agentId, actor: `agent:${agentId}`, request };
    return this.#tokens.issue(asker, wanted, {
      agentUpdatedAt: updatedAt,
      notAfter,
      evidence: { grant: "token-exchange", ...evidence },
      workload: evidence,
    });
  }

  #checkTarget({ audience, resource }: ExchangeRequest): void {
    for (const target of [audience, resource]) {
      if (target === undefined || target === this.#origin || target === `${this.#origin}/`) continue;
      throw new Problem("VALIDATION_ERROR", "The token would be for this gateway, and no other target.", {
        oauth: "invalid_target",
        why: `Leave \`audience\` and \`resource\` out, or say ${this.#origin}.`,
      });
    }
  }

  #note(
    { agent }: Pick<Workload, "agent">,
    reason: string,
    request: ClientInfo,
    context: Readonly<Record<string, unknown>>,
    by?: DeniedBy,
  ): void {
    if (agent === null) return;
    const { tenantId, agentId } = agent;
    this.#refused.note({
      ...{ tenantId, agentId, reason, by, request },
      // Who it was is what could not be told.
      actor: "system",
      type: "token.denied",
      context: { grant: "token-exchange", ...context },
    });
  }
}

/** One answer for whatever is wrong: whoever tries learns nothing of which agents there are and whom they trust. */
function refused(): Problem {
  return new Problem("EXCHANGE_REFUSED", "The subject token is not accepted for this client.", {
    why: "Its issuer, audience and claims must be those of a trust rule of the agent, and it must be live. The agent's audit trail has the reason.",
  });
}

function away(detail: string): Problem {
  return new Problem("UNAVAILABLE", detail, { headers: { "retry-after": "5" } });
}

/** Nothing asked for is nothing granted: a default would hand out all that a rule allows to whoever forgets. */
function parseScopes(text: string | undefined): readonly string[] {
  const scopes = [...new Set((text ?? "").split(" ").filter((scope) => scope !== ""))];
  const isGood = scopes.length > 0 && scopes.length <= 50;
  if (isGood && scopes.every((scope) => scopeSchema.safeParse(scope).success)) return scopes;
  throw new Problem("VALIDATION_ERROR", "`scope` must be 1 to 50 scopes, separated by spaces.", {
    oauth: "invalid_scope",
    why: "Name what the workload needs, such as connections:call:stripe. There is no default.",
  });
}

function isAllowedBy(allowedScopes: readonly string[] | undefined, scope: string): boolean {
  return allowedScopes === undefined || withinBounds({ allowedScopes, allowedNamespaces: [] }, scope);
}

/** As an agent's key: where there is a list, an address that means nothing is in none (attacks 61, 62). */
function checkAddress(allowlist: readonly string[], { ip, sharedAddress }: ClientInfo): void {
  if (allowlist.length === 0 || (ip !== null && !sharedAddress && inAllowlist(ip, allowlist))) return;
  throw new Problem("ADDRESS_DENIED", "This agent's tokens may not be asked for from this address.");
}
