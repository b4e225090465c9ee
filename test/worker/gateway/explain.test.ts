import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { beforeAll, describe, expect, it, test } from "vitest";
import { openDatabase } from "../../../src/base/database.ts";
import { Redacted } from "../../../src/base/redacted.ts";
import type { Explanation } from "../../../src/gateway/explain.ts";
import { createServices } from "../../../src/services.ts";
import { secrets } from "../../../src/vault/tables.ts";
import { callStatus, mint } from "../support/children.ts";
import { countingEnv } from "../support/counting.ts";
import { call, CALLER_IP, createTenant, ORIGIN, type Tenant } from "../support/tenant.ts";

let tenant: Tenant;
const tokens: Record<string, string> = {};

const connection = (slug: string, over: object = {}) =>
  tenant.services.connections.create(tenant.admin, {
    ...{
      slug,
      base_url: "http://127.0.0.1:9/base",
      credential: { kind: "bearer" },
      secret: "test/up/KEY",
      ...over,
    },
  } as never);

async function idOf(token: string) {
  const claims = tenant.services.explain.read(token);
  if (claims === null) throw new Error("it has expired");
  return claims.tokenId;
}

beforeAll(async () => {
  tenant = await createTenant();
  await connection("ruled", {
    allow: [
      { methods: ["POST"], paths: ["/v1/x"] },
      { methods: ["GET"], paths: ["/v1/*"] },
    ],
  });
  await connection("closed", { default: "deny" });
  await connection("templated", { references: ["headers", "query", "body"] });
  await connection("small", { limits: { max_body_bytes: 10 } });
  await connection("keyed", { credential: { kind: "query", name: "key" } });
  for (const [path, hosts] of [
    ["test/away/KEY", ["api.example.com"]],
    ["test/used/KEY", ["127.0.0.1:9"]],
    ["test/gone/KEY", ["127.0.0.1:9"]],
  ] as const) {
    const value = new Redacted(`canary-of-${path}-3f9c1d`);
    await tenant.services.vault.changes.put(tenant.admin, path, { value, allowedHosts: hosts });
  }
  await connection("astray", { secret: "test/away/KEY" }).catch(() => undefined);
  await connection("empty", { secret: "test/gone/KEY" });
  const db = openDatabase(env as Env).of(tenant.tenantId);
  await db.update(secrets).set({ deletedAt: Date.now() }).where(eq(secrets.path, "test/gone/KEY"));

  const all = ["connections:call:*", "secrets:use:test/used/*"];
  tokens["wide"] = await tenant.token({ scopes: all });
  tokens["up"] = await tenant.token();
  tokens["narrow"] = await tenant.token({
    scopes: all,
    allow: [{ connection: "up", methods: ["GET"], paths: ["/v1/*"] }],
  });
  tokens["elsewhere"] = await tenant.token({ ip_allowlist: ["198.51.100.0/24"] });
  tokens["spent"] = await tenant.token({ max_uses: 1 });
  tokens["slow"] = await tenant.token({ rate: { count: 1, windowSeconds: 3600 } });
  tokens["revoked"] = await tenant.token();
  tokens["child"] = await mint(tokens["spent"]);
  tokens["childOfRevoked"] = await mint(tokens["revoked"]);
  for (const name of ["spent", "slow"]) expect(await callStatus(tokens[name] ?? "")).toBe(200);
  await tenant.services.tokens.revoke(tenant.admin, await idOf(tokens["revoked"]));
});

