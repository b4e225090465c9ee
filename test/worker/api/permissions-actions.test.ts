import { eq } from "drizzle-orm";
import { beforeEach, describe, expect, test } from "vitest";
import { members } from "../../../src/identity/tables.ts";
import { type Office, openOffice, REFUND } from "../permissions/fixtures.ts";
import { signedIn } from "../support/signed-in.ts";
import { db, send } from "./door.ts";

let at: Office;
beforeEach(async () => {
  at = await openOffice([]);
});

const create = (body: object, credential = at.tenant.admin) =>
  send("POST", "/v1/actions", { credential, body });
const patch = (body: object) =>
  send("PATCH", "/v1/actions/payment.refund", { credential: at.tenant.editor, body });

describe("actions", () => {
  test("are declared, read, changed by member and deleted, each a line of the trail", async () => {
    const made = await create(REFUND);
    expect([made.status, made.body]).toEqual([
      201,
      expect.objectContaining({
        ...{ name: "payment.refund", version: 1, resource_field: "body.charge", approvals: 1, max_uses: 1 },
        ...{ default_ttl_seconds: 300, max_ttl_seconds: 3_600, templates: {} },
        calls: { connection: "up", methods: ["POST"], paths: ["/v1/refunds"], fields: null },
      }),
    ]);
    expect(made.body.constraints.max_amount).toEqual({
      ...{ kind: "max_amount", field: "body.amount", also: [], required: true, default: null, cap: 500 },
      ...{ as: null, description: null },
    });
    const changed = await patch({ approvals: 2, default_ttl: "1m" });
    expect(changed.body).toMatchObject({ version: 2, approvals: 2, default_ttl_seconds: 60, max_uses: 1 });
    const read = await send("GET", "/v1/actions/payment.refund", { credential: at.agent.api_key });
    expect(read.body.version).toBe(2);
    const listed = await send("GET", "/v1/actions", { credential: at.tenant.viewer });
    expect(listed.body.actions).toEqual([read.body]);
    expect((await create(REFUND)).body.error.code).toBe("CONFLICT");
    const { headers } = at.editor;
    expect((await send("DELETE", "/v1/actions/payment.refund", { headers })).status).toBe(204);
    expect((await send("GET", "/v1/actions/payment.refund", { credential: at.tenant.viewer })).status).toBe(
      404,
    );
    expect((await patch({ approvals: 1 })).status).toBe(404);
    expect(await at.line("action.updated", "payment.refund")).toMatchObject({
      context: { version: 2, changed: ["defaultTtlSeconds", "approvals"], before: { approvals: 1 } },
    });
    expect(await at.line("action.deleted", "payment.refund")).toBeDefined();
  });

  test("attack 73: are a tenant's own", async () => {
    await create(REFUND);
    const other = await openOffice([]);
    expect((await send("GET", "/v1/actions/payment.refund", { credential: other.tenant.admin })).status).toBe(
      404,
    );
    expect((await other.ask()).status).toBe(404);
  });

  test("changed by two at the same time have both changes", async () => {
    await create(REFUND);
    const answers = await Promise.all([
      patch({ approvals: 3 }),
      patch({ max_uses: 7 }),
      patch({ max_ttl: "2h" }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    const { body } = await send("GET", "/v1/actions/payment.refund", { credential: at.tenant.viewer });
    expect(body).toMatchObject({ version: 4, approvals: 3, max_uses: 7, max_ttl_seconds: 7_200 });
  });

  test("that fewer people would have to agree to take a fresh sign-in of a person", async () => {
    const stale = await signedIn(at.tenantId, "editor", { authenticatedAt: Date.now() - 6 * 60_000 });
    const body = { ...REFUND, approvals: 2 };
    expect((await send("POST", "/v1/actions", { headers: stale.headers, body })).status).toBe(201);
    const lower = { headers: stale.headers, body: { approvals: 1 } };
    expect((await send("PATCH", "/v1/actions/payment.refund", lower)).body.error.code).toBe(
      "STEP_UP_REQUIRED",
    );
    const raise = { headers: stale.headers, body: { approvals: 3 } };
    expect((await send("PATCH", "/v1/actions/payment.refund", raise)).status).toBe(200);
    const free = { headers: stale.headers, body: { ...REFUND, name: "a.b", approvals: 0 } };
    expect((await send("POST", "/v1/actions", free)).body.error.code).toBe("STEP_UP_REQUIRED");
    const gone = await send("DELETE", "/v1/actions/payment.refund", { headers: stale.headers });
    expect(gone.body.error.code).toBe("STEP_UP_REQUIRED");
  });

  test("attack 96: a credential for scripts has no fewer people agree, nor by a person whom it let in", async () => {
    await create({ ...REFUND, approvals: 2 });
    const { admin } = at.tenant;
    const script = (await send("GET", "/v1/me", { credential: admin })).body.id;
    const person = await signedIn(at.tenantId, "editor");
    const made = { invitedBy: script, invitedAt: Date.now() };
    await db.update(members).set(made).where(eq(members.id, person.memberId));
    const before = Date.now() - 30 * 24 * 3_600_000;
    const first = await signedIn(at.tenantId, "admin");
    await db.update(members).set({ joinedAt: before }).where(eq(members.id, first.memberId));
    const path = "/v1/actions/payment.refund";
    for (const as of [{ credential: admin }, { headers: person.headers }]) {
      for (const answer of [
        await send("PATCH", path, { ...as, body: { approvals: 1 } }),
        await send("DELETE", path, as),
      ]) {
        expect([answer.status, answer.body.error.code]).toEqual([403, "ROLE_DENIED"]);
      }
      expect((await send("PATCH", path, { ...as, body: { max_uses: 2 } })).status).toBe(200);
    }
    expect((await send("DELETE", path, { headers: first.headers })).status).toBe(204);
  });

  const { calls, constraints } = REFUND;
  const amount = constraints.max_amount;
  test.each([
    ["a name that is none", { name: "Payment Refund" }],
    ["a kind that is none", { constraints: { a: { kind: "max_everything", field: "body.a" } } }],
    ["no field where one is needed", { constraints: { a: { kind: "max_amount" } } }],
    ["a field where none is needed", { constraints: { a: { kind: "max_size", field: "body.a" } } }],
    ["a field that is nowhere", { constraints: { a: { ...amount, field: "cookie.a" } } }],
    ["a field that is no name", { constraints: { a: { ...amount, field: "body.a b" } } }],
    ["details of a call", { constraints: { a: { ...amount, field: "details.a" } } }],
    ["a part of the path that a path does not have", { constraints: { a: { ...amount, field: "path.id" } } }],
    ["a list in a header", { constraints: { a: { kind: "max_items", field: "header.x-a" } } }],
    ["a further field where there is none", { constraints: { a: { kind: "max_count", also: ["body.a"] } } }],
    ["a cap of another kind", { constraints: { a: { ...amount, cap: "500" } } }],
    ["a cap on what must be equal", { constraints: { a: { kind: "equals", field: "body.a", cap: "x" } } }],
    ["a default beyond its cap", { constraints: { a: { ...amount, default: 501 } } }],
    ["text that is no amount", { constraints: { a: { kind: "one_of", field: "body.a", as: "text" } } }],
    ["a name that refusals have", { constraints: { resource: amount } }],
    [
      "attack 88: an expression that is none",
      { constraints: { a: { kind: "pattern", field: "body.a", cap: "(?=x)" } } },
    ],
    [
      "attack 88: an expression that closes what it did not open",
      { constraints: { a: { kind: "pattern", field: "body.a", cap: "a)|(b" } } },
    ],
    ["a path with a part of a segment", { calls: { ...calls, paths: ["/v1/x-{id}"] } }],
    ["a path with a name twice", { calls: { ...calls, paths: ["/{id}/{id}"] } }],
    ["a path with a name and a star before its end", { calls: { ...calls, paths: ["/*/{id}"] } }],
    ["no path", { calls: { ...calls, paths: [] } }],
    ["no method", { calls: { ...calls, methods: [] } }],
    ["inner fields as the only ones", { calls: { ...calls, fields: ["body.a.b"] } }],
    ["a resource that is a list", { resource_field: "body.ids[]" }],
    ["a life that is longer than the longest", { default_ttl: "2h" }],
    ["a template with a member that is none", { templates: { small: { scope: { b: 1 } } } }],
    ["a template with a value of another kind", { templates: { small: { scope: { max_amount: "1" } } } }],
    ["more people than there may be", { approvals: 6 }],
    ["calls on itself and details", { calls: null }],
    ["what is unknown", { colour: "red" }],
  ])("are not declared with %s", async (_, over) => {
    const answer = await create({ ...REFUND, ...over });
    expect([answer.status, answer.body.error?.code]).toEqual([400, "VALIDATION_ERROR"]);
  });
});
