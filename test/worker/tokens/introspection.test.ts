import { beforeAll, describe, expect, it } from "vitest";
import { newTenant, send } from "../api/door.ts";
import { call, isolate } from "../support/tenant.ts";

let tenant: Awaited<ReturnType<typeof newTenant>>;
let agent: { id: string; api_key: string };
beforeAll(async () => {
  tenant = await newTenant();
  const body = { name: "an agent", allowed_scopes: ["connections:call:*", "namespaces:read"] };
  agent = (await send("POST", "/v1/agents", { credential: tenant.admin, body })).body;
});

async function issue(scopes: string[]): Promise<{ token: string; token_id: string }> {
  const answer = await send("POST", "/v1/tokens", {
    credential: agent.api_key,
    body: { scopes, ttl: "10m" },
  });
  expect(answer.status).toBe(201);
  return answer.body;
}

/** On an isolate that has no lease yet, so that what it sees is what holds now. */
async function introspect(token: string, contentType = "application/x-www-form-urlencoded", body?: string) {
  const form = new URLSearchParams({ token }).toString();
  const init = { method: "POST", body: body ?? form, headers: { "content-type": contentType } };
  const { response } = await call("/oauth/introspect", tenant.admin, init, isolate());
  return { status: response.status, text: await response.text() };
}

const isActive = async (token: string): Promise<boolean> =>
  (JSON.parse((await introspect(token)).text) as { active: boolean }).active;

describe("introspection", () => {
  it("tells a live token from one that was revoked, alone or in bulk", async () => {
    const alone = await issue(["connections:call:up"]);
    const inBulk = await issue(["connections:call:up"]);
    const other = await issue(["connections:call:b"]);
    expect(await Promise.all([alone, inBulk, other].map(({ token }) => isActive(token)))).toEqual([
      true,
      true,
      true,
    ]);
    expect((await send("DELETE", `/v1/tokens/${alone.token_id}`, { credential: tenant.admin })).status).toBe(
      204,
    );
    expect(await Promise.all([alone, inBulk, other].map(({ token }) => isActive(token)))).toEqual([
      false,
      true,
      true,
    ]);
    const revoked = await send("POST", "/v1/tokens/revoke", {
      credential: tenant.admin,
      body: { connection: "up" },
    });
    expect(revoked.status).toBeLessThan(300);
    expect(await Promise.all([alone, inBulk, other].map(({ token }) => isActive(token)))).toEqual([
      false,
      false,
      true,
    ]);
  });

  it("attack 47: repeats no token, not even where a body is sent as what it is not", async () => {
    const { token } = await issue(["namespaces:read"]);
    const json = JSON.stringify({ token });
    const answers = [
      await introspect(token, "application/x-www-form-urlencoded", json),
      await introspect(token, "application/json", `{"${token}": 1}`),
      await introspect(token, "application/json", new URLSearchParams({ token }).toString()),
      await introspect(token, "application/x-www-form-urlencoded", token),
    ];
    for (const { status, text } of answers) {
      expect(status).toBe(400);
      expect(text).not.toContain(token.slice(4, 40));
    }
    expect(await isActive(token)).toBe(true);
  });
});
