import { expect, test } from "vitest";
import { newTenant, send } from "./door.ts";

test("members see which policy decides, agents its name and what it says", async () => {
  const tenant = await newTenant();
  const { admin } = tenant;
  const must = async (method: string, path: string, credential: string, body: unknown) => {
    const answer = await send(method, path, { credential, body });
    expect(answer.status, answer.text).toBeLessThan(300);
    return answer.body;
  };
  await must("PUT", "/v1/secrets/test/up/KEY", admin, {
    value: "sk-0123456789abcdef",
    allowed_hosts: ["127.0.0.1:9"],
  });
  await must("POST", "/v1/connections", admin, {
    ...{ slug: "up", base_url: "http://127.0.0.1:9", credential: { kind: "bearer" }, secret: "test/up/KEY" },
  });
  const made = await must("POST", "/v1/policies", admin, {
    ...{ name: "closed", effect: "deny", condition: null, message: "Not today." },
  });
  const agent = await must("POST", "/v1/agents", admin, {
    name: "a",
    allowed_scopes: ["connections:call:*"],
  });
  const { token } = await must("POST", "/v1/tokens", agent.api_key, {
    scopes: ["connections:call:up"],
    ttl: "1h",
  });
  const url = "http://localhost/proxy/up/x";
  const seen = { name: "closed", effect: "deny", message: "Not today.", cause: "matched" };
  for (const credential of [admin, tenant.viewer]) {
    const told = await must("POST", "/v1/explain", credential, { url, token });
    expect(told).toMatchObject({ outcome: "refused", code: "POLICY_DENIED", why: "Not today." });
    expect(told.policies).toEqual([{ ...seen, id: made.id, version: made.version }]);
  }
  for (const credential of [agent.api_key, token]) {
    const told = await must("POST", "/v1/explain", credential, { url, token });
    expect(told.policies).toEqual([{ ...seen, id: null, version: null }]);
  }
});
