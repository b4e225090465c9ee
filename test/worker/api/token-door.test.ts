import { beforeAll, describe, expect, test } from "vitest";
import { newTenant, send } from "./door.ts";

let tenant: Awaited<ReturnType<typeof newTenant>>;
let agent: { id: string; api_key: string };
beforeAll(async () => {
  tenant = await newTenant();
  const body = { name: "an agent", allowed_scopes: ["namespaces:read", "secrets:read:production/*"] };
  agent = (await send("POST", "/v1/agents", { credential: tenant.admin, body })).body;
});

async function issue(over: Record<string, unknown> = {}) {
  const body = { scopes: ["namespaces:read"], ttl: "10m", ...over };
  const answer = await send("POST", "/v1/tokens", { credential: agent.api_key, body });
  expect(answer.status).toBe(201);
  return answer.body as { token: string; token_id: string };
}

const namespaces = (credential: string, headers = {}) =>
  send("GET", "/v1/namespaces", { credential, headers });
const codeOf = (answer: Awaited<ReturnType<typeof send>>) => [answer.status, answer.body.error?.code];

describe("a scoped token at the door", () => {
  test("asks who it is as often as it likes, and is charged only for what it does", async () => {
    const { token, token_id } = await issue({ max_uses: 1 });
    for (let count = 0; count < 3; count += 1) {
      const me = await send("GET", "/v1/me", { credential: token });
      expect(me.body).toMatchObject({
        kind: "token",
        id: token_id,
        agent_id: agent.id,
        scopes: ["namespaces:read"],
      });
    }
    expect(codeOf(await namespaces(token))).toEqual([200, undefined]);
    expect(codeOf(await namespaces(token))).toEqual([403, "USES_EXHAUSTED"]);
  });

  test("manages nothing", async () => {
    const { token } = await issue();
    for (const [method, path] of [
      ["GET", "/v1/agents"],
      ["GET", "/v1/tenant"],
      ["POST", "/v1/freeze"],
      ["GET", "/v1/audit"],
      ["POST", "/v1/tokens"],
    ] as const) {
      expect(codeOf(await send(method, path, { credential: token })), path).toEqual([403, "ROLE_DENIED"]);
    }
  });

  test("is refused outside its scopes, whether there is anything or not", async () => {
    const { token } = await issue({ scopes: ["secrets:read:production/*"] });
    expect(codeOf(await namespaces(token))).toEqual([403, "SCOPE_DENIED"]);
    const other = await send("GET", "/v1/secrets/staging/app/KEY", { credential: token });
    expect(codeOf(other)).toEqual([403, "SCOPE_DENIED"]);
  });

  test("an agent key is told to ask for a token", async () => {
    expect(codeOf(await namespaces(agent.api_key))).toEqual([403, "ROLE_DENIED"]);
  });

  test("attack 61, attack 62: its allowlist holds on every call, and without an address that means anything", async () => {
    const { token } = await issue({ ip_allowlist: ["192.0.2.0/28"] });
    const asked = [
      (headers: object) => send("GET", "/v1/me", { credential: token, headers: { ...headers } }),
    ];
    asked.push((headers) => namespaces(token, headers));
    for (const ask of asked) {
      expect((await ask({})).status).toBe(200);
      for (const headers of [
        { "cf-connecting-ip": "192.0.2.16" },
        { "cf-connecting-ip": "192.0.2.16", "x-forwarded-for": "192.0.2.1" },
        { "cf-connecting-ip": "unknown" },
        { "cf-worker": "x.example" },
      ]) {
        expect(codeOf(await ask(headers)), JSON.stringify(headers)).toEqual([403, "ADDRESS_DENIED"]);
      }
    }
  });

  test("attack 57: malformed, forged and that of a disabled agent answer alike", async () => {
    const { token } = await issue();
    const made = (
      await send("POST", "/v1/agents", {
        credential: tenant.admin,
        body: { name: "b", allowed_scopes: ["namespaces:read"] },
      })
    ).body;
    const body = { scopes: ["namespaces:read"], ttl: "10m" };
    const stopped = (await send("POST", "/v1/tokens", { credential: made.api_key, body })).body.token;
    expect((await send("GET", "/v1/me", { credential: stopped })).status).toBe(200);
    const disabled = await send("PATCH", `/v1/agents/${made.id}`, {
      credential: tenant.admin,
      body: { disabled: true },
      headers: { prefer: "wait" },
    });
    expect(disabled.headers.get("preference-applied")).toBe("wait");
    const bodies = new Set<string>();
    for (const credential of [
      token.slice(0, -1),
      `${token}0`,
      "vkt_",
      token.replace(/.{6}$/, "000000"),
      stopped,
    ]) {
      for (const path of ["/v1/me", "/v1/namespaces", "/v1/agents"]) {
        const { status, body: refusal } = await send("GET", path, { credential });
        const { request_id: _id, instance: _instance, ...rest } = refusal;
        bodies.add(JSON.stringify([status, rest]));
      }
    }
    expect([...bodies]).toHaveLength(1);
    expect([...bodies][0]).toContain("UNAUTHORIZED");
  }, 15_000);
});
