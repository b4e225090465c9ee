import { eq } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import { ENDPOINTS } from "../../../src/api/endpoints.ts";
import { openDatabase } from "../../../src/base/database.ts";
import { enrolments } from "../../../src/identity/tables.ts";
import { newId } from "../../../src/base/ids.ts";
import { sweepRevealGrants } from "../../../src/vault/reveal-ends.ts";
import { revealGrants } from "../../../src/vault/tables.ts";
import { bindings, db, newTenant, outboxEmpty, send } from "../api/door.ts";
import { type SignedIn, signedIn } from "../support/signed-in.ts";

const VALUE = "sk_live_only-for-this-test";
const PATH = "production/payments/STRIPE";
const CRITICAL = "production/root/KEY";
const REASON = "an outage: the provider asks for the key";

let tenant: Awaited<ReturnType<typeof newTenant>>;
let admin: SignedIn;
let other: SignedIn;
beforeAll(async () => {
  tenant = await newTenant();
  [admin, other] = await Promise.all([
    signedIn(tenant.tenantId, "admin"),
    signedIn(tenant.tenantId, "admin"),
  ]);
  const put = (path: string, body: object) =>
    send("PUT", `/v1/secrets/${path}`, { credential: tenant.admin, body });
  await put(PATH, { value: VALUE });
  await put(CRITICAL, { value: "a critical value", access_tier: "critical" });
});

type Answer = Awaited<ReturnType<typeof send>>;
const told = ({ status, body }: Answer) => [status, body.error?.code];
const editor = () => signedIn(tenant.tenantId, "editor");

const ask = (who: SignedIn, over: object = {}) =>
  send("POST", "/v1/reveal-grants", {
    headers: who.headers,
    body: { path: PATH, reason: REASON, ttl: "15m", ...over },
  });
const reveal = (who: SignedIn, path = PATH, body: object = {}) =>
  send("POST", `/v1/secrets/${path}/reveal`, { headers: who.headers, body });
const approve = (who: SignedIn, id: string) =>
  send("POST", `/v1/reveal-grants/${id}/approve`, { headers: who.headers, body: {} });
const end = (who: SignedIn, id: string) =>
  send("DELETE", `/v1/reveal-grants/${id}`, { headers: who.headers });
const trail = (who: SignedIn, query = "") => send("GET", `/v1/audit${query}`, { headers: who.headers });

/** As if a grant had been asked for so long ago. */
async function age(id: string, milliseconds: number): Promise<void> {
  const [row] = await db
    .select()
    .from(revealGrants)
    .where(eq(revealGrants.id, id as never));
  if (row === undefined) throw new Error("there is no such grant");
  await db
    .update(revealGrants)
    .set({ requestedAt: row.requestedAt - milliseconds, expiresAt: row.expiresAt - milliseconds })
    .where(eq(revealGrants.id, row.id));
}

