import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { ENDPOINTS } from "../../../src/api/endpoints.ts";
import { takesIdempotencyKey } from "../../../src/base/endpoint.ts";
import { KEPT_MS, forgetKeys } from "../../../src/identity/idempotency/keys.ts";
import { idempotencyKeys } from "../../../src/identity/idempotency/tables.ts";
import { openDatabase } from "../../../src/base/database.ts";
import { failingEnv } from "../support/failing.ts";
import { signedIn } from "../support/signed-in.ts";
import { call } from "../support/tenant.ts";
import { type Answer, db, newTenant, send } from "./door.ts";

let tenant: Awaited<ReturnType<typeof newTenant>>;
let other: typeof tenant;
beforeAll(async () => {
  [tenant, other] = [await newTenant(), await newTenant()];
});

let drawn = 0;
let key: string;
beforeEach(() => {
  drawn += 1;
  key = `key-${drawn}-of-this-file`;
});

const codeOf = ({ status, body }: Answer) => [status, body.error?.code];

function make(
  name: string,
  sent: { readonly credential?: string; readonly key?: string; readonly path?: string } = {},
) {
  return send("POST", sent.path ?? "/v1/agents", {
    credential: sent.credential ?? tenant.admin,
    headers: { "idempotency-key": sent.key ?? key },
    body: { name },
  });
}

async function agentsNamed(name: string): Promise<number> {
  const { body } = await send("GET", "/v1/agents?limit=200", { credential: tenant.admin });
  return body.agents.filter((agent: { name: string }) => agent.name === name).length;
}

const rows = () => db.select().from(idempotencyKeys).where(eq(idempotencyKeys.tenantId, tenant.tenantId));

async function newestRow() {
  const row = (await rows()).toSorted((a, b) => a.createdAt - b.createdAt).at(-1);
  if (row === undefined) throw new Error("there is no row");
  return row;
}

describe("a write that comes again with its Idempotency-Key", () => {
  test("gets the first answer, one-time secrets included, and is done once", async () => {
    const name = "made once";
    const first = await make(name);
    const second = await make(name);
    expect(first.status).toBe(201);
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    expect([second.status, second.headers.get("idempotency-replayed")]).toEqual([201, "true"]);
    expect(second.body).toEqual(first.body);
    expect(second.body.api_key).toMatch(/^vka_/);
    expect(second.headers.get("x-request-id")).not.toBe(first.headers.get("x-request-id"));
    expect(await agentsNamed(name)).toBe(1);
  });

  test("gets an answer without a body with its headers", async () => {
    const { body } = await send("POST", "/v1/agents", {
      credential: tenant.admin,
      body: { name: "to delete" },
    });
    const remove = () =>
      send("DELETE", `/v1/agents/${body.id}`, {
        credential: tenant.admin,
        headers: { "idempotency-key": key },
      });
    const [first, second] = [await remove(), await remove()];
    expect([first.status, second.status]).toEqual([204, 204]);
    const effectiveAt = first.headers.get("x-valetkey-effective-at");
    expect(effectiveAt).not.toBeNull();
    expect(second.headers.get("x-valetkey-effective-at")).toBe(effectiveAt);
  });

  test("is another's business where another caller, tenant or operation uses the same key", async () => {
    const person = await signedIn(tenant.tenantId, "admin");
    const mine = await make("mine");
    const theirs = await make("mine", { credential: other.admin });
    const colleague = await send("POST", "/v1/agents", {
      headers: { ...person.headers, "idempotency-key": key },
      body: { name: "mine" },
    });
    const path = `/v1/agents/${mine.body.id}/keys`;
    const body = { credential: tenant.admin, headers: { "idempotency-key": key }, body: {} };
    const elsewhere = await send("POST", path, body);
    const all = [mine, theirs, colleague, elsewhere];
    expect(all.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    expect(new Set(all.map((answer) => answer.body.api_key)).size).toBe(4);
  });

  test("is refused with another body, query or path, and nothing is done", async () => {
    const first = await make("the first");
    expect(codeOf(await make("the second"))).toEqual([422, "IDEMPOTENCY_CONFLICT"]);
    expect(codeOf(await make("the first", { path: "/v1/agents?more=1" }))).toEqual([
      422,
      "IDEMPOTENCY_CONFLICT",
    ]);
    expect(await agentsNamed("the second")).toBe(0);
    const headers = { "idempotency-key": `${key}-path` };
    const addKey = (id: string) =>
      send("POST", `/v1/agents/${id}/keys`, { credential: tenant.admin, headers, body: {} });
    expect((await addKey(first.body.id)).status).toBe(201);
    expect(codeOf(await addKey("agt_000000000000000000000000"))).toEqual([422, "IDEMPOTENCY_CONFLICT"]);
  });

  test("ten at the same time do one thing; the others get its answer or are told to wait", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => make("one of ten")));
    expect(await agentsNamed("one of ten")).toBe(1);
    const made = answers.filter(({ status }) => status === 201);
    expect(made.length).toBeGreaterThan(0);
    expect(new Set(made.map(({ body }) => body.id)).size).toBe(1);
    for (const answer of answers.filter(({ status }) => status !== 201)) {
      expect(codeOf(answer)).toEqual([409, "IDEMPOTENCY_IN_PROGRESS"]);
      expect(answer.headers.get("retry-after")).toBe("2");
    }
    expect((await make("one of ten")).status).toBe(201);
  });

  test("may be tried again with the same key where it was refused", async () => {
    const connect = () =>
      send("PUT", "/v1/secrets/a/b/NEW", {
        credential: tenant.editor,
        headers: { "idempotency-key": key },
        body: { access_tier: "standard" },
      });
    for (const _ of [1, 2]) expect(codeOf(await connect())).toEqual([400, "VALIDATION_ERROR"]);
    await send("PUT", "/v1/secrets/a/b/NEW", {
      credential: tenant.editor,
      body: { value: "a-long-enough-value" },
    });
    expect((await connect()).status).toBe(200);
  });

  test("attack 65: from a token is charged once", async () => {
    const made = { name: "writes", allowed_scopes: ["secrets:write:once/*"] };
    const agent = await send("POST", "/v1/agents", { credential: tenant.admin, body: made });
    const body = { scopes: ["secrets:write:once/*"], ttl: "10m", max_uses: 1 };
    const { token } = (await send("POST", "/v1/tokens", { credential: agent.body.api_key, body })).body;
    const put = (headers: Record<string, string>) =>
      send("PUT", "/v1/secrets/once/KEY", {
        credential: token,
        headers,
        body: { value: "a-long-enough-value" },
      });
    const [first, second] = [await put({ "idempotency-key": key }), await put({ "idempotency-key": key })];
    expect([second.status, second.body]).toEqual([first.status, first.body]);
    expect(first.body.version).toBe(1);
    expect(codeOf(await put({}))).toEqual([403, "USES_EXHAUSTED"]);
  });
});

