import { and, eq } from "drizzle-orm";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newId, type MemberId } from "../../../src/base/ids.ts";
import { credentialDigest, newCredential } from "../../../src/identity/credential.ts";
import { members, sessions } from "../../../src/identity/tables.ts";
import { countRows, db, newTenant, outboxEmpty, pepper, send } from "../api/door.ts";
import { type SignedIn, signedIn } from "../support/signed-in.ts";

const ISSUER = "https://issuer.example.com";

let tenant: Awaited<ReturnType<typeof newTenant>>;
let admin: SignedIn;
beforeAll(async () => {
  tenant = await newTenant();
});
beforeEach(async () => {
  admin = await signedIn(tenant.tenantId, "admin");
});

const as = (person: SignedIn, method: string, path: string, body?: unknown) =>
  send(method, path, { headers: person.headers, ...(body === undefined ? {} : { body }) });
const codeOf = (answer: { status: number; body: { error?: { code: string } } }) => [
  answer.status,
  answer.body.error?.code,
];

async function eventsOf(resource: string): Promise<Record<string, unknown>[]> {
  await outboxEmpty();
  let found: Record<string, unknown>[] = [];
  await expect
    .poll(async () => {
      const trail = await send("GET", "/v1/audit?resource_type=member&limit=200", {
        credential: tenant.auditor,
      });
      found = trail.body.events.filter((event: { resource: string }) => event.resource === resource);
      return found.length;
    })
    .toBeGreaterThan(0);
  return found;
}

describe("inviting", () => {
  test("a person by address keeps who invited whom", async () => {
    const made = await as(admin, "POST", "/v1/members", { email: "Ada@Example.com", role: "editor" });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      ...{
        email: "ada@example.com",
        name: "ada@example.com",
        role: "editor",
        status: "invited",
        script: false,
      },
      ...{ issuer: null, subject: null, invited_by: admin.memberId, joined_at: null, rotate_by: null },
    });
    expect(made.body).not.toHaveProperty("credential");
    expect((await as(admin, "GET", `/v1/members/${made.body.id}`)).body).toEqual(made.body);
    const listed = await as(admin, "GET", "/v1/members?limit=200");
    expect(listed.body.members).toContainEqual(made.body);
    const [event] = await eventsOf(made.body.id);
    expect(event).toMatchObject({
      ...{ event_type: "member.invited", actor: `member:${admin.memberId}` },
      context: { email: "ada@example.com", role: "editor" },
    });
  });

  test.each([
    ["no role", { email: "a@example.com" }],
    ["an address without a domain", { email: "a@example", role: "viewer" }],
    [
      "an address with a letter that only looks like ASCII",
      { email: "\u212aevin@example.com", role: "viewer" },
    ],
    ["an address with a space", { email: "a b@example.com", role: "viewer" }],
    ["two addresses", { email: "a@example.com,b@example.com", role: "viewer" }],
    ["a role that there is not", { email: "a@example.com", role: "owner" }],
    [
      "an address and a subject",
      { email: "a@example.com", issuer: ISSUER, subject: "s", role: "viewer", name: "n" },
    ],
    ["an address and a credential", { email: "a@example.com", script: true, role: "viewer" }],
    ["a subject without its issuer", { subject: "s", role: "viewer", name: "n" }],
    ["an issuer that is no URL", { issuer: "issuer.example.com", subject: "s", role: "viewer", name: "n" }],
  ])("with %s is a 400 and writes nothing", async (_, body) => {
    await outboxEmpty();
    const before = await countRows();
    expect(codeOf(await as(admin, "POST", "/v1/members", body))).toEqual([400, "VALIDATION_ERROR"]);
    expect(await countRows()).toEqual(before);
  });

  test("the same person twice is a conflict, whatever the case of the address", async () => {
    const grace = { email: "grace@example.com", role: "viewer" };
    expect((await as(admin, "POST", "/v1/members", grace)).status).toBe(201);
    const again = { email: "GRACE@example.com", role: "admin" };
    expect(codeOf(await as(admin, "POST", "/v1/members", again))).toEqual([409, "CONFLICT"]);
    const known = { issuer: ISSUER, subject: admin.memberId, role: "viewer", name: "me again" };
    expect(codeOf(await as(admin, "POST", "/v1/members", known))).toEqual([409, "CONFLICT"]);
  });

  test("ten times at once invites once", async () => {
    const body = { email: "parallel@example.com", role: "viewer" };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => as(admin, "POST", "/v1/members", body)),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([
      201,
      ...Array.from({ length: 9 }, () => 409),
    ]);
  });

  test("an invitation runs out after 14 days and can be made anew", async () => {
    const body = { email: "late@example.com", role: "viewer" };
    const first = (await as(admin, "POST", "/v1/members", body)).body;
    await db
      .update(members)
      .set({ invitedAt: Date.now() - 14 * 24 * 3_600_000 })
      .where(eq(members.id, first.id));
    expect((await as(admin, "GET", `/v1/members/${first.id}`)).body.status).toBe("expired");
    const second = await as(admin, "POST", "/v1/members", body);
    expect(second.body).toMatchObject({ status: "invited" });
    expect((await as(admin, "GET", `/v1/members/${first.id}`)).status).toBe(404);
  });
});