describe("reading plaintext", () => {
  test("takes a grant that covers the path, whatever agents may read", async () => {
    const who = await editor();
    expect(told(await reveal(who))).toEqual([403, "REVEAL_DENIED"]);
    expect(told(await reveal(who, "production/none/KEY"))).toEqual([403, "REVEAL_DENIED"]);
    const granted = await ask(who, { path: "production/payments/*" });
    expect(granted.body).toMatchObject({ status: "active", member_id: who.memberId, approved_by: null });
    expect((await reveal(who)).body).toMatchObject({ path: PATH, value: VALUE, reveal: null });
    expect(told(await reveal(who, CRITICAL))).toEqual([403, "REVEAL_DENIED"]);
    expect(told(await reveal(who, "production/payments/NONE"))).toEqual([404, "SECRET_NOT_FOUND"]);
    expect(told(await reveal(who, PATH, { version: 9 }))).toEqual([404, "SECRET_NOT_FOUND"]);
  });

  test("is each person's own matter: nobody reads under another's grant", async () => {
    const [who, stranger] = await Promise.all([editor(), editor()]);
    await ask(who);
    expect(told(await reveal(stranger))).toEqual([403, "REVEAL_DENIED"]);
  });

  test("is written down each time, with the grant and its reason, and never with the value", async () => {
    const who = await editor();
    const { body } = await ask(who);
    await reveal(who);
    await reveal(who);
    await outboxEmpty();
    const { events } = (await trail(admin, `?actor=member:${who.memberId}`)).body;
    const types = events.map((event: { event_type: string }) => event.event_type);
    expect(types.filter((type: string) => type === "secret.read")).toHaveLength(2);
    expect(types).toContain("reveal.granted");
    const read = events.find((event: { event_type: string }) => event.event_type === "secret.read");
    expect(read).toMatchObject({
      resource: PATH,
      context: { reveal_grant_id: body.id, reason: REASON, version: 1 },
    });
    expect(JSON.stringify(events)).not.toContain(VALUE);
  });

  test("takes a person who has just shown who they are", async () => {
    const who = await editor();
    await ask(who);
    await who.age(6 * 60_000);
    expect(told(await reveal(who))).toEqual([403, "STEP_UP_REQUIRED"]);
    expect(told(await ask(who))).toEqual([403, "STEP_UP_REQUIRED"]);
  });

  test("attack 87: is not for viewers, auditors, and credentials for scripts", async () => {
    for (const role of ["viewer", "auditor"] as const) {
      const who = await signedIn(tenant.tenantId, role);
      expect(told(await ask(who)), role).toEqual([403, "ROLE_DENIED"]);
      expect(told(await reveal(who)), role).toEqual([403, "ROLE_DENIED"]);
    }
    const { body } = await send("POST", "/v1/members", {
      headers: admin.headers,
      body: { script: true, role: "admin", name: "a script" },
    });
    const asked = { path: PATH, reason: REASON, ttl: "15m" };
    const byScript = await send("POST", "/v1/reveal-grants", { credential: body.credential, body: asked });
    expect(told(byScript)).toEqual([403, "ROLE_DENIED"]);
    const read = await send("POST", `/v1/secrets/${PATH}/reveal`, { credential: body.credential, body: {} });
    expect(told(read)).toEqual([403, "ROLE_DENIED"]);
  });

  test("attack 47: a repeated request with an Idempotency-Key is no second copy that outlives the grant", async () => {
    const who = await editor();
    const { body } = await ask(who);
    const headers = { ...who.headers, "idempotency-key": "a-key-of-this-test" };
    const again = () => send("POST", `/v1/secrets/${PATH}/reveal`, { headers, body: {} });
    expect((await again()).body.value).toBe(VALUE);
    await end(who, body.id);
    expect(told(await again())).toEqual([403, "REVEAL_DENIED"]);
  });
});