describe("what is kept of it", () => {
  test("holds no secret, of the answer or of the request, and does not name the key", async () => {
    const { body } = await make("with a canary");
    await send("PUT", "/v1/secrets/kept/KEY", {
      credential: tenant.editor,
      headers: { "idempotency-key": key },
      body: { value: "canary-in-a-body-000000" },
    });
    const kept = JSON.stringify(await rows());
    const secret = body.api_key.slice(4, 40);
    for (const form of [secret, Buffer.from(secret).toString("base64").slice(0, 40), "canary", key]) {
      expect(kept).not.toContain(form);
    }
  });

  test("opens for nobody who has the database and the deployment's keys, but not the caller's credential", async () => {
    const person = await signedIn(tenant.tenantId, "admin");
    const sent = { headers: { ...person.headers, "idempotency-key": key }, body: { name: "sealed" } };
    expect((await send("POST", "/v1/agents", sent)).status).toBe(201);
    const row = await newestRow();
    const again = await signedIn(tenant.tenantId, "admin");
    await db.run(`update sessions set member_id = '${person.memberId}', subject = '${person.memberId}'
      where member_id = '${again.memberId}'`);
    const headers = { ...again.headers, "idempotency-key": key };
    const answer = await send("POST", "/v1/agents", { headers, body: { name: "sealed" } });
    expect(codeOf(answer)).toEqual([409, "IDEMPOTENCY_UNKNOWN"]);
    expect((await newestRow()).answer).toBe(row.answer);
    expect(await agentsNamed("sealed")).toBe(1);
  });

  test("is nobody else's answer: a row's answer moved to another row does not open", async () => {
    await make("row one");
    const one = await newestRow();
    const moved = `${key}-moved`;
    await make("row one", { key: moved });
    await db
      .update(idempotencyKeys)
      .set({ answer: one.answer })
      .where(eq(idempotencyKeys.requestDigest, one.requestDigest));
    expect(codeOf(await make("row one", { key: moved }))).toEqual([409, "IDEMPOTENCY_UNKNOWN"]);
  });

  test("is forgotten after a day: then the key is new", async () => {
    await make("day by day");
    const { id, createdAt } = await newestRow();
    await db
      .update(idempotencyKeys)
      .set({ createdAt: createdAt - KEPT_MS - 1 })
      .where(eq(idempotencyKeys.id, id));
    expect((await make("day by day")).headers.get("idempotency-replayed")).toBeNull();
    expect(await agentsNamed("day by day")).toBe(2);
    await db
      .update(idempotencyKeys)
      .set({ createdAt: createdAt - KEPT_MS - 1 })
      .where(eq(idempotencyKeys.id, id));
    const before = (await rows()).length;
    await forgetKeys(openDatabase(env as Env), null, Date.now());
    expect(await rows()).toHaveLength(before - 1);
  });
});

