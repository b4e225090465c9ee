import type { ExactCall } from "../../../src/approvals/digest.ts";
import { newId } from "../../../src/base/ids.ts";
import type { Connection } from "../../../src/connections/connection.ts";

const CONNECTION: Connection = {
  id: newId("connection"),
  slug: "stripe",
  provider: "stripe",
  baseUrl: "https://api.stripe.com",
  credential: { kind: "bearer" },
  secrets: { secret: "test/stripe/KEY" },
  allow: null,
  limits: {},
  references: [],
  websockets: false,
  redact: {} as Connection["redact"],
  default: "allow",
  createdAt: 1,
  updatedAt: 2,
};

const CALL: ExactCall = {
  tenantId: newId("tenant"),
  agentId: newId("agent"),
  purpose: { tool: "refunder", user: "ada@example.com", context: { reason: "ticket 12" } },
  connection: CONNECTION,
  method: "POST",
  scheme: "https",
  authority: "api.stripe.com",
  path: "/v1/refunds",
  query: "expand[]=charge",
  headers: [
    ["content-type", "application/x-www-form-urlencoded"],
    ["stripe-version", "2025-01-01"],
    ["idempotency-key", "stripe-node-retry-1"],
    ["user-agent", "Stripe/v1"],
  ],
  body: Buffer.from("charge=ch_1&amount=1250&currency=eur"),
  secrets: {
    secret: {
      secretId: newId("secret"),
      path: "test/stripe/KEY",
      versionId: newId("version"),
      version: 3,
      tier: "sensitive",
    },
  },
  policies: [{ id: newId("policy"), name: "refunds", version: 1, message: null }],
  approvals: 1,
  delaySeconds: 0,
};

/** A refund of Stripe's, but for what is said otherwise. */
export function exactCall(changes: Partial<ExactCall> = {}): ExactCall {
  return { ...CALL, ...changes };
}

/** A body of JSON to an API that no hint knows. */
export function jsonCall(body: string | Uint8Array, type = "application/json"): ExactCall {
  return exactCall({
    connection: { ...CONNECTION, provider: null },
    headers: [["content-type", type]],
    body: typeof body === "string" ? Buffer.from(body) : body,
    query: "",
  });
}
