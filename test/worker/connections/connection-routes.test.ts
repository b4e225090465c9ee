import { beforeAll, describe, expect, test, vi } from "vitest";
import { providers } from "../../../src/connections/providers.ts";
import { newTenant, ROLES, send } from "../api/door.ts";
import { CANARY, KEY, own, stateOf } from "./fixtures.ts";

let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeAll(async () => {
  tenant = await newTenant();
  await storeSecret(tenant.editor);
});

async function storeSecret(credential: string): Promise<void> {
  const body = { value: CANARY, allowed_hosts: ["api.example.org", "eu.example.org"] };
  expect((await send("PUT", `/v1/secrets/${KEY}`, { credential, body })).status).toBe(201);
}

/** All that the tenant has, once the events of earlier changes have left for the ledger. */
async function settledState(): ReturnType<typeof stateOf> {
  const isSettled = async () => (await stateOf(tenant.tenantId))["audit_outbox"]?.length === 0;
  await vi.waitUntil(isSettled, { timeout: 5_000 });
  return stateOf(tenant.tenantId);
}

const as = (method: string, path: string, body?: unknown, credential = tenant.editor) =>
  send(method, path, { credential, ...(body === undefined ? {} : { body }) });

describe("/v1/connections", () => {
  test("makes, shows, lists, changes and removes a connection", async () => {
    const input = own(KEY, { slug: "crud", allow: [{ methods: ["GET"] }], limits: { timeout_seconds: 9 } });
    const made = await as("POST", "/v1/connections", input);
    expect(made.status).toBe(201);
    const { effective_at, ...connection } = made.body;
    expect(Date.parse(effective_at)).toBeGreaterThan(0);
    expect(connection).toEqual({
      slug: "crud",
      provider: null,
      base_url: "https://api.example.org",
      credential: { kind: "bearer" },
      secrets: { secret: KEY },
      allow: [{ methods: ["GET"] }],
      limits: { timeout_seconds: 9 },
      references: [],
      websockets: false,
      redact: { shapes: true, entropy: false, minted: true },
      default: "allow",
      gateway_url: "/proxy/crud",
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      updated_at: connection.created_at,
    });
    expect((await as("GET", "/v1/connections/crud")).body).toEqual(connection);
    const list = await as("GET", "/v1/connections", undefined, tenant.viewer);
    expect(list.body).toEqual({ connections: [connection], next_cursor: null });

    const patched = await as("PATCH", "/v1/connections/crud", {
      base_url: "https://eu.example.org",
      allow: null,
    });
    expect(patched.body).toMatchObject({ slug: "crud", base_url: "https://eu.example.org", allow: null });
    expect(patched.body).toHaveProperty("effective_at");
    expect((await as("POST", "/v1/connections", input)).body.error.code).toBe("CONFLICT");

    const removed = await as("DELETE", "/v1/connections/crud");
    expect(removed.status).toBe(204);
    expect(removed.headers.get("x-valetkey-effective-at")).toMatch(/Z$/);
    expect((await as("GET", "/v1/connections/crud")).status).toBe(404);
  });

  test("pages by cursor, and takes no other parameters", async () => {
    for (const slug of ["page-1", "page-2", "page-3"])
      await as("POST", "/v1/connections", own(KEY, { slug }));
    const first = await as("GET", "/v1/connections?limit=2");
    expect(first.body.connections.map(({ slug }: { slug: string }) => slug)).toEqual(["page-1", "page-2"]);
    const second = await as("GET", `/v1/connections?limit=2&cursor=${first.body.next_cursor}`);
    expect(second.body.connections.map(({ slug }: { slug: string }) => slug)).toEqual(["page-3"]);
    expect(second.body.next_cursor).toBeNull();
    for (const query of ["cursor=x", "limit=0", "limit=201", "limit=a", "page=2", "limit=1&limit=2"]) {
      expect((await as("GET", `/v1/connections?${query}`)).body.error.code, query).toBe("VALIDATION_ERROR");
    }
  });

  test("attack 73: another tenant's slug and secret are not found, whatever is done with them", async () => {
    const other = await newTenant();
    await as("POST", "/v1/connections", own(KEY, { slug: "ours" }));
    const attempts = [
      ["GET", "/v1/connections/ours", undefined, "NOT_FOUND"],
      ["PATCH", "/v1/connections/ours", { default: "deny" }, "NOT_FOUND"],
      ["DELETE", "/v1/connections/ours", undefined, "NOT_FOUND"],
      ["POST", "/v1/connections", own(KEY), "SECRET_NOT_FOUND"],
    ] as const;
    for (const [method, path, body, code] of attempts) {
      const answer = await as(method, path, body, other.admin);
      expect([answer.status, answer.body.error.code], `${method} ${path}`).toEqual([404, code]);
    }
    expect((await as("GET", "/v1/connections", undefined, other.admin)).body.connections).toEqual([]);
    expect((await as("GET", "/v1/connections/ours")).body.default).toBe("allow");
  });

  test.each([
    ["POST", "", ["admin", "editor"]],
    ["GET", "", ["admin", "editor", "viewer"]],
    ["GET", "/roles", ["admin", "editor", "viewer"]],
    ["PATCH", "/roles", ["admin", "editor"]],
    ["DELETE", "/roles", ["admin", "editor"]],
  ] as const)("attack 87: %s /v1/connections%s is for %j", async (method, path, allowed) => {
    await as("POST", "/v1/connections", own(KEY, { slug: "roles" }));
    const { api_key } = (await as("POST", "/v1/agents", { name: "an agent" }, tenant.admin)).body;
    const may: readonly string[] = allowed;
    const refused = ROLES.filter((role) => !may.includes(role)).map((role) => tenant[role]);
    const before = await settledState();
    for (const credential of [...refused, api_key]) {
      const answer = await as(
        method,
        `/v1/connections${path}`,
        method === "GET" ? undefined : {},
        credential,
      );
      expect([answer.status, answer.body.error.code]).toEqual([403, "ROLE_DENIED"]);
    }
    expect((await send(method, `/v1/connections${path}`)).status).toBe(401);
    expect(await stateOf(tenant.tenantId)).toEqual(before);
    for (const role of allowed) {
      const code = (
        await as(method, `/v1/connections${path}`, method === "GET" ? undefined : {}, tenant[role])
      ).body.error?.code;
      expect(code, role).not.toBe("ROLE_DENIED");
    }
  });
});