describe("a credential for scripts", () => {
  test("is shown once, manages, and is no person", async () => {
    const made = await as(admin, "POST", "/v1/members", { script: true, role: "admin", name: "terraform" });
    expect(made.status).toBe(201);
    const { credential, id } = made.body;
    expect(credential).toMatch(/^vkm_[0-9A-Za-z]{54}$/);
    expect(JSON.stringify((await as(admin, "GET", `/v1/members/${id}`)).body)).not.toContain(credential);
    const me = await send("GET", "/v1/me", { credential });
    expect(me.body).toMatchObject({ id, script: true, sign_in: null });
    expect(Date.parse(me.body.rotate_by) - Date.now()).toBeGreaterThan(89 * 24 * 3_600_000);
    const invited = await send("POST", "/v1/members", {
      credential,
      body: { email: "by-script@example.com", role: "viewer" },
    });
    expect(invited.status).toBe(201);
  });

  test("is rotated: the new one is shown once, the old one ends at once", async () => {
    const made = (await as(admin, "POST", "/v1/members", { script: true, role: "viewer", name: "ci" })).body;
    const rotated = await as(admin, "POST", `/v1/members/${made.id}/credentials`, {});
    expect(rotated.status).toBe(201);
    expect(rotated.body.credential).not.toBe(made.credential);
    expect((await send("GET", "/v1/me", { credential: made.credential })).status).toBe(401);
    expect((await send("GET", "/v1/me", { credential: rotated.body.credential })).body.id).toBe(made.id);
    expect((await eventsOf(made.id)).map((event) => event["event_type"])).toContain(
      "member.credential_rotated",
    );
  });

  test("that came of a bootstrap should be rotated within a day", async () => {
    const id = newId("member");
    await db.insert(members).values({
      ...{ id, tenantId: tenant.tenantId, name: "admin", role: "admin", script: true, digest: id },
      createdAt: Date.now(),
    });
    const shown = (await as(admin, "GET", `/v1/members/${id}`)).body;
    expect(Date.parse(shown.rotate_by) - Date.now()).toBeLessThanOrEqual(24 * 3_600_000);
  });

  test("a person has none", async () => {
    const answer = await as(admin, "POST", `/v1/members/${admin.memberId}/credentials`, {});
    expect(codeOf(answer)).toEqual([409, "CONFLICT"]);
  });
});