describe("a grant", () => {
  test.each<[string, object]>([
    ["without a reason of 10 characters", { reason: "because   " }],
    ["for more than an hour", { ttl: "61m" }],
    ["for everything", { path: "*" }],
    ["for everything in some namespace or other", { path: "*/payments/STRIPE" }],
    ["for a mere namespace", { path: "production" }],
  ])("%s is refused", async (_, over) => {
    expect(told(await ask(admin, over))).toEqual([400, "VALIDATION_ERROR"]);
  });

  test("covers something that is there", async () => {
    expect(told(await ask(admin, { path: "production/payments/NONE" }))).toEqual([404, "SECRET_NOT_FOUND"]);
    expect(told(await ask(admin, { path: "staging/*" }))).toEqual([404, "SECRET_NOT_FOUND"]);
  });

  test("ends by itself, and that is written down once", async () => {
    const who = await editor();
    const { body } = await ask(who, { ttl: "1m" });
    await age(body.id, 60_000);
    expect(told(await reveal(who))).toEqual([403, "REVEAL_DENIED"]);
    const listed = await send("GET", "/v1/reveal-grants", { headers: who.headers });
    expect(listed.body.reveal_grants).toMatchObject([{ id: body.id, status: "ended", ended_at: null }]);
    const parts = {
      db: openDatabase(bindings),
      jurisdiction: null,
      clock: Date.now,
      flush: async () => undefined,
    };
    await Promise.all([sweepRevealGrants(parts), sweepRevealGrants(parts)]);
    // The next change brings it to the ledger.
    await ask(await editor());
    await outboxEmpty();
    const { events } = (await trail(other, `?event_type=reveal.ended`)).body;
    const own = events.filter((event: { resource: string }) => event.resource === body.id);
    expect(own).toMatchObject([{ actor: "system", context: { member_id: who.memberId, was: "active" } }]);
  });

  test("is ended by its holder and by admins, at once, and by nobody else", async () => {
    const [who, stranger] = await Promise.all([editor(), editor()]);
    const first = await ask(who);
    expect(told(await end(stranger, first.body.id))).toEqual([404, "NOT_FOUND"]);
    expect((await reveal(who)).status).toBe(200);
    expect((await end(who, first.body.id)).status).toBe(204);
    expect(told(await reveal(who))).toEqual([403, "REVEAL_DENIED"]);
    const second = await ask(who);
    expect((await end(admin, second.body.id)).status).toBe(204);
    expect(told(await reveal(who))).toEqual([403, "REVEAL_DENIED"]);
    expect((await end(admin, second.body.id)).status).toBe(204);
    const { body } = await send("GET", "/v1/reveal-grants?limit=1", { headers: who.headers });
    expect(body.reveal_grants).toMatchObject([{ id: second.body.id, ended_by: admin.memberId }]);
    await outboxEmpty();
    const { events } = (await trail(other, `?event_type=reveal.ended`)).body;
    expect(events.filter((event: { resource: string }) => event.resource === second.body.id)).toHaveLength(1);
  });

  test("is told to every admin and auditor, and to no one else", async () => {
    const who = await editor();
    const { body } = await ask(who);
    const auditor = await signedIn(tenant.tenantId, "auditor");
    for (const reader of [admin, auditor]) {
      const me = await send("GET", "/v1/me", { headers: reader.headers });
      expect(me.body.notices[0]).toMatchObject({
        type: "reveal.granted",
        reveal_grant: { id: body.id, member_id: who.memberId, reason: REASON, path: PATH },
      });
    }
    expect((await send("GET", "/v1/me", { headers: who.headers })).body).not.toHaveProperty("notices");
  });

  test("is listed to admins and auditors, and to an editor only if it is theirs", async () => {
    const [who, stranger] = await Promise.all([editor(), editor()]);
    const { body } = await ask(who);
    const ids = async (reader: SignedIn) =>
      (await send("GET", "/v1/reveal-grants", { headers: reader.headers })).body.reveal_grants.map(
        ({ id }: { id: string }) => id,
      );
    expect(await ids(admin)).toContain(body.id);
    expect(await ids(who)).toEqual([body.id]);
    expect(await ids(stranger)).toEqual([]);
  });

  test("suspends its holder's reading of the trail until it ends", async () => {
    const who = await signedIn(tenant.tenantId, "admin");
    expect((await trail(who)).status).toBe(200);
    const { body } = await ask(who);
    expect(told(await trail(who))).toEqual([403, "TRAIL_SUSPENDED"]);
    expect((await trail(other)).status).toBe(200);
    await end(who, body.id);
    expect((await trail(who)).status).toBe(200);
  });

  test("suspends everything that tells of the trail", () => {
    const telling = ENDPOINTS.filter(({ path, method }) => path.startsWith("/v1/audit") && method === "GET");
    expect(telling.length).toBeGreaterThan(0);
    expect(telling.filter(({ trail: told }) => told !== true).map(({ operationId }) => operationId)).toEqual(
      [],
    );
  });

  test("attack 73: of another tenant is not there", async () => {
    const { body } = await ask(admin, { path: "production/*" });
    const foreign = await signedIn((await newTenant()).tenantId, "admin");
    expect(told(await approve(foreign, body.id))).toEqual([404, "NOT_FOUND"]);
    expect(told(await end(foreign, body.id))).toEqual([404, "NOT_FOUND"]);
    expect((await send("GET", "/v1/reveal-grants", { headers: foreign.headers })).body.reveal_grants).toEqual(
      [],
    );
  });
});

