import { beforeAll, describe, expect, test } from "vitest";
import { newCredential } from "../../../src/identity/credential.ts";
import { bindings, countRows, newTenant, outboxEmpty, send, type Sent } from "./door.ts";

const AGENT = "agt_000000000000000000000000";
const KEY = "akey_000000000000000000000000";

/** Every control-plane call of these rooms that takes a body, with a body that would be good. */
const WRITES = [
  ["POST", "/v1/agents", { name: "an agent" }],
  ["PATCH", "/v1/agents/{agent}", { name: "renamed" }],
  ["POST", "/v1/agents/{agent}/keys", {}],
  ["PATCH", "/v1/tenant", { reveal: "deny" }],
  ["POST", "/v1/freeze", { frozen: false, reason: "a test" }],
] as const;

const GOOD = { name: "an agent" };
const bad = (field: string, ...values: unknown[]) => values.map((value) => ({ ...GOOD, [field]: value }));

const BAD_AGENTS = [
  ...bad("name", undefined, null, "", 7, ["a"], { a: 1 }, "a".repeat(101)),
  ...bad("description", null, 7, "a".repeat(501)),
  ...bad(
    "allowed_namespaces",
    null,
    "prod",
    [7],
    [""],
    ["/prod"],
    ["../prod"],
    ["a b"],
    ["a".repeat(600)],
    Array(51).fill("a"),
  ),
  ...bad(
    "allowed_scopes",
    null,
    "secrets:read:a",
    [7],
    [""],
    ["secrets"],
    ["secrets:read"],
    ["secrets:rotate:a"],
  ),
  ...bad(
    "allowed_scopes",
    ["*:*:*"],
    ["connections:call:a/b"],
    ["tokens:read:a"],
    ["secrets:read:a:b"],
    ["SECRETS:read:a"],
  ),
  ...bad("allowed_scopes", Array(101).fill("namespaces:read"), [`secrets:read:${"a".repeat(600)}`]),
  ...bad(
    "ip_allowlist",
    null,
    "10.0.0.0/8",
    [7],
    [""],
    ["10.0.0.0/33"],
    ["10.0.0.1/8"],
    ["0.0.0.0/0"],
    ["::/0"],
  ),
  ...bad(
    "ip_allowlist",
    ["010.0.0.1"],
    ["10.1"],
    ["::ffff:10.0.0.0/104"],
    ["fe80::1%eth0"],
    ["example.com"],
    ["10.0.0.0/8/8"],
  ),
  ...bad("ip_allowlist", Array(101).fill("10.0.0.0/8")),
  ...bad("disabled", "true", 1, null),
];

const BAD_FREEZES = [
  {},
  { frozen: true },
  { reason: "why" },
  { frozen: "true", reason: "why" },
  { frozen: 1, reason: "why" },
  { frozen: true, reason: "" },
  { frozen: true, reason: "a".repeat(501) },
];

const NO_JSON_OBJECTS = ['{"name": "a"', "null", "[]", '"text"', "7", "\u0000", "{'name': 'a'}", "name=a"];

let tenant: Awaited<ReturnType<typeof newTenant>>;
let agentId: string;
beforeAll(async () => {
  tenant = await newTenant();
  agentId = (await send("POST", "/v1/agents", { credential: tenant.admin, body: GOOD })).body.id;
  await outboxEmpty();
});

const at = (path: string) => path.replace("{agent}", agentId);

async function expectRefused(status: number, code: string, method: string, path: string, sent: Sent) {
  const before = await countRows();
  const answer = await send(method, at(path), { credential: tenant.admin, ...sent });
  const what = `${method} ${path} ${JSON.stringify(sent).slice(0, 300)}`;
  expect([answer.status, answer.body.error?.code], what).toEqual([status, code]);
  expect(answer.body.request_id, what).toBe(answer.headers.get("x-request-id"));
  expect(await countRows(), what).toEqual(before);
  return answer;
}

