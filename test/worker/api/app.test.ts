import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { createApp } from "../../../src/app.ts";
import { failureLine } from "../../../src/api/failures.ts";
import { Problem } from "../../../src/base/problem.ts";
import { agents } from "../../../src/identity/tables.ts";
import { bindings, db, leaseOf, newTenant, send } from "./door.ts";

let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeAll(async () => {
  tenant = await newTenant();
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("every answer", () => {
  test.each([
    ["GET", "/v1/health", 200],
    ["GET", "/v1/me", 401],
    ["GET", "/v1/nothing", 404],
    ["GET", "/", 404],
    ["GET", "/v1/agents/", 404],
    ["GET", "/v1/agents/x/y/z", 404],
    ["GET", "/V1/health", 404],
    ["DELETE", "/v1/health", 405],
    ["HEAD", "/v1/health", 200],
  ])("to %s %s carries its request id and is kept by nobody", async (method, path, status) => {
    const answer = await send(method, path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{24}$/);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("has a request id of its own, whatever the client sent", async () => {
    const mine = { headers: { "x-request-id": "req_mine" } };
    const ids = [await send("GET", "/v1/health", mine), await send("GET", "/v1/health", mine)].map((answer) =>
      answer.headers.get("x-request-id"),
    );
    expect(new Set([...ids, "req_mine"]).size).toBe(3);
  });

  test("is application/problem+json only where it is asked for", async () => {
    const plain = await send("GET", "/v1/me");
    const problem = await send("GET", "/v1/me", { headers: { accept: "application/problem+json" } });
    expect(plain.headers.get("content-type")).toBe("application/json");
    expect(problem.headers.get("content-type")).toBe("application/problem+json");
    expect(problem.body).toMatchObject({ status: 401, error: { code: "UNAUTHORIZED" } });
  });
});

describe("a path that takes other methods", () => {
  test.each([
    ["PUT", "/v1/agents", "GET, HEAD, POST"],
    ["POST", "/v1/agents/agt_000000000000000000000000", "GET, HEAD, PATCH, DELETE"],
    ["GET", "/v1/agents/agt_000000000000000000000000/keys", "POST"],
    ["GET", "/v1/bootstrap", "POST"],
    ["OPTIONS", "/v1/tenant", "GET, HEAD, PATCH"],
    ["DELETE", "/v1/audit", "GET, HEAD"],
  ])("%s %s says which: %s", async (method, path, allow) => {
    const answer = await send(method, path, { credential: tenant.admin });
    expect([answer.status, answer.body.error.code]).toEqual([405, "METHOD_NOT_ALLOWED"]);
    expect(answer.headers.get("allow")).toBe(allow);
  });
});

describe("GET /v1/health", () => {
  test("tells anyone that it is up and which version it is", async () => {
    const { body } = await send("GET", "/v1/health");
    expect(body.status).toBe("ok");
    expect(body.version).toMatch(/^\d+\.\d+\.\d+/);
  });
});

describe("a failure that was not foreseen", () => {
  const CANARY = "sk_live_canary_9f2c";

  async function failWith(error: unknown) {
    const logged: string[] = [];
    vi.spyOn(console, "error").mockImplementation((line) => void logged.push(String(line)));
    const app = createApp(() => {
      throw error;
    });
    const request = new Request(`https://gateway.example/v1/me?key=${CANARY}`, {
      headers: { authorization: `Bearer ${CANARY}`, "user-agent": CANARY },
    });
    const response = await app.fetch(request, bindings);
    return { response, text: await response.text(), logged };
  }

  test("tells the client nothing but a request id, and the operator its name and message", async () => {
    const { response, text, logged } = await failWith(new TypeError("the pepper is gone"));
    expect(response.status).toBe(500);
    expect(text).not.toContain("pepper");
    expect(text).not.toContain(CANARY);
    const requestId = response.headers.get("x-request-id");
    expect(logged.map((line) => JSON.parse(line))).toEqual([
      { request_id: requestId, code: "INTERNAL", name: "TypeError", message: "the pepper is gone" },
    ]);
    expect(response.headers.get("referrer-policy")).toBe("no-referrer");
  });

  test("a Problem is answered as it is, and logged by its code only where the fault is here", async () => {
    const misconfigured = await failWith(new Problem("MISCONFIGURED", "PEPPER is not set."));
    expect(misconfigured.response.status).toBe(500);
    expect(misconfigured.text).toContain("PEPPER is not set.");
    expect(misconfigured.logged.map((line) => JSON.parse(line))).toEqual([
      { request_id: misconfigured.response.headers.get("x-request-id"), code: "MISCONFIGURED" },
    ]);
    const refused = await failWith(new Problem("ROLE_DENIED", "no"));
    expect([refused.response.status, refused.logged]).toEqual([403, []]);
  });

  test("attack 47: a database error is logged without the values of its query", async () => {
    const row = {
      id: "agt_000000000000000000000000" as never,
      tenantId: tenant.tenantId,
      name: CANARY,
      description: CANARY,
      allowedNamespaces: [],
      allowedScopes: [],
      ipAllowlist: [],
      createdAt: 0,
      updatedAt: 0,
    };
    const error = await db
      .batch([db.insert(agents).values(row), db.insert(agents).values(row)])
      .catch((e) => e);
    const single = await db
      .insert(agents)
      .values({ ...row, id: null as never })
      .catch((e) => e);
    for (const failure of [error, single]) {
      const line = failureLine(failure, "req_1") ?? "";
      expect(line).toMatch(/constraint/i);
      expect(line).not.toContain(CANARY);
    }
  });

  test("attack 47: a parser's error is logged without its input", () => {
    let failure: unknown;
    try {
      JSON.parse(CANARY);
    } catch (error) {
      failure = error;
    }
    expect(String(failure)).toContain(CANARY.slice(0, 5));
    expect(failureLine(failure, "req_1")).toBe(
      '{"request_id":"req_1","code":"INTERNAL","name":"SyntaxError"}',
    );
  });
});

describe("the tenant", () => {
  test("keeps plaintext reading off until an admin turns it on", async () => {
    const read = () => send("GET", "/v1/tenant", { credential: tenant.admin });
    expect((await read()).body).toMatchObject({ id: tenant.tenantId, settings: { reveal: "deny" } });
    const patched = await send("PATCH", "/v1/tenant", {
      credential: tenant.admin,
      body: { reveal: "allow" },
    });
    expect(patched.body).toMatchObject({ settings: { reveal: "allow" }, effective_at: expect.any(String) });
    expect((await read()).body.settings).toMatchObject({ reveal: "allow" });
  });

  test("is frozen and unfrozen by an editor, with a reason that the trail keeps", async () => {
    const freeze = (frozen: boolean) =>
      send("POST", "/v1/freeze", { credential: tenant.editor, body: { frozen, reason: "a leak" } });
    expect((await freeze(true)).body).toMatchObject({ frozen: true, effective_at: expect.any(String) });
    expect((await leaseOf(tenant.tenantId)).frozen).toBe(true);
    await freeze(false);
    expect((await leaseOf(tenant.tenantId)).frozen).toBe(false);
    const trail = () => send("GET", "/v1/audit?resource_type=tenant", { credential: tenant.auditor });
    await expect
      .poll(
        async () => (await trail()).body.events.map((event: { event_type: string }) => event.event_type),
        {
          timeout: 5_000,
        },
      )
      .toEqual(["tenant.unfrozen", "tenant.frozen", "tenant.updated"]);
    expect((await trail()).body.events[0].context.reason).toBe("a leak");
  });
});

describe("the trail", () => {
  test("is read newest first, page by page, in a window of time", async () => {
    const own = await newTenant();
    for (const name of ["one", "two", "three"]) {
      await send("POST", "/v1/agents", { credential: own.admin, body: { name } });
    }
    const names = async (query: string) => {
      const { body } = await send("GET", `/v1/audit?event_type=agent.created&${query}`, {
        credential: own.auditor,
      });
      const shown = body.events.map((event: { context: { name: string } }) => event.context.name);
      return { shown, next: body.next_cursor };
    };
    await expect
      .poll(async () => (await names("limit=10")).shown, { timeout: 5_000 })
      .toEqual(["three", "two", "one"]);
    const first = await names("limit=2");
    expect(first.shown).toEqual(["three", "two"]);
    expect((await names(`limit=2&cursor=${first.next}`)).shown).toEqual(["one"]);
    expect((await names("limit=1&page=3")).shown).toEqual(["one"]);
    const tomorrow = encodeURIComponent(new Date(Date.now() + 86_400_000).toISOString());
    expect((await names(`start_time=${tomorrow}`)).shown).toEqual([]);
    expect((await names(`end_time=${tomorrow}`)).shown).toHaveLength(3);
  });
});

describe("Prefer: wait", () => {
  test("answers once the change holds everywhere, and says so", async () => {
    const patch = { credential: tenant.admin, body: { reveal: "deny" } };
    await leaseOf(tenant.tenantId);
    const now = await send("PATCH", "/v1/tenant", patch);
    expect(now.headers.get("preference-applied")).toBeNull();
    expect(Date.parse(now.body.effective_at)).toBeGreaterThan(Date.now());
    const waited = await send("PATCH", "/v1/tenant", {
      ...patch,
      headers: { prefer: "return=minimal, Wait" },
    });
    expect(waited.headers.get("preference-applied")).toBe("wait");
    expect(Date.parse(waited.body.effective_at)).toBeLessThanOrEqual(Date.now());
  }, 15_000);
});
