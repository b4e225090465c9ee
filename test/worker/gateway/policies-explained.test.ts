import { beforeAll, describe, expect, it } from "vitest";
import type { Explanation } from "../../../src/gateway/explain.ts";
import type { PolicyCreate } from "../../../src/policies/schemas.ts";
import { CALLER_IP, createTenant, type Tenant } from "../support/tenant.ts";

let tenant: Tenant;
let token: string;

beforeAll(async () => {
  tenant = await createTenant();
  const policy = (name: string, content: object) =>
    tenant.services.policies.create(tenant.admin, { name, connections: ["up"], ...content } as PolicyCreate);
  await policy("reading", { effect: "allow", condition: 'request.method == "GET"' });
  await policy("no deletes", {
    effect: "deny",
    condition: 'request.method == "DELETE"',
    message: "Keep it.",
  });
  await policy("amounts", {
    ...{ effect: "require_approval", approvals: 2, message: "Two people look at it." },
    condition: 'request.path == "/pay" && request.body.amount > 100.0',
  });
  await policy("recipients", {
    effect: "deny",
    condition: 'request.path == "/send" && request.body.to != "me"',
  });
  token = await tenant.token({ scopes: ["connections:call:up"] });
});

async function explain(method: string, path: string, body: string | null = null): Promise<Explanation> {
  const grant = await tenant.services.tokenUses.identify(token);
  return tenant.services.explain.call({
    ...{ grant, token, requestId: "req_test", client: { address: CALLER_IP, shared: false } },
    described: { method, url: `/proxy/up${path}`, headers: { "content-type": "application/json" }, body },
  });
}

function summary({ outcome, refusal, policies, checks }: Explanation) {
  return {
    outcome,
    code: refusal?.code ?? null,
    policies: policies.map(({ name, effect, cause }) => `${name} ${effect} ${cause}`),
    check: checks.find(({ check }) => check === "policies")?.ok,
  };
}

describe("an explanation says what policies would, and which of them", () => {
  it.each([
    ["GET", "/x", null, { outcome: "allowed", code: null, policies: ["reading allow matched"], check: true }],
    ["PUT", "/x", "{}", { outcome: "allowed", code: null, policies: [], check: true }],
    [
      ...(["DELETE", "/x", "{}"] as const),
      { outcome: "refused", code: "POLICY_DENIED", policies: ["no deletes deny matched"], check: false },
    ],
    [
      ...(["POST", "/send", '{"to":"you"}'] as const),
      { outcome: "refused", code: "POLICY_DENIED", policies: ["recipients deny matched"], check: false },
    ],
    [
      ...(["POST", "/send", "{}"] as const),
      { outcome: "refused", code: "POLICY_DENIED", policies: ["recipients deny error"], check: false },
    ],
    [
      ...(["POST", "/pay", '{"amount":101}'] as const),
      { outcome: "needs_approval", code: null, policies: ["amounts require_approval matched"], check: null },
    ],
    [
      ...(["POST", "/pay", '{"amount":1,"amount":101}'] as const),
      { outcome: "refused", code: "BODY_AMBIGUOUS", policies: [], check: null },
    ],
  ])("%s %s %s", async (method, path, body, wanted) => {
    expect(summary(await explain(method, path, body))).toEqual(wanted);
  });

  it("says that it does not know where a policy looks into a body that was not described, and which", async () => {
    const sent = await explain("POST", "/send");
    expect(summary(sent)).toEqual({
      ...{ outcome: "unknown", code: null, check: null },
      policies: ["recipients deny error"],
    });
    expect(sent.checks.find(({ check }) => check === "policies")?.detail).toContain("body");
    expect(summary(await explain("POST", "/pay"))).toMatchObject({
      ...{ outcome: "unknown", policies: ["amounts require_approval matched"] },
    });
    // What is denied whatever the body says is denied, and what has no body has none.
    expect(summary(await explain("DELETE", "/x"))).toMatchObject({
      outcome: "refused",
      code: "POLICY_DENIED",
    });
    expect(summary(await explain("GET", "/send"))).toMatchObject({
      outcome: "refused",
      code: "POLICY_DENIED",
    });
  });
});