describe("input that is not valid writes nothing", () => {
  const catalogue = { slug: "up", provider: "stripe", secret: KEY };
  const created: [what: string, body: unknown][] = [
    ["nothing", {}],
    ["no object", [own(KEY)]],
    ["null", "null"],
    ["no JSON", "{"],
    ["an unknown member", own(KEY, { redirect: "follow" })],
    ["a host of one's own making", own(KEY, { host: "evil.example.org" })],
    ["an id", own(KEY, { id: "con_000000000000000000000000" })],
    ["a tenant", own(KEY, { tenantId: "ten_0000000000000000" })],
    ["redaction turned off", own(KEY, { redact: false })],
    ["redaction turned off by a member", own(KEY, { redact: { enabled: false } })],
    ["no slug", own(KEY, { slug: undefined })],
    ["a slug with capitals", own(KEY, { slug: "Up" })],
    ["a slug with a slash", own(KEY, { slug: "a/b" })],
    ["a slug with a dot", own(KEY, { slug: "a.b" })],
    ["a slug with a hyphen at its end", own(KEY, { slug: "a-" })],
    ["a slug with a line after it", own(KEY, { slug: "a\n" })],
    ["an empty slug", own(KEY, { slug: "" })],
    ["an over-long slug", own(KEY, { slug: "a".repeat(65) })],
    ["a slug that is a number", own(KEY, { slug: 1 })],
    ["an unknown provider", { ...catalogue, provider: "evil" }],
    ["a provider that objects have anyway", { ...catalogue, provider: "constructor" }],
    ["a provider that is null", { ...catalogue, provider: null }],
    ["a provider whose customers have hosts, without one", { ...catalogue, provider: "shopify" }],
    ["no base URL", own(KEY, { base_url: undefined })],
    ["an empty base URL", own(KEY, { base_url: "" })],
    ["a base URL that is none", own(KEY, { base_url: "api.example.org" })],
    ["a base URL that is an object", own(KEY, { base_url: { href: "https://api.example.org" } })],
    ["an over-long base URL", own(KEY, { base_url: `https://api.example.org/${"a".repeat(1_000)}` })],
    ["no credential", own(KEY, { credential: undefined })],
    ["a credential that is a name", own(KEY, { credential: "bearer" })],
    ["a credential without a kind", own(KEY, { credential: {} })],
    ["a kind that is a list", own(KEY, { credential: { kind: ["bearer"] } })],
    ["an option of another kind", own(KEY, { credential: { kind: "bearer", name: "X-Key" } })],
    ["no secret", own(KEY, { secret: undefined })],
    ["a secret and secrets", own(KEY, { secrets: { secret: KEY } })],
    ["secrets for nothing", own(KEY, { secret: undefined, secrets: {} })],
    ["a secret too many", own(KEY, { secret: undefined, secrets: { secret: KEY, more: KEY } })],
    ["a path that is none", own("KEY")],
    ["a path that goes up", own("staging/../production/KEY")],
    ["an over-long path", own(`staging/${"a".repeat(600)}`)],
    ["a secret that is null", own(KEY, { secret: null })],
    ["rules that are no list", own(KEY, { allow: { methods: ["GET"] } })],
    ["a rule with an unknown member", own(KEY, { allow: [{ method: "GET" }] })],
    ["a method in small letters", own(KEY, { allow: [{ methods: ["get"] }] })],
    ["no methods", own(KEY, { allow: [{ methods: [] }] })],
    ["a path without its slash", own(KEY, { allow: [{ paths: ["v1"] }] })],
    ["too many rules", own(KEY, { allow: Array.from({ length: 101 }, () => ({ methods: ["GET"] })) })],
    [
      "rules that are too long",
      own(KEY, { allow: [{ paths: Array.from({ length: 9 }, () => `/${"a".repeat(1_000)}`) }] }),
    ],
    ["an unknown limit", own(KEY, { limits: { rate: 1 } })],
    ["a limit that is a text", own(KEY, { limits: { timeout_seconds: "5" } })],
    ["a limit below its least", own(KEY, { limits: { timeout_seconds: 0 } })],
    ["a limit beyond its most", own(KEY, { limits: { max_body_bytes: 1e12 } })],
    ["an unknown place for references", own(KEY, { references: ["path"] })],
    ["references that are a text", own(KEY, { references: "body" })],
    ["websockets that are a text", own(KEY, { websockets: "true" })],
    ["an unknown default", own(KEY, { default: "ask" })],
  ];
  const patched: [what: string, body: unknown][] = [
    ["nothing", {}],
    ["another slug", { slug: "other" }],
    ["another provider", { provider: "stripe" }],
    ["an unknown member", { enabled: true }],
    ["a secret and secrets", { secret: KEY, secrets: { secret: KEY } }],
    ["a base URL that is null", { base_url: null }],
    ["redaction turned off", { redact: { headers: false } }],
    ["a limit that is null", { limits: null }],
    ["an unknown default", { default: "ask" }],
  ];

  beforeAll(async () => {
    await as("POST", "/v1/connections", own(KEY, { slug: "held" }));
  });

  async function expectInvalid(method: string, path: string, body: unknown): Promise<void> {
    const before = await settledState();
    const answer = await as(method, path, body);
    expect([answer.status, answer.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
    expect(await stateOf(tenant.tenantId)).toEqual(before);
  }

  test.each(created)("POST with %s", (_what, body) => expectInvalid("POST", "/v1/connections", body));
  test.each(patched)("PATCH with %s", (_what, body) => expectInvalid("PATCH", "/v1/connections/held", body));
  test.each(["UP", "a%2Fb", "-", "a".repeat(65), "%00"])("a slug %j in the path", async (slug) => {
    for (const method of ["GET", "PATCH", "DELETE"]) {
      const answer = await as(
        method,
        `/v1/connections/${slug}`,
        method === "PATCH" ? { default: "deny" } : undefined,
      );
      expect([answer.status, answer.body.error.code], method).toEqual([400, "VALIDATION_ERROR"]);
    }
  });

  test("a secret pasted into the wrong member is not repeated", async () => {
    const bodies = [
      own(CANARY),
      own(KEY, { slug: CANARY.toUpperCase() }),
      own(KEY, { base_url: CANARY }),
      own(KEY, { credential: { kind: "bearer", token: CANARY } }),
      { ...catalogue, provider: CANARY },
    ];
    for (const body of bodies) {
      const answer = await as("POST", "/v1/connections", body);
      expect(answer.status).toBe(400);
      expect(JSON.stringify(answer.body).toLowerCase()).not.toContain(CANARY);
    }
  });
});

describe("/v1/providers", () => {
  test("lists the catalogue for every credential, and for nobody without", async () => {
    const { api_key } = (await as("POST", "/v1/agents", { name: "an agent" }, tenant.admin)).body;
    for (const credential of [...ROLES.map((role) => tenant[role]), api_key]) {
      const { status, body } = await as("GET", "/v1/providers", undefined, credential);
      expect(status).toBe(200);
      expect(body.providers.map(({ id }: { id: string }) => id)).toEqual([...providers.keys()]);
    }
    expect((await send("GET", "/v1/providers")).status).toBe(401);
    expect((await send("GET", "/v1/providers/stripe")).status).toBe(401);
  });

  test("says of one provider where it is, where its key goes and where its SDKs put it", async () => {
    expect((await as("GET", "/v1/providers/stripe")).body).toEqual({
      id: "stripe",
      name: "Stripe",
      base_url: "https://api.stripe.com",
      hosts: ["api.stripe.com", "files.stripe.com"],
      credential: { kind: "bearer" },
      token_in: [
        { in: "header", name: "authorization", scheme: "Bearer" },
        { in: "header", name: "authorization", scheme: "Basic" },
      ],
      docs: "https://docs.stripe.com/api/authentication",
    });
    for (const id of ["nothing", "constructor", "__proto__"]) {
      expect((await as("GET", `/v1/providers/${id}`)).body.error.code, id).toBe("NOT_FOUND");
    }
  });
});
