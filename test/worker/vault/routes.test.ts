import { describe, expect, test } from "vitest";
import { newId } from "../../../src/base/ids.ts";
import type { AgentCaller } from "../../../src/identity/caller.ts";
import { door, memberOf, openVault, tokenOf } from "./fixtures.ts";

const PATH = "/v1/secrets/production/stripe/STRIPE_SECRET_KEY";
const CANARY = "sk_live_51Canary";

async function openDoor(options: Parameters<typeof openVault>[0] = {}) {
  const opened = await openVault(options);
  const { vault, tenantId } = opened;
  return {
    ...opened,
    as: (role: "admin" | "editor" | "viewer" | "auditor") => door(vault, memberOf(tenantId, role)),
    with: (...scopes: string[]) => door(vault, tokenOf(tenantId, ...scopes)),
  };
}

test("a secret is stored with 201 and changed with 200, and its value is in no answer to people", async () => {
  const { as } = await openDoor();
  const { send } = as("editor");
  const created = await send("PUT", PATH, {
    value: CANARY,
    secret_type: "api_key",
    allowed_hosts: ["api.stripe.com"],
  });
  expect(created.status).toBe(201);
  expect(created.body).toMatchObject({
    path: "production/stripe/STRIPE_SECRET_KEY",
    namespace: "production/stripe",
    key: "STRIPE_SECRET_KEY",
    version: 1,
    secret_type: "api_key",
    access_tier: "standard",
    metadata: {},
    allowed_hosts: ["api.stripe.com"],
    redactable: true,
    created_at: "2026-01-01T00:00:00.000Z",
  });
  expect(new Date(created.body.effective_at).getTime()).toBeGreaterThan(0);
  const changed = await send("PUT", PATH, { value: `${CANARY}2` });
  expect([changed.status, changed.body.version]).toEqual([200, 2]);
  const rotated = await send("POST", `${PATH}/rotate`, { new_value: `${CANARY}3`, grace_period_seconds: 60 });
  expect([rotated.status, rotated.body.version]).toEqual([200, 3]);
  const back = await send("POST", `${PATH}/rollback`, { version: 1 });
  expect([back.status, back.body.version, back.body.restored_version]).toEqual([200, 4, 1]);
  const versions = await send("GET", `${PATH}/versions?limit=2`);
  expect(versions.body).toMatchObject({ current_version: 4, versions: [{ version: 4 }, { version: 3 }] });
  const rest = await send("GET", `${PATH}/versions?limit=2&cursor=${versions.body.next_cursor}`);
  expect(rest.body).toMatchObject({ versions: [{ version: 2 }, { version: 1 }], next_cursor: null });
  const read = await send("GET", PATH);
  expect(read.body).toMatchObject({ version: 4, redactable: true });
  for (const { text } of [created, changed, rotated, back, versions, read])
    expect(text).not.toContain(CANARY);
});

test("whole namespaces may come percent-encoded, once", async () => {
  const { as } = await openDoor();
  const { send } = as("editor");
  expect((await send("PUT", "/v1/secrets/production%2Fgemini/KEY", { value: CANARY })).status).toBe(201);
  expect((await send("GET", "/v1/secrets/production/gemini/KEY")).body.path).toBe("production/gemini/KEY");
  expect((await send("GET", "/v1/secrets/production%2fgemini%2FKEY")).status).toBe(200);
  expect((await send("DELETE", "/v1/secrets/production%2Fgemini/KEY")).status).toBe(204);
});

test("attacks 23 to 26: paths that could be read in two ways are refused", async () => {
  const { as } = await openDoor();
  const { send } = as("editor");
  for (const path of [
    "a%252Fb/KEY",
    "a/%2e%2e%2fKEY",
    "a//KEY",
    "a/b%5cKEY",
    "a/b;c/KEY",
    "a/b%00/KEY",
    "a/.KEY",
    "a/%C0%AFKEY",
    "KEY",
    "a/import",
  ]) {
    const { status, body } = await send("PUT", `/v1/secrets/${path}`, { value: CANARY });
    expect([path, status, body?.error.code]).toEqual([path, 400, "VALIDATION_ERROR"]);
  }
});

