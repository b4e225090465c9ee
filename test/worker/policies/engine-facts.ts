import type { AgentId, PolicyId, TokenId } from "../../../src/base/ids.ts";
import type { Policy } from "../../../src/policies/policy.ts";
import type { BodyView, RequestView } from "../../../src/policies/request-view.ts";
import type { PolicyFacts } from "../../../src/policies/verdict.ts";

/** Sunday, 2026-11-22, noon. */
export const NOON = Date.UTC(2026, 10, 22, 12);

export function json(value: unknown): BodyView {
  return { kind: "json", value };
}

export function requestView(given: Partial<RequestView> = {}): RequestView {
  return {
    method: "POST",
    path: "/v1/refunds",
    host: "api.stripe.com",
    query: { limit: "10", "expand[]": ["a", "b"] },
    headers: { accept: "application/json", "x-team": "billing" },
    size: 120,
    body: json({ amount: 20_000, customer: "cus_1", items: [{ price: 1 }, { price: 2 }] }),
    ...given,
  };
}

/** The facts of a call; `request` overrides parts of the request. */
export function callFacts(request: Partial<RequestView> = {}, given: Partial<PolicyFacts> = {}): PolicyFacts {
  return {
    subject: "calls",
    request: requestView(request),
    asked: null,
    agent: { id: "agt_000000000000000000000001" as AgentId, name: "refund-bot", trustTier: "trusted" },
    token: {
      id: "tok_000000000000000000000001" as TokenId,
      scopes: ["connections:call:stripe-*"],
      tool: "refund",
      user: null,
      context: { ticket: "T-1" },
      issuedAt: NOON - 90 * 60_000,
      expiresAt: NOON + 60_000,
    },
    connection: { slug: "stripe-live", provider: "stripe" },
    tier: "critical",
    ip: "10.1.2.3",
    now: NOON,
    ...given,
  };
}

/** The facts of a request for a token. */
export function askedFacts(asked: Readonly<Record<string, unknown>>): PolicyFacts {
  return callFacts({}, { subject: "tokens", request: null, token: null, connection: null, asked });
}

let made = 0;

export function policy(given: Partial<Policy> = {}): Policy {
  made += 1;
  return {
    id: `pol_${made.toString(16).padStart(24, "0")}` as PolicyId,
    name: `policy ${made}`,
    description: null,
    effect: "deny",
    on: "calls",
    connections: [],
    condition: null,
    approvals: 1,
    delaySeconds: 0,
    message: null,
    enabled: true,
    version: 1,
    createdAt: NOON,
    updatedAt: NOON,
    ...given,
  };
}