describe("roles", () => {
  test("attack 87: another role counts from the next request on, in a session that goes on", async () => {
    const person = await signedIn(tenant.tenantId, "admin");
    expect((await as(person, "GET", "/v1/members")).status).toBe(200);
    const changed = await as(admin, "PATCH", `/v1/members/${person.memberId}`, { role: "viewer" });
    expect(changed.body).toMatchObject({ role: "viewer" });
    expect(codeOf(await as(person, "GET", "/v1/members"))).toEqual([403, "ROLE_DENIED"]);
    expect((await as(person, "GET", "/v1/agents")).status).toBe(200);
    const [event] = (await eventsOf(person.memberId)).filter(
      (one) => one["event_type"] === "member.role_changed",
    );
    expect(event).toMatchObject({ context: { before: "admin", role: "viewer" } });
  });

  test("attack 87: nobody changes their own", async () => {
    for (const role of ["viewer", "admin"]) {
      const answer = await as(admin, "PATCH", `/v1/members/${admin.memberId}`, { role });
      expect(codeOf(answer)).toEqual([409, "CONFLICT"]);
    }
  });

  test("attack 87: an editor, viewer or auditor manages no members, by session or credential", async () => {
    for (const role of ["editor", "viewer", "auditor"] as const) {
      const person = await signedIn(tenant.tenantId, role);
      for (const [method, path, body] of [
        ["GET", "/v1/members"],
        ["POST", "/v1/members", { email: "x@example.com", role: "admin" }],
        ["PATCH", `/v1/members/${admin.memberId}`, { role: "viewer" }],
        ["DELETE", `/v1/members/${admin.memberId}`],
        ["POST", `/v1/members/${admin.memberId}/credentials`, {}],
      ] as const) {
        expect(codeOf(await as(person, method, path, body)), role).toEqual([403, "ROLE_DENIED"]);
        const credential = tenant[role];
        expect(codeOf(await send(method, path, { credential, body })), role).toEqual([403, "ROLE_DENIED"]);
      }
    }
  });
});

describe("removing", () => {
  test("ends every session and credential with the next request", async () => {
    const person = await signedIn(tenant.tenantId, "editor");
    expect((await as(admin, "DELETE", `/v1/members/${person.memberId}`)).status).toBe(204);
    expect((await as(person, "GET", "/v1/me")).status).toBe(401);
    expect(await db.select().from(sessions).where(eq(sessions.memberId, person.memberId))).toEqual([]);
    expect((await as(admin, "GET", `/v1/members/${person.memberId}`)).status).toBe(404);
    expect((await as(admin, "DELETE", `/v1/members/${person.memberId}`)).status).toBe(404);

    const script = (await as(admin, "POST", "/v1/members", { script: true, role: "viewer", name: "ci" }))
      .body;
    expect((await as(admin, "DELETE", `/v1/members/${script.id}`)).status).toBe(204);
    expect((await send("GET", "/v1/me", { credential: script.credential })).status).toBe(401);
  });

  test("attack 73: another tenant's members are not there", async () => {
    const foreign = await newTenant();
    const stranger = await signedIn(foreign.tenantId, "admin");
    for (const [method, path, body] of [
      ["GET", `/v1/members/${admin.memberId}`],
      ["PATCH", `/v1/members/${admin.memberId}`, { role: "viewer" }],
      ["DELETE", `/v1/members/${admin.memberId}`],
      ["POST", `/v1/members/${admin.memberId}/credentials`, {}],
    ] as const) {
      expect((await as(stranger, method, path, body)).status).toBe(404);
    }
  });
});