describe("plaintext", () => {
  test("is off for agents unless allowed, and the refusal says what to do instead", async () => {
    const { as, with: holding } = await openDoor();
    await as("editor").send("PUT", PATH, { value: CANARY });
    const agent = holding("secrets:read:production/*");
    const { status, body, text } = await agent.send("GET", PATH);
    expect([status, body.error.code]).toEqual([403, "REVEAL_DENIED"]);
    expect(body.why).toContain("through a connection");
    expect(text).not.toContain(CANARY);
    expect(agent.uses.map(({ eventType }) => eventType)).toEqual(["token.used"]);
  });

  test.each([
    { tenant: "deny", secret: "allow", status: 200 },
    { tenant: "allow", secret: null, status: 200 },
    { tenant: "allow", secret: "deny", status: 403 },
    { tenant: "deny", secret: null, status: 403 },
  ] as const)(
    "the nearest setting wins: tenant $tenant, secret $secret is $status",
    async ({ tenant, secret, status }) => {
      const { as, with: holding } = await openDoor({ reveal: tenant });
      await as("admin").send("PUT", PATH, { value: CANARY, reveal: secret });
      const agent = holding("secrets:read:production/*");
      const answer = await agent.send("GET", PATH);
      expect([answer.status, answer.body.value]).toEqual([status, status === 200 ? CANARY : undefined]);
      expect(agent.uses.map(({ eventType }) => eventType)).toEqual([
        status === 200 ? "secret.read" : "token.used",
      ]);
    },
  );

  test("is never stored on the way, comes with its version, and earlier versions can be asked for", async () => {
    const { as, with: holding } = await openDoor({ reveal: "allow" });
    await as("editor").send("PUT", PATH, { value: "the-first-value" });
    await as("editor").send("PUT", PATH, { value: "the-second-value" });
    const { send } = holding("secrets:read:production/stripe/STRIPE_SECRET_KEY");
    const now = await send("GET", PATH);
    expect(now.headers.get("cache-control")).toBe("no-store");
    expect(now.body).toMatchObject({ value: "the-second-value", version: 2, secret_type: "custom" });
    expect((await send("GET", `${PATH}?version=1`)).body).toMatchObject({
      value: "the-first-value",
      version: 1,
    });
    expect((await send("GET", `${PATH}?version=3`)).body.error.code).toBe("SECRET_NOT_FOUND");
  });

  test("is given to no person, whatever the settings", async () => {
    const { as } = await openDoor({ reveal: "allow" });
    await as("admin").send("PUT", PATH, { value: CANARY, reveal: "allow" });
    for (const role of ["admin", "editor", "viewer"] as const) {
      const { status, text } = await as(role).send("GET", PATH);
      expect(status).toBe(200);
      expect(text).not.toContain(CANARY);
    }
  });

  test("that is no text goes in and out in base64; text comes back exactly", async () => {
    const { as, with: holding } = await openDoor({ reveal: "allow" });
    const { send } = holding("secrets:*:a/*");
    const bytes = Buffer.from([0, 255, 254, 128, 10, 13, 0, 1]).toString("base64");
    expect((await send("PUT", "/v1/secrets/a/BINARY", { value: bytes, encoding: "base64" })).status).toBe(
      201,
    );
    expect((await send("GET", "/v1/secrets/a/BINARY")).body).toMatchObject({
      value: bytes,
      encoding: "base64",
    });
    const text = "\uFEFF-----BEGIN\r\nüñí\u0000\u{1F511}\n";
    await send("PUT", "/v1/secrets/a/TEXT", { value: text });
    const read = await send("GET", "/v1/secrets/a/TEXT");
    expect([read.body.value, read.body.encoding]).toEqual([text, undefined]);
    const refused = {
      ...(await as("editor").send("PUT", "/v1/secrets/a/X", { value: "no base64!", encoding: "base64" })),
    };
    expect(refused.body.error.code).toBe("VALIDATION_ERROR");
    expect(refused.text).not.toContain("no base64!");
  });
});