interface Case {
  readonly token: string;
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function explain({ token, url, method = "GET", headers = {}, body }: Case): Promise<Explanation> {
  const text = tokens[token] ?? "";
  const grant = await tenant.services.tokens.get(tenant.tenantId, null, await idOf(text));
  return tenant.services.explain.call({
    ...{ grant, token: text, requestId: "req_test", client: { address: CALLER_IP, shared: false } },
    described: { method, url, headers, body: body ?? null },
  });
}

/** What the caller is told by the call itself; nulls where the provider answered. */
async function make({ token, url, method = "GET", headers = {}, body }: Case) {
  const init = { method, headers, ...(body === undefined ? {} : { body }) };
  const { response } = await call(url, tokens[token] ?? "", init);
  const text = await response.text();
  if (!response.headers.has("x-valetkey-error")) return { status: null, code: null, detail: null, why: null };
  const {
    detail,
    why = null,
    error,
  } = JSON.parse(text) as {
    detail: string;
    why?: string;
    error: { code: string };
  };
  return { status: response.status, code: error.code, detail, why };
}

const JSON_BODY = { "content-type": "application/json" };
const CASES: readonly [what: string, wanted: string | null, asked: Case][] = [
  ["a call that goes through", null, { token: "wide", url: "/proxy/up/v1/x" }],
  ["one with a body", null, { token: "wide", url: "/proxy/up/v1/x", method: "POST", body: "a=1" }],
  ["one with a query", null, { token: "wide", url: "/proxy/up/v1/x?a=1&b=2" }],
  ["the root of a connection", null, { token: "wide", url: "/proxy/up" }],
  ["a scope that names the connection", null, { token: "up", url: "/proxy/up/v1/x" }],
  ["a rule of the connection that fits", null, { token: "wide", url: "/proxy/ruled/v1/y" }],
  ["a rule of the token that fits", null, { token: "narrow", url: "/proxy/up/v1/y" }],
  [
    "another method than the token's rule",
    "SCOPE_DENIED",
    { token: "narrow", url: "/proxy/up/v1/y", method: "DELETE" },
  ],
  ["another path than the token's rule", "SCOPE_DENIED", { token: "narrow", url: "/proxy/up/v2" }],
  ["another connection than the token's rule", "SCOPE_DENIED", { token: "narrow", url: "/proxy/ruled/v1/y" }],
  ["another path than the connection's rules", "SCOPE_DENIED", { token: "wide", url: "/proxy/ruled/v2" }],
  [
    "another method than the connection's rules",
    "SCOPE_DENIED",
    { token: "wide", url: "/proxy/ruled/v1/y", method: "PUT" },
  ],
  [
    "a path too long for rules",
    "PATH_REFUSED",
    { token: "narrow", url: `/proxy/up/v1/${"x".repeat(4_100)}` },
  ],
  ["a connection that denies by default", "SCOPE_DENIED", { token: "wide", url: "/proxy/closed/x" }],
  ["a scope that is missing", "SCOPE_DENIED", { token: "up", url: "/proxy/ruled/v1/y" }],
  ["a connection out of scope that is not there", "SCOPE_DENIED", { token: "up", url: "/proxy/nowhere/x" }],
  ["a connection in scope that is not there", "NOT_FOUND", { token: "wide", url: "/proxy/nowhere/x" }],
  ["a name no connection can have", "NOT_FOUND", { token: "wide", url: "/proxy/No_Where/x" }],
  ["nested escapes", "PATH_REFUSED", { token: "wide", url: "/proxy/up/v1/%252e" }],
  ["an empty segment", "PATH_REFUSED", { token: "wide", url: "/proxy/up/v1//x" }],
  ["a semicolon", "PATH_REFUSED", { token: "wide", url: "/proxy/up/v1/a;b" }],
  ["a method override in the query", "PATH_REFUSED", { token: "wide", url: "/proxy/up/x?_method=DELETE" }],
  [
    "a method override in a header",
    "HEADER_REFUSED",
    { token: "wide", url: "/proxy/up/x", method: "POST", headers: { "x-http-method-override": "DELETE" } },
  ],
  [
    "a method override in the body",
    null,
    { token: "wide", url: "/proxy/up/x", method: "POST", body: "_method=DELETE" },
  ],
  [
    "a method override in the body, where the method counts",
    "VALIDATION_ERROR",
    {
      token: "wide",
      url: "/proxy/ruled/v1/x",
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "_method=DELETE",
    },
  ],
  [
    "a WebSocket where none may pass",
    "HEADER_REFUSED",
    { token: "wide", url: "/proxy/up/x", headers: { upgrade: "websocket", connection: "upgrade" } },
  ],
  [
    "a body that is too large",
    "BODY_TOO_LARGE",
    {
      token: "wide",
      url: "/proxy/small/x",
      method: "POST",
      headers: { "content-length": "11" },
      body: "x".repeat(11),
    },
  ],
  [
    "a body that just fits",
    null,
    { token: "wide", url: "/proxy/small/x", method: "POST", body: "x".repeat(10) },
  ],
  [
    "JSON that is too deep",
    "JSON_TOO_DEEP",
    {
      token: "wide",
      url: "/proxy/templated/x",
      method: "POST",
      headers: JSON_BODY,
      body: "[".repeat(200) + "]".repeat(200),
    },
  ],
  ["a URL that is too long", "URL_TOO_LONG", { token: "wide", url: `/proxy/up/${"x".repeat(20_000)}` }],
  [
    "too many headers",
    "HEADERS_TOO_LARGE",
    {
      token: "wide",
      url: "/proxy/up/x",
      headers: Object.fromEntries(Array.from({ length: 200 }, (_v, n) => [`x-${n}`, "1"])),
    },
  ],
  [
    "a reference that the token may use",
    null,
    { token: "wide", url: "/proxy/templated/x", headers: { "x-key": "vault://test/used/KEY" } },
  ],
  [
    "a reference that it may not",
    "SCOPE_DENIED",
    { token: "wide", url: "/proxy/templated/x", headers: { "x-key": "vault://test/up/KEY" } },
  ],
  [
    "a reference to nothing",
    "SECRET_NOT_FOUND",
    { token: "wide", url: "/proxy/templated/x", headers: { "x-key": "vault://test/used/NONE" } },
  ],
  [
    "a reference in the body",
    "SCOPE_DENIED",
    {
      token: "wide",
      url: "/proxy/templated/x",
      method: "POST",
      headers: JSON_BODY,
      body: '{"k":"vault://test/up/KEY"}',
    },
  ],
  [
    "a reference where none may stand",
    null,
    { token: "wide", url: "/proxy/up/x", headers: { "x-key": "vault://test/up/KEY" } },
  ],
  ["a connection without its secret", "SECRET_UNUSABLE", { token: "wide", url: "/proxy/empty/x" }],
  [
    "an address that the token may not be used from",
    "ADDRESS_DENIED",
    { token: "elsewhere", url: "/proxy/up/x" },
  ],
  ["the same, out of scope", "ADDRESS_DENIED", { token: "elsewhere", url: "/proxy/ruled/x" }],
  ["a token without uses left", "USES_EXHAUSTED", { token: "spent", url: "/proxy/up/x" }],
  ["a child of one without uses left", "USES_EXHAUSTED", { token: "child", url: "/proxy/up/x" }],
  ["a rate that is used up", "RATE_LIMITED", { token: "slow", url: "/proxy/up/x" }],
  ["a token that was revoked", "UNAUTHORIZED", { token: "revoked", url: "/proxy/up/x" }],
  ["the same, out of scope", "UNAUTHORIZED", { token: "revoked", url: "/proxy/nowhere/x" }],
  ["a child of a token that was revoked", "UNAUTHORIZED", { token: "childOfRevoked", url: "/proxy/up/x" }],
];

describe("an explanation says what the call would", () => {
  test.each(CASES)("%s", async (_what, wanted, asked) => {
    const { refusal, outcome, checks } = await explain(asked);
    const made = await make(asked);
    expect(made.code).toBe(wanted);
    const told =
      refusal === null
        ? { status: null, code: null, detail: null, why: null }
        : {
            status: refusal.status,
            code: refusal.code,
            detail: refusal.message,
            why: refusal.options.why ?? null,
          };
    // How long until the rate allows another depends on when one asks.
    const timeless = (text: string | null) => text?.replace(/[0-9]+ s\b/, "… s") ?? null;
    expect({ ...told, detail: timeless(told.detail) }).toEqual({ ...made, detail: timeless(made.detail) });
    expect(outcome).toBe(wanted === null ? "allowed" : "refused");
    const failed = checks.filter(({ ok }) => ok === false);
    expect(failed.map(({ detail }) => detail)).toEqual(refusal === null ? [] : [refusal.message]);
  });
});

describe("an explanation", () => {
  it("charges nothing, records nothing, sends nothing and opens no secret", async () => {
    const grant = await tenant.services.tokenUses.identify(tokens["up"] ?? "");
    const { bindings, counts } = countingEnv();
    const services = createServices(bindings, "127.0.0.1:8787", () => undefined);
    const before = await services.tokens.uses(grant);
    counts.objects.clear();
    for (const url of ["/proxy/up/x", "/proxy/ruled/x"]) {
      await services.explain.call({
        ...{ grant, token: null, requestId: "req_test", client: { address: CALLER_IP, shared: false } },
        described: { method: "GET", url, headers: {}, body: null },
      });
    }
    const called = [...counts.objects.keys()].toSorted();
    expect(called).toEqual(["SCOPED_TOKEN.preview", "SCOPED_TOKEN.state", "TENANT_GATE.lease"]);
    expect(await services.tokens.uses(grant)).toEqual(before);
  });

  it("tells what is left to the token, and which scopes, rules and checks it came by", async () => {
    const root = await tenant.token({ scopes: ["connections:call:*", "secrets:use:a/*"], max_uses: 5 });
    tokens["counted"] = await mint(root, {
      ...{ scopes: ["connections:call:ruled", "connections:call:up"], max_uses: 4 },
      allow: [{ connection: "up" }, { connection: "ruled", paths: ["/v1/*"] }],
    });
    expect(await callStatus(root)).toBe(200);
    expect(await callStatus(root)).toBe(200);
    expect(await callStatus(tokens["counted"])).toBe(200);
    const told = await explain({ token: "counted", url: "/proxy/ruled/v1/y" });
    expect(told).toMatchObject({
      ...{ outcome: "allowed", connection: "ruled", rules: { connection: 1, token: 1 } },
      destination: { host: "127.0.0.1:9", path: "/base/v1/y" },
      // Its own four less one, of the parent's five less three.
      token: { uses: 1, usesLeft: 2, isAddressGood: true },
    });
    expect(told.scopes.map(({ matched }) => matched)).toEqual([true, false]);
    expect(told.checks.every(({ ok }) => ok === true)).toBe(true);
  });

  it("stops where the call would: what was not looked at is not told", async () => {
    const { checks, destination } = await explain({ token: "up", url: "/proxy/ruled/v1/y" });
    const by = Object.fromEntries(checks.map(({ check, ok }) => [check, ok]));
    expect(by).toMatchObject({
      address: true,
      token: true,
      scope: false,
      connection: null,
      secrets: null,
      uses: null,
    });
    expect(destination).toBeNull();
  });

  it("takes a provider's URL for the connection that leads there, the one with the longest path", async () => {
    await connection("deep", { base_url: "http://127.0.0.1:9/base/deep" });
    const told = await explain({ token: "wide", url: "http://127.0.0.1:9/base/deep/v1/x?a=1" });
    expect(told).toMatchObject({
      outcome: "allowed",
      connection: "deep",
      destination: { path: "/base/deep/v1/x" },
    });
    expect(told.others).toContain("up");
    const plain = await explain({ token: "up", url: "http://127.0.0.1:9/base/deep/v1/x" });
    expect([plain.connection, plain.others]).toEqual(["up", []]);
    expect((await explain({ token: "wide", url: `${ORIGIN}/proxy/up/x` })).connection).toBe("up");
  });

  it.each([
    ["a host that no connection leads to", "https://api.example.org/base/x"],
    ["another port", "http://127.0.0.1:10/base/x"],
    ["another scheme", "https://127.0.0.1:9/base/x"],
    ["a path beside the base", "http://127.0.0.1:9/based/x"],
    ["a user in the authority", "http://a@127.0.0.1:9/base/x"],
  ])("attack 15: %s is refused", async (_what, url) => {
    const { refusal, connection: slug, destination } = await explain({ token: "wide", url });
    expect([refusal?.code, slug, destination]).toEqual([
      url.includes("@") ? "PATH_REFUSED" : "DESTINATION_DENIED",
      null,
      null,
    ]);
  });

  it("attack 73: a provider's URL says the same whether a connection out of scope leads there or none does", async () => {
    await connection("hidden", { base_url: "http://127.0.0.1:99/secret-base", default: "deny" }).catch(
      () => undefined,
    );
    const both = await Promise.all(
      ["http://127.0.0.1:99/secret-base/x", "http://127.0.0.1:98/secret-base/x"].map((url) =>
        explain({ token: "up", url }),
      ),
    );
    const told = both.map(({ refusal, ...rest }) => ({
      ...rest,
      code: refusal?.code,
      detail: refusal?.message,
    }));
    expect(told[0]).toEqual(told[1]);
  });
});
