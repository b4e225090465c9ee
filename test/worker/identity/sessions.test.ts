import { and, eq } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../../../src/base/database.ts";
import type { MemberId } from "../../../src/base/ids.ts";
import type { Role } from "../../../src/identity/caller.ts";
import { sweepPeople } from "../../../src/identity/sweep-people.ts";
import { members, sessions } from "../../../src/identity/tables.ts";
import { bindings, db, newTenant, outboxEmpty, send } from "../api/door.ts";
import { signedIn } from "../support/signed-in.ts";

const HOUR_MS = 3_600_000;

let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeAll(async () => {
  tenant = await newTenant();
});

const me = (headers: Record<string, string>) => send("GET", "/v1/me", { headers });
const person = (role: Role = "admin") => signedIn(tenant.tenantId, role);

describe("a session", () => {
  test("is its member with the role of now", async () => {
    const { headers, memberId } = await person("viewer");
    expect((await me(headers)).body).toMatchObject({
      kind: "member",
      id: memberId,
      role: "viewer",
      script: false,
    });
    await db.update(members).set({ role: "auditor" }).where(eq(members.id, memberId));
    expect((await me(headers)).body).toMatchObject({ role: "auditor" });
  });

  test("is stored as a digest only", async () => {
    const { headers, memberId } = await person();
    const rows = await db.select().from(sessions).where(eq(sessions.memberId, memberId));
    expect(rows).toHaveLength(1);
    const token = headers.cookie.split("=")[1] ?? "";
    expect(token).toMatch(/^vks_[0-9A-Za-z]{54}$/);
    expect(JSON.stringify(rows)).not.toContain(token.slice(4, 40));
  });

  test.each([
    ["another token", (cookie: string) => cookie.replace(/.{7}$/, "0000000")],
    ["no token", () => "valetkey-session="],
    ["two tokens", (cookie: string) => `${cookie}; ${cookie}`],
    ["the name of a deployment over TLS", (cookie: string) => `__Host-${cookie}`],
    ["a name that only ends alike", (cookie: string) => `x-${cookie}`],
  ])("with %s is nobody's", async (_, change) => {
    const { headers } = await person();
    const answer = await me({ ...headers, cookie: change(headers.cookie) });
    expect([answer.status, answer.body.error.code]).toEqual([401, "UNAUTHORIZED"]);
  });

  test("ends after 12 hours unused and after 7 days in any case", async () => {
    const idle = await person();
    await idle.age(12 * HOUR_MS - 60_000);
    expect((await me(idle.headers)).status).toBe(200);
    // That it was used is written down in the background.
    await expect
      .poll(
        async () =>
          (await db.select().from(sessions).where(eq(sessions.memberId, idle.memberId)))[0]?.lastSeenAt,
      )
      .toBeGreaterThan(Date.now() - 60_000);
    await idle.age(12 * HOUR_MS + 1);
    expect((await me(idle.headers)).status).toBe(401);

    const old = await person();
    await old.age(7 * 24 * HOUR_MS + 1);
    await db.update(sessions).set({ lastSeenAt: Date.now() }).where(eq(sessions.memberId, old.memberId));
    expect((await me(old.headers)).status).toBe(401);
  });

  test("ends with its member, and when the member becomes somebody else", async () => {
    const removed = await person();
    await db.update(members).set({ revokedAt: Date.now() }).where(eq(members.id, removed.memberId));
    expect((await me(removed.headers)).status).toBe(401);

    const other = await person();
    await db.update(members).set({ subject: "another" }).where(eq(members.id, other.memberId));
    expect((await me(other.headers)).status).toBe(401);
  });

  test("is listed to its owner and to admins, and to nobody else", async () => {
    const { headers, memberId } = await person("viewer");
    const own = (await send("GET", "/v1/sessions", { headers })).body.sessions;
    expect(own).toMatchObject([{ member_id: memberId, method: "oidc", current: true }]);
    const asked = `/v1/sessions?member_id=${memberId}`;
    const byAdmin = await send("GET", asked, { credential: tenant.admin });
    expect(byAdmin.body.sessions).toMatchObject([{ id: own[0].id, current: false }]);
    for (const role of ["editor", "viewer", "auditor"] as const) {
      const answer = await send("GET", asked, { credential: tenant[role] });
      expect([answer.status, answer.body.error.code], role).toEqual([403, "ROLE_DENIED"]);
    }
    const foreign = await newTenant();
    expect((await send("GET", asked, { credential: foreign.admin })).body.sessions).toEqual([]);
  });

  test("is ended by its owner or an admin, at once; by others it is not there", async () => {
    const { headers } = await person("viewer");
    const { id } = (await send("GET", "/v1/sessions", { headers })).body.sessions[0];
    const foreign = await newTenant();
    for (const credential of [tenant.viewer, tenant.editor, foreign.admin]) {
      expect((await send("DELETE", `/v1/sessions/${id}`, { credential })).status).toBe(404);
    }
    expect((await me(headers)).status).toBe(200);
    expect((await send("DELETE", `/v1/sessions/${id}`, { credential: tenant.admin })).status).toBe(204);
    expect((await me(headers)).status).toBe(401);
    expect((await send("DELETE", `/v1/sessions/${id}`, { credential: tenant.admin })).status).toBe(404);
  });

  test("all of a member's end together, and each end is one event", async () => {
    const { headers, memberId } = await person("editor");
    expect(
      (await send("DELETE", `/v1/sessions?member_id=${memberId}`, { credential: tenant.admin })).status,
    ).toBe(204);
    expect((await me(headers)).status).toBe(401);
    await send("DELETE", `/v1/sessions?member_id=${memberId}`, { credential: tenant.admin });
    await outboxEmpty();
    await expect
      .poll(async () => {
        const trail = await send("GET", "/v1/audit?event_type=session.ended&limit=200", {
          credential: tenant.auditor,
        });
        return trail.body.events.filter((event: { resource: string }) => event.resource === memberId).length;
      })
      .toBe(1);
  });

  test("is over after signing out, and its cookie is removed", async () => {
    const { headers, memberId } = await person();
    const answer = await send("POST", "/auth/sign-out", { headers, body: {} });
    expect(answer.status).toBe(204);
    expect(answer.headers.get("set-cookie")).toBe(
      "valetkey-session=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict",
    );
    expect((await me(headers)).status).toBe(401);
    expect(
      await db
        .select()
        .from(sessions)
        .where(and(eq(sessions.memberId, memberId))),
    ).toEqual([]);
  });
});