describe("invariant 8: scope before existence", () => {
  const there = [
    "/v1/secrets/hidden/app/KEY",
    "/v1/secrets/hidden/app",
    "/v1/secrets?namespace=hidden",
    "/v1/secrets/hidden",
  ];
  const notThere = [
    "/v1/secrets/nothing/app/KEY",
    "/v1/secrets/nothing/app",
    "/v1/secrets?namespace=nothing",
    "/v1/secrets/nothing",
  ];

  test("outside its scope a token gets one and the same 403, whether a thing is there or not", async () => {
    const { as, with: holding } = await openDoor({ reveal: "allow" });
    await as("editor").send("PUT", "/v1/secrets/hidden/app/KEY", { value: CANARY });
    const agent = holding("secrets:*:production/*", "secrets:write:hidden/*", "secrets:use:hidden/*");
    const answers = await Promise.all([...there, ...notThere].map((path) => agent.send("GET", path)));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]?.body.error.code).toBe("SCOPE_DENIED");
    expect(agent.uses).toEqual([]);
  });

  test("a token that reads what is below a name cannot tell whether the name itself is a secret", async () => {
    const { as, with: holding } = await openDoor({ reveal: "allow" });
    for (const path of ["a/b", "a/b/KEY", "a/c/KEY"])
      await as("editor").send("PUT", `/v1/secrets/${path}`, { value: CANARY });
    const { send } = holding("secrets:read:a/b/*", "secrets:read:a/c/*");
    for (const name of ["a/b", "a/c"]) {
      const { status, body } = await send("GET", `/v1/secrets/${name}`);
      expect([status, body.items.length]).toEqual([200, 1]);
    }
  });

  test("inside its scope what is not there is a 404, and still charged", async () => {
    const { with: holding } = await openDoor({ reveal: "allow" });
    const agent = holding("secrets:*:production/*");
    expect((await agent.send("GET", PATH)).body.error.code).toBe("SECRET_NOT_FOUND");
    expect((await agent.send("DELETE", PATH)).body.error.code).toBe("SECRET_NOT_FOUND");
    expect(agent.uses).toHaveLength(2);
  });

  test("attack 73: another tenant's secret is a 404", async () => {
    const mine = await openDoor();
    const theirs = await openDoor({ reveal: "allow" });
    await mine.as("editor").send("PUT", PATH, { value: CANARY });
    const agent = theirs.with("secrets:*:*");
    const admin = theirs.as("admin");
    for (const { send } of [agent, admin]) {
      expect((await send("GET", PATH)).status).toBe(404);
      expect((await send("DELETE", PATH)).status).toBe(404);
    }
    expect((await admin.send("GET", `${PATH}/versions`)).status).toBe(404);
    expect((await admin.send("POST", `${PATH}/rotate`, { new_value: CANARY })).status).toBe(404);
    expect((await admin.send("POST", `${PATH}/rollback`, { version: 1 })).status).toBe(404);
    expect((await mine.as("viewer").send("GET", PATH)).status).toBe(200);
  });
});

describe("attack 87: every role on every route", () => {
  const calls: [string, string, string, unknown][] = [
    ["store", "PUT", PATH, { value: CANARY }],
    ["delete", "DELETE", PATH, undefined],
    ["rotate", "POST", `${PATH}/rotate`, { new_value: CANARY }],
    ["roll back", "POST", `${PATH}/rollback`, { version: 1 }],
    ["see versions", "GET", `${PATH}/versions`, undefined],
    ["import", "POST", "/v1/secrets/import", { namespace: "a", content: "A=some-value" }],
  ];
  test.each(calls)("viewers and auditors cannot %s", async (_, method, path, body) => {
    const { as } = await openDoor();
    for (const role of ["viewer", "auditor"] as const) {
      expect((await as(role).send(method, path, body)).body.error.code).toBe("ROLE_DENIED");
    }
  });

  test.each(calls.slice(2, 5))("no token can %s, whatever its scopes", async (_, method, path, body) => {
    const { with: holding } = await openDoor({ reveal: "allow" });
    expect((await holding("secrets:*:*").send(method, path, body)).body.error.code).toBe("ROLE_DENIED");
  });

  test("auditors see no secrets, agent keys do nothing here", async () => {
    const { as, vault, tenantId } = await openDoor();
    const agentId = newId("agent");
    const { request } = memberOf(tenantId);
    const key: AgentCaller = {
      kind: "agent",
      tenantId,
      agentId,
      keyId: newId("agentKey"),
      actor: `agent:${agentId}`,
      request,
    };
    for (const { send } of [as("auditor"), door(vault, key)]) {
      for (const path of [PATH, "/v1/secrets", "/v1/secrets?namespace=production", "/v1/namespaces"]) {
        expect((await send("GET", path)).body.error.code).toBe("ROLE_DENIED");
      }
    }
  });

  test("each action needs its own scope: reading does not write, writing does not read or delete", async () => {
    const { with: holding } = await openDoor({ reveal: "allow" });
    const codes = async (scope: string) => {
      const { send } = holding(scope);
      const answers = [
        await send("PUT", PATH, { value: CANARY }),
        await send("GET", PATH),
        await send("DELETE", PATH),
      ];
      return answers.map(({ status }) => status);
    };
    expect(await codes("secrets:use:production/*")).toEqual([403, 403, 403]);
    expect(await codes("secrets:write:production/*")).toEqual([201, 403, 403]);
    expect(await codes("secrets:read:production/*")).toEqual([403, 200, 403]);
    expect(await codes("secrets:delete:production/*")).toEqual([403, 403, 204]);
  });
});