describe("a critical secret", () => {
  test("takes a second person", async () => {
    const who = await editor();
    const { body } = await ask(who, { path: CRITICAL });
    expect(body).toMatchObject({ status: "pending", starts_at: null });
    expect(told(await reveal(who, CRITICAL))).toEqual([403, "REVEAL_DENIED"]);
    const approved = await approve(admin, body.id);
    expect(approved.body).toMatchObject({ status: "active", approved_by: admin.memberId });
    expect((await reveal(who, CRITICAL)).body.value).toBe("a critical value");
    expect(told(await approve(other, body.id))).toEqual([409, "CONFLICT"]);
  });

  test("takes one under a glob, too, and one that became critical meanwhile", async () => {
    expect((await ask(admin, { path: "production/*" })).body.status).toBe("pending");
    const who = await editor();
    const path = "production/later/KEY";
    const put = (body: object) => send("PUT", `/v1/secrets/${path}`, { credential: tenant.admin, body });
    await put({ value: "a value that is there" });
    await ask(who, { path });
    await put({ access_tier: "critical" });
    expect(told(await reveal(who, path))).toEqual([403, "APPROVAL_REQUIRED"]);
  });

  test("attack 74: is not approved by who asked, nor by an editor, nor by a script", async () => {
    const { body } = await ask(admin, { path: CRITICAL });
    expect(told(await approve(admin, body.id))).toEqual([403, "ROLE_DENIED"]);
    expect(told(await approve(await editor(), body.id))).toEqual([403, "ROLE_DENIED"]);
    const made = await send("POST", "/v1/members", {
      headers: admin.headers,
      body: { script: true, role: "admin", name: "another script" },
    });
    const path = `/v1/reveal-grants/${body.id}/approve`;
    expect(told(await send("POST", path, { credential: made.body.credential, body: {} }))).toEqual([
      403,
      "ROLE_DENIED",
    ]);
    expect(told(await reveal(admin, CRITICAL))).toEqual([403, "REVEAL_DENIED"]);
  });

  test("attack 74: is not approved by whom the asker enrolled just now, nor the other way round", async () => {
    const [asker, puppet] = await Promise.all([
      signedIn(tenant.tenantId, "admin"),
      signedIn(tenant.tenantId, "admin"),
    ]);
    const made = (memberId: SignedIn["memberId"], createdBy: SignedIn["memberId"], at: number) => ({
      ...{
        id: newId("enrolment"),
        tenantId: tenant.tenantId,
        memberId,
        createdBy,
        digest: crypto.randomUUID(),
      },
      ...{ createdAt: at, expiresAt: at, spentAt: at },
    });
    await db.insert(enrolments).values(made(puppet.memberId, asker.memberId, Date.now()));
    const first = await ask(asker, { path: CRITICAL });
    expect(told(await approve(puppet, first.body.id))).toEqual([403, "ROLE_DENIED"]);
    const second = await ask(puppet, { path: CRITICAL });
    expect(told(await approve(asker, second.body.id))).toEqual([403, "ROLE_DENIED"]);
    await db
      .update(enrolments)
      .set({ spentAt: Date.now() - 25 * 3_600_000 })
      .where(eq(enrolments.memberId, puppet.memberId));
    expect((await approve(puppet, first.body.id)).status).toBe(200);
  });

  test("attack 77: is approved once, also when two say so at the same time", async () => {
    const who = await editor();
    const { body } = await ask(who, { path: CRITICAL });
    const answers = await Promise.all([
      approve(admin, body.id),
      approve(other, body.id),
      approve(admin, body.id),
    ]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409]);
  });

  test("attack 76: is not approved when it was ended, or waited for too long", async () => {
    const who = await editor();
    const ended = await ask(who, { path: CRITICAL });
    await end(who, ended.body.id);
    expect(told(await approve(admin, ended.body.id))).toEqual([409, "CONFLICT"]);
    const late = await ask(who, { path: CRITICAL });
    await age(late.body.id, 3_600_000);
    expect(told(await approve(admin, late.body.id))).toEqual([409, "CONFLICT"]);
  });
});