test("the sweep clears away what is over, and nothing else", async () => {
  const [over, live] = [await person(), await person()];
  await over.age(7 * 24 * HOUR_MS + 1);
  await sweepPeople({ db: openDatabase(bindings), jurisdiction: null, clock: Date.now });
  const left = async ({ memberId }: { memberId: MemberId }) =>
    (await db.select().from(sessions).where(eq(sessions.memberId, memberId))).length;
  expect([await left(over), await left(live)]).toEqual([0, 1]);
});

describe("attack 85: a session's cookie on a change", () => {
  const invite = { name: "by a browser" };
  test.each<[string, Record<string, string>]>([
    ["no origin at all", {}],
    ["another origin", { origin: "https://evil.example.com" }],
    ["an origin that begins with ours", { origin: "http://localhost.evil.example.com" }],
    ["our host by another scheme", { origin: "https://localhost" }],
    ["another port", { origin: "http://localhost:8080" }],
    ["a page without an origin", { origin: "null" }],
    [
      "another origin and a word for it",
      { origin: "https://evil.example.com", "sec-fetch-site": "same-origin" },
    ],
    ["a page of our site, not our origin", { "sec-fetch-site": "same-site" }],
    ["a page of another site", { "sec-fetch-site": "cross-site" }],
    ["no page", { "sec-fetch-site": "none" }],
  ])("attack 85: from %s is refused and changes nothing", async (_, sent) => {
    const { headers } = await person();
    const answer = await send("POST", "/v1/agents", {
      headers: { cookie: headers.cookie, ...sent },
      body: invite,
    });
    expect([answer.status, answer.body.error.code]).toEqual([403, "CSRF_REFUSED"]);
    const agents = await send("GET", "/v1/agents?limit=200", { credential: tenant.admin });
    expect(JSON.stringify(agents.body)).not.toContain(invite.name);
  });

  test("attack 85: from our own page it is taken", async () => {
    const { headers } = await person();
    expect((await send("POST", "/v1/agents", { headers, body: { name: "a" } })).status).toBe(201);
    const bySite = { cookie: headers.cookie, "sec-fetch-site": "same-origin" };
    expect((await send("POST", "/v1/agents", { headers: bySite, body: { name: "b" } })).status).toBe(201);
  });

  test("attack 85: a cookie never makes good a bearer that is not live, and a bearer needs no origin", async () => {
    const { headers } = await person();
    for (const authorization of ["Bearer vkm_dead", "Bearer", "Basic YTpi"]) {
      const answer = await me({ ...headers, authorization });
      expect(answer.status, authorization).toBe(401);
    }
    const both = { cookie: headers.cookie, authorization: `Bearer ${tenant.viewer}` };
    expect((await me(both)).body).toMatchObject({ name: "viewer" });
    expect((await send("DELETE", "/v1/sessions", { headers: both })).status).toBe(204);
    expect((await me(headers)).status).toBe(200);
  });
});