describe("lists", () => {
  test("a path that is a namespace is listed, a secret of the same name wins, values are never there", async () => {
    const { as, with: holding } = await openDoor({ reveal: "allow" });
    const { send } = as("editor");
    for (const path of ["production/stripe/A", "production/stripe/B", "production/gemini/C"]) {
      await send("PUT", `/v1/secrets/${path}`, { value: CANARY });
    }
    for (const each of [as("viewer"), holding("secrets:read:production/*")]) {
      const { body, text } = await each.send("GET", "/v1/secrets/production/stripe");
      expect(body.namespace).toBe("production/stripe");
      expect(body.items.map(({ key }: { key: string }) => key)).toEqual(["A", "B"]);
      expect(text).not.toContain(CANARY);
    }
    expect((await send("GET", "/v1/secrets?namespace=production&limit=2")).body).toMatchObject({
      items: [{ key: "C" }, { key: "A" }],
      next_cursor: expect.any(String),
    });
    expect((await send("GET", "/v1/secrets")).body.items).toHaveLength(3);
    await send("PUT", "/v1/secrets/production/stripe", { value: CANARY });
    expect((await send("GET", "/v1/secrets/production/stripe")).body.path).toBe("production/stripe");
  });

  test("the namespaces that a token sees are those its scopes on secrets reach", async () => {
    const { as, with: holding } = await openDoor();
    for (const path of ["production/stripe/A", "production/stripe/B", "staging/app/C"]) {
      await as("editor").send("PUT", `/v1/secrets/${path}`, { value: CANARY });
    }
    expect((await as("viewer").send("GET", "/v1/namespaces")).body.namespaces).toEqual([
      { namespace: "production/stripe", secrets: 2 },
      { namespace: "staging/app", secrets: 1 },
    ]);
    const agent = holding("namespaces:read", "secrets:use:production/stripe/A");
    expect((await agent.send("GET", "/v1/namespaces")).body.namespaces).toEqual([
      { namespace: "production/stripe", secrets: 1 },
    ]);
    expect((await holding("secrets:*:*").send("GET", "/v1/namespaces")).body.error.code).toBe("SCOPE_DENIED");
  });
});