describe("the last admin", () => {
  /** A tenant in which these and nobody else are members. */
  async function small(...roles: ("admin" | "viewer")[]): Promise<SignedIn[]> {
    const { tenantId } = await newTenant();
    await db.delete(members).where(eq(members.tenantId, tenantId));
    return Promise.all(roles.map((role) => signedIn(tenantId, role)));
  }

  test("cannot be removed, however many others are invited", async () => {
    const [only] = await small("admin", "viewer");
    if (only === undefined) throw new Error("nobody");
    await as(only, "POST", "/v1/members", { email: "next@example.com", role: "admin" });
    expect(codeOf(await as(only, "DELETE", `/v1/members/${only.memberId}`))).toEqual([409, "CONFLICT"]);
    expect((await as(only, "GET", "/v1/me")).body.role).toBe("admin");
  });

  test("two who remove or demote each other at once do not both succeed", async () => {
    for (const [method, body] of [["DELETE"], ["PATCH", { role: "viewer" }]] as const) {
      const [one, two] = await small("admin", "admin");
      if (one === undefined || two === undefined) throw new Error("nobody");
      await Promise.all([
        as(one, method, `/v1/members/${two.memberId}`, body),
        as(two, method, `/v1/members/${one.memberId}`, body),
      ]);
      const left = [await as(one, "GET", "/v1/me"), await as(two, "GET", "/v1/me")];
      expect(left.filter((answer) => answer.body.role === "admin")).toHaveLength(1);
    }
  });

  test("may go once another can act", async () => {
    const [one, two] = await small("admin", "admin");
    if (one === undefined || two === undefined) throw new Error("nobody");
    expect((await as(one, "DELETE", `/v1/members/${one.memberId}`)).status).toBe(204);
    expect(codeOf(await as(two, "DELETE", `/v1/members/${two.memberId}`))).toEqual([409, "CONFLICT"]);
  });
});

describe("step-up", () => {
  const CHANGES: [string, (id: MemberId) => string, object?][] = [
    ["POST", () => "/v1/members", { email: "step@example.com", role: "viewer" }],
    ["PATCH", (id) => `/v1/members/${id}`, { role: "auditor" }],
    ["POST", (id) => `/v1/members/${id}/credentials`, {}],
    ["DELETE", (id) => `/v1/members/${id}`],
    ["POST", () => "/v1/identity-providers", { kind: "oidc", name: "n", issuer: ISSUER, client_id: "c" }],
  ];

  test.each(CHANGES)("%s of members takes a sign-in of 5 minutes at most", async (method, path, body) => {
    const target = await signedIn(tenant.tenantId, "viewer");
    await admin.age(5 * 60_000 + 1_000);
    const answer = await as(admin, method, path(target.memberId), body);
    expect(codeOf(answer)).toEqual([403, "STEP_UP_REQUIRED"]);
    expect(answer.body.why).toContain("/auth/sign-in?fresh=1");
    expect((await as(admin, "GET", `/v1/members/${target.memberId}`)).body.role).toBe("viewer");
  });

  test("5 minutes less a little are fresh enough", async () => {
    await admin.age(5 * 60_000 - 10_000);
    const made = await as(admin, "POST", "/v1/members", { script: true, role: "viewer", name: "fresh" });
    expect(made.status).toBe(201);
  });

  test("a sign-in of which nobody knows when it was is never fresh", async () => {
    const person = await signedIn(tenant.tenantId, "admin", { authenticatedAt: null });
    const made = await as(person, "POST", "/v1/members", { script: true, role: "viewer", name: "x" });
    expect(codeOf(made)).toEqual([403, "STEP_UP_REQUIRED"]);
  });

  test("a sign-in in the future is one of now", async () => {
    const person = await signedIn(tenant.tenantId, "admin", { authenticatedAt: Date.now() + 3_600_000 });
    const [row] = await db
      .select()
      .from(sessions)
      .where(and(eq(sessions.memberId, person.memberId)));
    expect(row?.authenticatedAt).toBeLessThanOrEqual(Date.now());
  });

  test("a person's credential proves no sign-in", async () => {
    const credential = newCredential("vkm");
    await db
      .update(members)
      .set({ digest: credentialDigest(pepper, credential) })
      .where(eq(members.id, admin.memberId));
    const body = { email: "bearer@example.com", role: "viewer" };
    const answer = await send("POST", "/v1/members", { credential: credential.reveal(), body });
    expect(codeOf(answer)).toEqual([403, "STEP_UP_REQUIRED"]);
  });
});
