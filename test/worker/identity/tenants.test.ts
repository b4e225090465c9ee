import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import worker from "../../../src/index.ts";
import { bindings, countRows, newTenant, send } from "../api/door.ts";
import { signedIn } from "../support/signed-in.ts";

const OPERATOR = "vko_a-test-operator-credential-0000000000000000";
const withOperator: Env = { ...bindings, OPERATOR_CREDENTIAL: OPERATOR };
const withEurope: Env = { ...withOperator, DB_EU: bindings.DB };

/** Through the door of a deployment that has an operator. */
async function ask(path: string, credential: string | null, body?: object, deployment = withOperator) {
  const context = createExecutionContext();
  const request = new Request(`http://localhost${path}`, {
    method: path === "/v1/tenant" ? "GET" : "POST",
    headers: credential === null ? {} : { authorization: `Bearer ${credential}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const response = await worker.fetch(request as never, deployment, context);
  const answer = { status: response.status, body: JSON.parse(await response.text()) };
  await waitOnExecutionContext(context);
  return answer;
}

describe("tenants of one deployment", () => {
  test("the operator makes one, whose bootstrap credential makes its first admin, once", async () => {
    const made = await ask("/v1/tenants", OPERATOR, { name: "Beta" });
    expect(made.status).toBe(201);
    const { id, bootstrap_credential: bootstrap } = made.body;
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => ask("/v1/tenants/bootstrap", bootstrap)),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409, 409, 409, 409]);
    const admin = answers.find(({ status }) => status === 201)?.body;
    expect(admin.tenant_id).toBe(id);
    const me = await send("GET", "/v1/me", { credential: admin.admin_token });
    expect(me.body).toMatchObject({ tenant_id: id, role: "admin", script: true });
    expect(Date.parse(me.body.rotate_by)).toBeLessThanOrEqual(Date.now() + 24 * 3_600_000);
    expect((await send("GET", "/v1/tenant", { credential: admin.admin_token })).body.name).toBe("Beta");
  });

  test("an admin is told where the tenant's data stay", async () => {
    // Workerd by itself keeps nothing in a jurisdiction, and development is told.
    const told = vi.spyOn(console, "error").mockImplementation(() => undefined);
    for (const jurisdiction of [null, "eu"]) {
      const made = await ask("/v1/tenants", OPERATOR, { name: "Beta", jurisdiction }, withEurope);
      const credential = made.body.bootstrap_credential;
      const { body } = await ask("/v1/tenants/bootstrap", credential, undefined, withEurope);
      const tenant = await ask("/v1/tenant", body.admin_token, undefined, withEurope);
      expect(tenant).toMatchObject({ status: 200, body: { id: made.body.id, jurisdiction } });
    }
    told.mockRestore();
  });

  test("the operator's credential sees and does nothing else", async () => {
    for (const [method, path] of [
      ["GET", "/v1/me"],
      ["GET", "/v1/members"],
      ["GET", "/v1/tenant"],
      ["GET", "/v1/secrets"],
    ] as const) {
      expect((await send(method, path, { credential: OPERATOR })).status).toBe(401);
    }
    expect((await ask("/v1/bootstrap", OPERATOR, { name: "x" })).status).toBe(401);
    expect((await ask("/v1/tenants/bootstrap", OPERATOR)).status).toBe(401);
  });

  test("nobody else makes one, and nobody at all where there is no operator", async () => {
    const { admin } = await newTenant();
    const before = await countRows();
    for (const credential of [null, admin, `${OPERATOR}x`, "vko_", bindings.BOOTSTRAP_CREDENTIAL ?? ""]) {
      expect((await ask("/v1/tenants", credential, { name: "x" })).status).toBe(401);
    }
    expect((await send("POST", "/v1/tenants", { credential: OPERATOR, body: { name: "x" } })).status).toBe(
      401,
    );
    expect(await countRows()).toEqual(before);
  });

  test("a jurisdiction without a database is a 400", async () => {
    const answer = await ask("/v1/tenants", OPERATOR, { name: "x", jurisdiction: "eu" });
    expect([answer.status, answer.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
  });
});

test("everybody who may stops all calls at once; letting them go on takes a fresh sign-in", async () => {
  const { tenantId, admin } = await newTenant();
  const person = await signedIn(tenantId, "editor");
  await person.age(10 * 60_000);
  const freeze = async (frozen: boolean) => {
    const body = { frozen, reason: "an agent has gone astray" };
    const answer = await send("POST", "/v1/freeze", { headers: person.headers, body });
    return [answer.status, answer.body.error?.code];
  };
  expect(await freeze(true)).toEqual([200, undefined]);
  expect(await freeze(false)).toEqual([403, "STEP_UP_REQUIRED"]);
  await person.age(-10 * 60_000);
  expect(await freeze(false)).toEqual([200, undefined]);
  expect((await send("PATCH", "/v1/tenant", { credential: admin, body: { reveal: "deny" } })).status).toBe(
    200,
  );
});