describe("import", () => {
  test("stores .env text, all or nothing, and tells what connections cannot use", async () => {
    const { as, with: holding } = await openDoor({ reveal: "allow" });
    const content = `# keys\nexport A=${CANARY}\nB="two words"\nSHORT=abc\n`;
    const { status, body, text } = await as("editor").send("POST", "/v1/secrets/import", {
      namespace: "staging/app",
      content,
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      namespace: "staging/app",
      imported: ["A", "B", "SHORT"],
      imported_count: 3,
      not_for_connections: ["SHORT"],
    });
    expect(text).not.toContain(CANARY);
    expect(
      (await holding("secrets:read:staging/*").send("GET", "/v1/secrets/staging/app/B")).body.value,
    ).toBe("two words");
    const broken = await as("editor").send("POST", "/v1/secrets/import", {
      namespace: "other",
      content: `${content}\nD = '`,
    });
    expect(broken.body.error).toEqual({
      code: "VALIDATION_ERROR",
      message: "`content`: line 6 opens a quote that is never closed.",
    });
    expect((await as("editor").send("GET", "/v1/secrets?namespace=other")).body.items).toEqual([]);
  });

  test("takes at most 200 keys, none of them reserved, and a token that may write all of the namespace", async () => {
    const { as, with: holding } = await openDoor();
    const lines = Array.from({ length: 201 }, (_, index) => `KEY_${index}=value-${index}`).join("\n");
    for (const content of [lines, "", "rotate=some-value"]) {
      const { body } = await as("editor").send("POST", "/v1/secrets/import", { namespace: "a", content });
      expect(body.error.code).toBe("VALIDATION_ERROR");
    }
    const input = { namespace: "staging", content: "A=some-value" };
    for (const scope of [
      "secrets:write:staging/A",
      "secrets:write:staging/app/*",
      "secrets:read:staging/*",
    ]) {
      expect((await holding(scope).send("POST", "/v1/secrets/import", input)).body.error.code).toBe(
        "SCOPE_DENIED",
      );
    }
    expect((await holding("secrets:write:staging/*").send("POST", "/v1/secrets/import", input)).status).toBe(
      201,
    );
  });
});

test.each<[string, unknown]>([
  ["an unknown field", { value: CANARY, host: "api.stripe.com" }],
  ["no value", {}],
  ["an empty value", { value: "" }],
  ["a number for a value", { value: 12345678 }],
  ["a lone surrogate", { value: "sk_live_\ud800" }],
  ["65,537 bytes", { value: "ä".repeat(32_768) + "x" }],
  ["65,537 bytes in base64", { value: Buffer.alloc(65_537).toString("base64"), encoding: "base64" }],
  ["nested metadata", { value: CANARY, metadata: { owner: { team: "payments" } } }],
  ["metadata beyond 4 KiB", { value: CANARY, metadata: { note: "x".repeat(4_090) } }],
  ["an unknown tier", { value: CANARY, access_tier: "none" }],
  ["a host with a scheme", { value: CANARY, allowed_hosts: ["https://api.stripe.com"] }],
])("a secret with %s is refused, and the refusal repeats nothing of it", async (_, body) => {
  const { as, changes } = await openDoor();
  const { status, body: answer, text } = await as("admin").send("PUT", PATH, body);
  expect([status, answer.error.code]).toEqual([400, "VALIDATION_ERROR"]);
  expect(text).not.toContain("sk_live");
  expect(changes.landed).toEqual([]);
});

test("65,536 bytes are stored", async () => {
  const { as } = await openDoor();
  expect((await as("editor").send("PUT", PATH, { value: "ä".repeat(32_768) })).status).toBe(201);
});

test("attack 44: a value that could not be found again in a response is stored with the reason why no connection uses it", async () => {
  const { as } = await openDoor();
  const { body } = await as("editor").send("PUT", PATH, { value: "abcdefg" });
  expect(body.redactable).toBe(false);
  expect(body.warning).toContain("connections cannot use it");
});

test("without a credential everything is a 401, whatever else is wrong with it", async () => {
  const { vault } = await openDoor();
  const { send } = door(vault, null);
  const calls = ["GET", "PUT", "DELETE", "POST"].flatMap((method) =>
    [PATH, "/v1/secrets/..%2f", "/v1/secrets/import", `${PATH}/rotate`, `${PATH}/versions`].map((path) =>
      send(method, path, method === "PUT" || method === "POST" ? { nonsense: 1 } : undefined),
    ),
  );
  calls.push(send("GET", "/v1/secrets?limit=x"), send("GET", "/v1/namespaces"));
  for (const { body } of await Promise.all(calls)) expect(body.error.code).toBe("UNAUTHORIZED");
});

test("methods that are not there say which are", async () => {
  const { as } = await openDoor();
  const { status, headers } = await as("admin").send("POST", PATH, { value: CANARY });
  expect([status, headers.get("allow")]).toEqual([405, "GET, PUT, PATCH, DELETE"]);
});
