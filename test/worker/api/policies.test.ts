import { beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../../../src/base/database.ts";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import { policies } from "../../../src/policies/tables.ts";
import { signedIn, type SignedIn } from "../support/signed-in.ts";
import { bindings, leaseOf, newTenant, outboxEmpty, send } from "./door.ts";

let team: Awaited<ReturnType<typeof newTenant>>;
let person: SignedIn;
let made = 0;

const name = () => `policy ${(made += 1)}`;

beforeAll(async () => {
  team = await newTenant();
  person = await signedIn(team.tenantId, "editor");
});

const make = (body: object, credential = team.editor) =>
  send("POST", "/v1/policies", { credential, body: { name: name(), effect: "deny", ...body } });

/** Policies that nobody asks about, made behind the API's back. */
async function fill(tenantId: TenantId, count: number, condition: string | null): Promise<void> {
  const own = openDatabase(bindings).of(tenantId);
  const row = { description: null, effect: "deny", on: "calls", connections: ["none"], condition } as const;
  const rest = { approvals: 1, delaySeconds: 0, message: null, enabled: false, version: 1 };
  for (let index = 0; index < count; index++) {
    await own.insert(policies).values({
      ...{ id: newId("policy"), name: `filler ${index}`, ...row, ...rest, createdAt: 0, updatedAt: 0 },
    });
  }
}

async function countPolicies(tenantId: TenantId): Promise<number> {
  return (await openDatabase(bindings).of(tenantId).select().from(policies)).length;
}

async function eventsOf(id: string) {
  await outboxEmpty();
  const { body } = await send("GET", "/v1/audit?resource_type=policy&limit=200", {
    credential: team.auditor,
  });
  return body.events.filter((event: { resource: string }) => event.resource === id);
}

describe("a policy", () => {
  test("is made, read, listed, changed and deleted, and the epoch moves each time", async () => {
    const { epoch } = await leaseOf(team.tenantId);
    const created = await make({ connections: ["stripe-*"], message: "Not here.", description: "why" });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({
      ...{ effect: "deny", on: "calls", connections: ["stripe-*"], condition: null, message: "Not here." },
      ...{ approvals: null, delay_seconds: null, enabled: true, version: 1, description: "why" },
    });
    const path = `/v1/policies/${created.body.id}`;
    const { effective_at: _, ...policy } = created.body;
    expect((await send("GET", path, { credential: team.viewer })).body).toEqual(policy);
    const listed = await send("GET", "/v1/policies", { credential: team.auditor });
    expect(listed.body.policies).toContainEqual(policy);

    const changed = await send("PATCH", path, { credential: team.editor, body: { message: null } });
    expect(changed.body).toMatchObject({ message: null, version: 2, connections: ["stripe-*"] });
    const gone = await send("DELETE", path, { headers: person.headers });
    expect(gone.status).toBe(204);
    expect((await send("GET", path, { credential: team.viewer })).status).toBe(404);
    expect((await leaseOf(team.tenantId)).epoch).toBe(epoch + 3);
  });

  test("has a name that no other of the tenant has", async () => {
    const { body } = await make({});
    const again = await make({ name: body.name });
    expect(again.status).toBe(409);
    expect(again.body.detail).toContain(body.name);
    const other = await make({});
    const renamed = await send("PATCH", `/v1/policies/${other.body.id}`, {
      ...{ credential: team.editor, body: { name: body.name } },
    });
    expect(renamed.status).toBe(409);
    const elsewhere = await newTenant();
    expect((await make({ name: body.name }, elsewhere.editor)).status).toBe(201);
  });

  test.each([
    ["an effect is missing", { effect: undefined }, "effect"],
    ["people are asked by one that denies", { approvals: 2 }, "approvals"],
    ["there is a delay where nobody is asked", { effect: "allow", delay_seconds: 5 }, "delay_seconds"],
    ["six people are asked", { effect: "require_approval", approvals: 6 }, "approvals"],
    ["tokens have connections", { on: "tokens", connections: ["stripe"] }, "connections"],
    ["a connection's glob is none", { connections: ["Stripe/*"] }, "connections.0"],
    ["a name breaks its line", { name: "two\nlines" }, "name"],
    ["a message turns its text around", { message: "allowed \u202edeined" }, "message"],
    ["parameters have no template", { parameters: {} }, "parameters"],
    ["there is no such template", { template: "nothing" }, "template"],
    ["a template has a condition", { template: "read-only", condition: "true" }, "condition"],
    ["a template allows", { template: "read-only", effect: "allow" }, "effect"],
    ["a template's parameter is unknown", { template: "read-only", parameters: { a: 1 } }, "parameters"],
  ])("is refused where %s", async (_, body, path) => {
    const answer = await make(body);
    expect(answer.status).toBe(400);
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toContain(path);
  });

  test("is listed by name, page by page", async () => {
    const tenant = await newTenant();
    for (const one of ["c", "a", "b"]) await make({ name: one }, tenant.admin);
    const first = await send("GET", "/v1/policies?limit=2", { credential: tenant.viewer });
    const cursor = first.body.next_cursor;
    const second = await send("GET", `/v1/policies?limit=2&cursor=${cursor}`, { credential: tenant.viewer });
    const names = [...first.body.policies, ...second.body.policies].map((policy) => policy.name);
    expect(names).toEqual(["a", "b", "c"]);
    expect(second.body.next_cursor).toBeNull();
  });

  test("is one of at most 500", async () => {
    const tenant = await newTenant();
    await fill(tenant.tenantId, 499, null);
    expect((await make({}, tenant.admin)).status).toBe(201);
    const refused = await make({}, tenant.admin);
    expect(refused.status).toBe(409);
    expect(refused.body.detail).toContain("500");
    expect(await countPolicies(tenant.tenantId)).toBe(500);
  });

  test("is no way to more than 256 KiB of conditions", async () => {
    const tenant = await newTenant();
    await fill(tenant.tenantId, 65, "x".repeat(4_096));
    expect((await make({}, tenant.admin)).status).toBe(409);
    expect(await countPolicies(tenant.tenantId)).toBe(65);
  });
});

describe("every version", () => {
  test("is kept with who made it, also when the policy is gone", async () => {
    const { body: policy } = await make({ message: "one" });
    const path = `/v1/policies/${policy.id}`;
    await send("PATCH", path, { credential: team.admin, body: { message: "two" } });
    await send("DELETE", path, { headers: person.headers });
    const first = await send("GET", `${path}/versions?limit=2`, { credential: team.viewer });
    const next = `${path}/versions?limit=2&cursor=${first.body.next_cursor}`;
    const second = await send("GET", next, { credential: team.viewer });
    const versions = [...first.body.versions, ...second.body.versions];
    expect(versions.map(({ version, policy: said }) => [version, said?.message])).toEqual([
      ...[
        [3, undefined],
        [2, "two"],
        [1, "one"],
      ],
    ]);
    expect(versions[0].changed_by).toBe(`member:${person.memberId}`);
    expect(new Set(versions.map((version) => version.changed_by)).size).toBe(3);
    expect(second.body.next_cursor).toBeNull();
  });

  test("can be what the policy says again", async () => {
    const { body: policy } = await make({ message: "one", connections: ["a"] });
    const path = `/v1/policies/${policy.id}`;
    await send("PATCH", path, { credential: team.editor, body: { message: "two", name: name() } });
    const back = await send("POST", `${path}/rollback`, { credential: team.editor, body: { version: 1 } });
    expect(back.status).toBe(200);
    expect(back.body).toMatchObject({ message: "one", name: policy.name, version: 3 });
    const never = await send("POST", `${path}/rollback`, { credential: team.editor, body: { version: 9 } });
    expect(never.status).toBe(404);
    const [told] = await eventsOf(policy.id);
    expect(told.context).toMatchObject({ version: 3, rolled_back_to: 1, after: { message: "one" } });
  });

  test("is another where many change it at the same time, and none is lost", async () => {
    const { body: policy } = await make({});
    const path = `/v1/policies/${policy.id}`;
    const patches = [{ message: "m" }, { description: "d" }, { connections: [] }].map((body) =>
      send("PATCH", path, { credential: team.editor, body }),
    );
    expect((await Promise.all(patches)).map(({ status }) => status)).toEqual([200, 200, 200]);
    const now = await send("GET", path, { credential: team.viewer });
    expect(now.body).toMatchObject({ message: "m", description: "d", version: 4 });
  });
});

describe("the trail", () => {
  test("tells what a policy said, what of it changed, and what was deleted", async () => {
    const { body: policy } = await make({ message: "one" });
    const path = `/v1/policies/${policy.id}`;
    await send("PATCH", path, { credential: team.editor, body: { message: "two" } });
    await send("DELETE", path, { headers: person.headers });
    const [deleted, changed, created] = await eventsOf(policy.id);
    expect(created.event_type).toBe("policy.created");
    expect(created.context).toMatchObject({ version: 1, name: policy.name, effect: "deny", message: "one" });
    expect(changed.event_type).toBe("policy.changed");
    expect(changed.context).toMatchObject({
      ...{ version: 2, name: policy.name, changed: ["message"] },
      ...{ before: { message: "one" }, after: { message: "two" } },
    });
    expect(Object.keys(changed.context.after)).toEqual(["message"]);
    expect(deleted.event_type).toBe("policy.deleted");
    expect(deleted.context).toMatchObject({ version: 3, name: policy.name, message: "two" });
    expect(deleted.actor).toBe(`member:${person.memberId}`);
  });
});

describe("who lets through what a policy stops", () => {
  const ASKS = { effect: "require_approval", approvals: 2, delay_seconds: 60, connections: ["a", "b"] };

  test.each([
    ["disabled", { enabled: false }],
    ["about fewer connections", { connections: ["a"] }],
    ["content with fewer people", { approvals: 1 }],
    ["content sooner", { delay_seconds: 0 }],
    ["one that allows", { effect: "allow" }],
  ])(
    "attack 87: a policy that asks is made %s by a person who has just signed in, not by a script",
    async (_, body) => {
      const { body: policy } = await make(ASKS);
      const path = `/v1/policies/${policy.id}`;
      const script = await send("PATCH", path, { credential: team.admin, body });
      expect([script.status, script.body.error.code]).toEqual([403, "ROLE_DENIED"]);
      await person.age(6 * 60_000);
      const stale = await send("PATCH", path, { headers: person.headers, body });
      expect([stale.status, stale.body.error.code]).toEqual([403, "STEP_UP_REQUIRED"]);
      const fresh = await signedIn(team.tenantId, "editor");
      expect((await send("PATCH", path, { headers: fresh.headers, body })).status).toBe(200);
      person = fresh;
    },
  );

  test.each([
    ["deleted", "DELETE", "", undefined],
    ["rolled back", "POST", "/rollback", { version: 1 }],
  ] as const)("attack 87: a policy that denies is not %s by a script", async (_, method, below, body) => {
    const { body: policy } = await make({ effect: "require_approval" });
    await send("PATCH", `/v1/policies/${policy.id}`, { credential: team.admin, body: { effect: "deny" } });
    const answer = await send(method, `/v1/policies/${policy.id}${below}`, {
      credential: team.admin,
      ...(body === undefined ? {} : { body }),
    });
    expect([answer.status, answer.body.error.code]).toEqual([403, "ROLE_DENIED"]);
  });

  test.each([
    ["about more connections", { connections: [] }],
    ["content with more people", { approvals: 3 }],
    ["content later", { delay_seconds: 61 }],
    ["one that denies", { effect: "deny" }],
    ["another by name", { name: "another name" }],
  ])("a script makes a policy that asks %s", async (_, body) => {
    const { body: policy } = await make(ASKS);
    const answer = await send("PATCH", `/v1/policies/${policy.id}`, { credential: team.editor, body });
    expect(answer.status).toBe(200);
  });

  test("a script deletes what is disabled, and what allows", async () => {
    for (const body of [{ enabled: false }, { effect: "allow" }]) {
      const { body: policy } = await make(body);
      const answer = await send("DELETE", `/v1/policies/${policy.id}`, { credential: team.editor });
      expect(answer.status).toBe(204);
    }
  });

  test("attack 87: a person makes one that allows, and enables it, only with a sign-in of at most 5 minutes", async () => {
    const late = await signedIn(team.tenantId, "editor");
    await late.age(6 * 60_000);
    const body = { name: name(), effect: "allow" };
    const refused = await send("POST", "/v1/policies", { headers: late.headers, body });
    expect([refused.status, refused.body.error.code]).toEqual([403, "STEP_UP_REQUIRED"]);
    const disabled = { ...body, enabled: false };
    const made = await send("POST", "/v1/policies", { headers: late.headers, body: disabled });
    expect(made.status).toBe(201);
    const path = `/v1/policies/${made.body.id}`;
    const enabling = await send("PATCH", path, { headers: late.headers, body: { enabled: true } });
    expect(enabling.body.error.code).toBe("STEP_UP_REQUIRED");
    const stricter = { name: name(), effect: "deny" };
    expect((await send("POST", "/v1/policies", { headers: late.headers, body: stricter })).status).toBe(201);
  });
});
