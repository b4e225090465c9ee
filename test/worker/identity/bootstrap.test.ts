import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bootstraps, members, tenants } from "../../../src/identity/tables.ts";
import { bindings, countRows, db, send } from "../api/door.ts";

const credential = bindings.BOOTSTRAP_CREDENTIAL ?? "";
const body = { name: "Acme" };

// Whoever shares the database may have bootstrapped it before; these tests are about a fresh one.
const forget = () => db.delete(bootstraps);
beforeAll(forget);
afterAll(forget);

describe("bootstrap", () => {
  test.each([
    ["nothing", undefined],
    ["another credential", "vkb_test-bootstrap-credential-000000000001"],
    ["a prefix of it", credential.slice(0, -1)],
    ["it without its prefix", credential.slice(4)],
  ])("with %s is the 401 of every other call, and writes nothing", async (_, sent) => {
    const before = await countRows();
    const answer = await send("POST", "/v1/bootstrap", {
      body,
      ...(sent === undefined ? {} : { credential: sent }),
    });
    expect(answer.status).toBe(401);
    expect(answer.body.error.code).toBe("UNAUTHORIZED");
    expect(await countRows()).toEqual(before);
  });

  test.each([
    ["no name", {}],
    ["an empty name", { name: "" }],
    ["a name of 101 characters", { name: "a".repeat(101) }],
    ["a name that is a number", { name: 1 }],
    ["a field that does not exist", { name: "Acme", role: "admin" }],
    ["a list", [body]],
    ["broken JSON", '{"name": "Acme"'],
  ])("with %s is a 400 and does not spend it", async (_, sent) => {
    const before = await countRows();
    const answer = await send("POST", "/v1/bootstrap", { body: sent, credential });
    expect(answer.status).toBe(400);
    expect(answer.body.error.code).toBe("VALIDATION_ERROR");
    expect(await countRows()).toEqual(before);
  });

  test("under 20 parallel requests makes one tenant and one admin", async () => {
    const before = await countRows();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => send("POST", "/v1/bootstrap", { body, credential })),
    );
    const made = answers.filter((answer) => answer.status === 201);
    const refused = answers.filter((answer) => answer.status === 409);
    expect([made.length, refused.length]).toEqual([1, 19]);
    expect(new Set(refused.map((answer) => answer.body.error.code))).toEqual(new Set(["CONFLICT"]));
    const after = await countRows();
    expect(after["tenants"]).toBe((before["tenants"] ?? 0) + 1);
    expect(after["members"]).toBe((before["members"] ?? 0) + 1);

    const { admin_token, member_id, tenant_id } = made[0]?.body ?? {};
    expect(admin_token).toMatch(/^vkm_[0-9A-Za-z]{54}$/);
    const tenant = (await db.select().from(tenants).where(eq(tenants.id, tenant_id)))[0];
    expect(tenant).toMatchObject({ name: "Acme", settings: { reveal: "deny" }, epoch: 1 });
    const member = (await db.select().from(members).where(eq(members.id, member_id)))[0];
    expect(member).toMatchObject({ tenantId: tenant_id, role: "admin", script: true });
    expect(JSON.stringify(member)).not.toContain(admin_token);

    const me = await send("GET", "/v1/me", { credential: admin_token });
    expect(me.body).toMatchObject({ kind: "member", id: member_id, tenant_id, role: "admin", script: true });

    const again = await send("POST", "/v1/bootstrap", { body, credential });
    expect(again.status).toBe(409);

    await expect
      .poll(
        async () => {
          const trail = await send("GET", "/v1/audit", { credential: admin_token });
          return trail.body.events.map((event: { event_type: string }) => event.event_type).sort();
        },
        { timeout: 5_000 },
      )
      .toEqual(["member.created", "tenant.created"]);
  });
});