describe("a write that was broken off", () => {
  test("is not done again, and nobody says that it was done", async () => {
    await make("torn");
    const { id, createdAt } = await newestRow();
    const running = { state: "running", answer: null } as const;
    await db.update(idempotencyKeys).set(running).where(eq(idempotencyKeys.id, id));
    expect(codeOf(await make("torn"))).toEqual([409, "IDEMPOTENCY_IN_PROGRESS"]);
    await db
      .update(idempotencyKeys)
      .set({ createdAt: createdAt - 121_000 })
      .where(eq(idempotencyKeys.id, id));
    expect(codeOf(await make("torn"))).toEqual([409, "IDEMPOTENCY_UNKNOWN"]);
    expect(await agentsNamed("torn")).toBe(1);
  });

  test("by a failure after the change landed is unknown, by one before it is as if it had not come", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const failing = failingEnv();
    let broken = "TENANT_GATE.commit";
    failing.faults.object = (called, pass) =>
      called === broken ? Promise.reject(new Error("gone")) : pass();
    const attempt = async (name: string, withKey: string) => {
      const headers = { "idempotency-key": withKey, "cf-connecting-ip": "192.0.2.1" };
      const init = { method: "POST", headers, body: JSON.stringify({ name }) };
      const { response, settled } = await call("/v1/agents", tenant.admin, init, failing.bindings);
      await response.text();
      await settled();
      return response.status;
    };
    expect(await attempt("landed", key)).toBe(503);
    expect(await agentsNamed("landed")).toBe(1);
    expect(await attempt("landed", key)).toBe(409);
    broken = "TENANT_GATE.prepare";
    expect(await attempt("not begun", `${key}-2`)).toBe(503);
    expect(await agentsNamed("not begun")).toBe(0);
    failing.heal();
    expect(await attempt("not begun", `${key}-2`)).toBe(201);
    expect(await agentsNamed("landed")).toBe(1);
    logged.mockRestore();
  });
});

describe("a key", () => {
  test.each([
    ["with a space", "a b"],
    ["of 256 characters", "k".repeat(256)],
    ["that is not ASCII", "schlüssel"],
    ["with nothing in it", ""],
  ])("%s is refused", async (_, bad) => {
    expect(codeOf(await make("bad key", { key: bad }))).toEqual([400, "VALIDATION_ERROR"]);
    expect(await agentsNamed("bad key")).toBe(0);
  });

  test("of 255 characters is taken, and reads take none", async () => {
    expect((await make("long key", { key: "k".repeat(255) })).status).toBe(201);
    const before = (await rows()).length;
    await send("GET", "/v1/agents", { credential: tenant.admin, headers: { "idempotency-key": "a b" } });
    expect(await rows()).toHaveLength(before);
  });

  test("of nobody is not kept: who may not call is told so, whatever the key", async () => {
    const before = (await rows()).length;
    expect(codeOf(await make("no role", { credential: tenant.viewer }))).toEqual([403, "ROLE_DENIED"]);
    expect(codeOf(await make("nobody", { credential: "vkm_none" }))).toEqual([401, "UNAUTHORIZED"]);
    expect(await rows()).toHaveLength(before);
  });
});

test("every write below /v1 takes a key, but for those without a caller and those whose answer must not be kept", () => {
  const without = ENDPOINTS.filter(
    (endpoint) =>
      endpoint.method !== "GET" && endpoint.path.startsWith("/v1/") && !takesIdempotencyKey(endpoint),
  );
  expect(without.map(({ operationId }) => operationId).toSorted()).toEqual([
    "bootstrap",
    "bootstrapTenant",
    "createEnrolment",
    "createTenant",
    "explainCall",
    "revealSecret",
    "testPolicies",
    "testPoliciesOnRecord",
    "verifyPermission",
  ]);
});