describe("nothing is written and the code is stable", () => {
  test.each(WRITES)("%s %s with a field that does not exist", async (method, path, body) => {
    for (const field of ["extra", "tenant_id", "role", "__proto__", "constructor"]) {
      const sent = {
        body: JSON.stringify(body).replace(
          /^\{/,
          body && Object.keys(body).length > 0 ? `{"${field}": 1,` : `{"${field}": 1`,
        ),
      };
      await expectRefused(400, "VALIDATION_ERROR", method, path, sent);
    }
  });

  test.each(WRITES)("%s %s with a body that is no JSON object", async (method, path) => {
    for (const body of NO_JSON_OBJECTS) await expectRefused(400, "VALIDATION_ERROR", method, path, { body });
    await expectRefused(400, "JSON_TOO_DEEP", method, path, { body: "[".repeat(50_000) });
  });

  test.each(WRITES)(
    "attack 89: %s %s with 10 MB of JSON, refused before it is read through",
    async (method, path) => {
      const body = `{"name": "${"a".repeat(10 * 1024 * 1024)}"}`;
      await expectRefused(413, "BODY_TOO_LARGE", method, path, { body });
    },
  );

  test("attack 89: POST /v1/agents with a body that does not tell its length, cut off at the same size", async () => {
    const chunk = new TextEncoder().encode(" ".repeat(64 * 1024));
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += chunk.byteLength;
        if (sent > 10 * 1024 * 1024) controller.close();
        else controller.enqueue(chunk);
      },
    });
    await expectRefused(413, "BODY_TOO_LARGE", "POST", "/v1/agents", { body });
    expect(sent).toBeLessThan(4 * 1024 * 1024);
  });

  test("POST /v1/agents with every bad value", async () => {
    for (const body of BAD_AGENTS)
      await expectRefused(400, "VALIDATION_ERROR", "POST", "/v1/agents", { body });
  }, 30_000);

  test("PATCH /v1/agents/{id} with every bad value, and with nothing", async () => {
    await expectRefused(400, "VALIDATION_ERROR", "PATCH", "/v1/agents/{agent}", { body: {} });
    for (const body of BAD_AGENTS) {
      if (body.name === undefined) continue;
      await expectRefused(400, "VALIDATION_ERROR", "PATCH", "/v1/agents/{agent}", { body });
    }
  }, 30_000);

  test("PATCH /v1/tenant with every bad value, and with nothing", async () => {
    for (const body of [{}, { reveal: "maybe" }, { reveal: null }, { reveal: true }, { reveal: ["allow"] }]) {
      await expectRefused(400, "VALIDATION_ERROR", "PATCH", "/v1/tenant", { body });
    }
  });

  test("POST /v1/freeze with every bad value", async () => {
    for (const body of BAD_FREEZES)
      await expectRefused(400, "VALIDATION_ERROR", "POST", "/v1/freeze", { body });
  });

  test.each([
    ["GET", "/v1/agents/agt_1"],
    ["GET", `/v1/agents/${AGENT.toUpperCase()}`],
    ["GET", "/v1/agents/%00"],
    ["PATCH", "/v1/agents/x"],
    ["DELETE", "/v1/agents/tok_000000000000000000000000"],
    ["POST", "/v1/agents/x/keys"],
    ["DELETE", `/v1/agents/${AGENT}/keys/x`],
    ["DELETE", `/v1/agents/${AGENT}/keys/${AGENT}`],
  ])("%s %s is not an id", async (method, path) => {
    const body = method === "GET" || method === "DELETE" ? undefined : {};
    await expectRefused(400, "VALIDATION_ERROR", method, path, { body });
  });

  test.each([
    ["GET", `/v1/agents/${AGENT}`],
    ["DELETE", `/v1/agents/${AGENT}`],
    ["DELETE", `/v1/agents/${AGENT}/keys/${KEY}`],
  ])("%s %s does not exist", async (method, path) => {
    await expectRefused(404, "NOT_FOUND", method, path, {});
  });

  test.each([
    "limit=0",
    "limit=201",
    "limit=1.5",
    "limit=-1",
    "limit=x",
    "limit=",
    "limit=1&limit=2",
    "cursor=x",
    "cursor=WzFd",
    `cursor=${"a".repeat(513)}`,
    "Limit=1",
    "offset=1",
    "__proto__=1",
  ])("GET /v1/agents?%s", async (query) => {
    await expectRefused(400, "VALIDATION_ERROR", "GET", `/v1/agents?${query}`, {});
  });

  test.each([
    "event_type=agent.exploded",
    "event_type=agent.created&event_type=agent.deleted",
    "resource_type=agents",
    "actor=",
    `actor=${"a".repeat(257)}`,
    "start_time=yesterday",
    "start_time=2026-13-01T00:00:00Z",
    "start_time=1760000000000",
    "end_time=2026-01-01",
    "limit=0",
    "limit=1001",
    "limit=1e2",
    "page=0",
    "page=2&cursor=MS4w",
    "page=1000000",
    "cursor=x",
    "outcome=denied",
    "tenant_id=ten_0000000000000000",
  ])("GET /v1/audit?%s", async (query) => {
    await expectRefused(400, "VALIDATION_ERROR", "GET", `/v1/audit?${query}`, {});
  });

  test("the detail names what was wrong and never repeats the value", async () => {
    const value = "sk_live_canary_51H8";
    const body = { ...GOOD, allowed_scopes: [value], ip_allowlist: [value], [value.slice(0, 4)]: 1 };
    const answer = await expectRefused(400, "VALIDATION_ERROR", "POST", "/v1/agents", { body });
    const paths = answer.body.errors.map((error: { path: string }) => error.path);
    expect(paths).toEqual(expect.arrayContaining(["allowed_scopes.0", "ip_allowlist.0"]));
    expect(JSON.stringify(answer.body)).not.toContain(value);
  });
});

describe("credentials that are not live", () => {
  test("attack 57: malformed, unknown, revoked, disabled and deleted answer alike", async () => {
    const made = [];
    for (let count = 0; count < 3; count += 1) {
      made.push((await send("POST", "/v1/agents", { credential: tenant.admin, body: GOOD })).body);
    }
    const [removed, disabled, deleted] = made;
    await send("DELETE", `/v1/agents/${removed.id}/keys/${removed.key_id}`, { credential: tenant.admin });
    await send("PATCH", `/v1/agents/${disabled.id}`, { credential: tenant.admin, body: { disabled: true } });
    await send("DELETE", `/v1/agents/${deleted.id}`, { credential: tenant.admin });
    await bindings.DB.prepare("UPDATE members SET revoked_at = 1 WHERE name = 'viewer' AND tenant_id = ?")
      .bind(tenant.tenantId)
      .run();

    const answers = new Map<string, Sent>([
      ["no credential", {}],
      ["an empty one", { headers: { authorization: "Bearer " } }],
      ["another scheme", { headers: { authorization: `Basic ${btoa(`${tenant.admin}:`)}` } }],
      ["a bare one", { headers: { authorization: tenant.admin } }],
      ["two of them", { headers: { authorization: `Bearer ${tenant.admin}, Bearer ${tenant.admin}` } }],
      ["another prefix", { credential: "sk_live_0123456789" }],
      ["a malformed key", { credential: `${made[0].api_key}0` }],
      ["a well-formed unknown key", { credential: newCredential("vka").reveal() }],
      ["a well-formed unknown member", { credential: newCredential("vkm").reveal() }],
      ["a malformed token", { credential: `vkt_${"0".repeat(96)}` }],
      ["a removed key", { credential: removed.api_key }],
      ["a disabled agent's key", { credential: disabled.api_key }],
      ["a deleted agent's key", { credential: deleted.api_key }],
      ["a revoked member", { credential: tenant.viewer }],
    ]);
    const bodies = new Set<string>();
    for (const [what, sent] of answers) {
      for (const path of ["/v1/me", "/v1/agents", "/v1/audit"]) {
        const { status, headers, body } = await send("GET", path, sent);
        expect([status, headers.get("www-authenticate")], `${what} on ${path}`).toEqual([
          401,
          'Bearer realm="valetkey"',
        ]);
        const { request_id: _id, instance: _instance, ...rest } = body;
        bodies.add(JSON.stringify(rest));
      }
    }
    expect([...bodies]).toHaveLength(1);
    expect([...bodies][0]).toContain('"code":"UNAUTHORIZED"');
  });

  test("attack 50: a credential in the URL is none", async () => {
    const answer = await send("GET", `/v1/me?access_token=${tenant.admin}&key=${tenant.admin}`);
    expect(answer.status).toBe(401);
    expect(JSON.stringify(answer.body)).not.toContain(tenant.admin);
  });
});
