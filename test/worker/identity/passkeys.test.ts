import { eq } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import type { Role } from "../../../src/identity/caller.ts";
import { enrolments, members, passkeys, sessions } from "../../../src/identity/tables.ts";
import { db, newTenant, outboxEmpty, send } from "../api/door.ts";
import { Authenticator, type Odd } from "../support/authenticator.ts";
import { signedIn } from "../support/signed-in.ts";

const ORIGIN = { origin: "http://localhost" };
const REFUSED = [401, "UNAUTHORIZED"];

let tenant: Awaited<ReturnType<typeof newTenant>>;
let admin: Awaited<ReturnType<typeof signedIn>>;
beforeAll(async () => {
  tenant = await newTenant();
  admin = await signedIn(tenant.tenantId, "admin");
});

type Answer = Awaited<ReturnType<typeof send>>;
const told = ({ status, body }: Answer) => [status, body.error?.code];

/** The cookies an answer sets, as a browser sends them back. */
function cookiesOf(answer: Answer): Record<string, string> {
  const pairs = answer.headers.getSetCookie().map((line) => line.split(";")[0] ?? "");
  return { ...ORIGIN, cookie: pairs.filter((pair) => !pair.endsWith("=")).join("; ") };
}

async function invite(role: Role = "viewer", name = "Ada"): Promise<string> {
  const email = `${crypto.randomUUID()}@example.com`;
  const answer = await send("POST", "/v1/members", { headers: admin.headers, body: { email, role, name } });
  expect(answer.status).toBe(201);
  return answer.body.id;
}

const codeFor = (memberId: string, headers: Record<string, string> = admin.headers) =>
  send("POST", `/v1/members/${memberId}/enrolment`, { headers, body: {} });

async function enrol(code: string, authenticator: Authenticator, odd: Odd = {}): Promise<Answer> {
  const asked = await send("POST", "/auth/enrolment/options", { headers: ORIGIN, body: { code } });
  if (asked.status !== 200) return asked;
  const credential = await authenticator.create(asked.body, odd);
  const body = { code, name: "a phone", credential };
  return send("POST", "/auth/enrolment/verify", { headers: cookiesOf(asked), body });
}

/** A new person with a passkey, signed in with it. */
async function enrolled(role: Role = "viewer") {
  const memberId = await invite(role);
  const { body } = await codeFor(memberId);
  const authenticator = await Authenticator.make();
  const answer = await enrol(body.code, authenticator);
  expect(answer.status).toBe(201);
  return { memberId, authenticator, headers: cookiesOf(answer), code: body.code as string };
}

async function signIn(authenticator: Authenticator, odd: Odd = {}): Promise<Answer> {
  const asked = await send("POST", "/auth/passkeys/sign-in/options", { headers: ORIGIN, body: {} });
  const body = await authenticator.get(asked.body, odd);
  return send("POST", "/auth/passkeys/sign-in/verify", { headers: cookiesOf(asked), body });
}

const me = (headers: Record<string, string>) => send("GET", "/v1/me", { headers });

describe("enrolment", () => {
  test("makes its holder the member, signed in, and is written down", async () => {
    const { memberId, headers } = await enrolled("editor");
    expect((await me(headers)).body).toMatchObject({ id: memberId, role: "editor", script: false });
    const [member] = await db
      .select()
      .from(members)
      .where(eq(members.id, memberId as never));
    expect(member?.joinedAt).not.toBeNull();
    await outboxEmpty();
    const { body } = await send("GET", "/v1/audit?limit=50", { headers: admin.headers });
    const types = body.events
      .filter((event: { actor: string; resource: string }) =>
        [event.actor, event.resource].join().includes(memberId),
      )
      .map((event: { event_type: string }) => event.event_type);
    for (const type of ["member.enrolment_created", "member.joined", "passkey.created", "session.started"]) {
      expect(types, type).toContain(type);
    }
  });

  test("has a code that is kept as a digest only and stands behind the #", async () => {
    const { body } = await codeFor(await invite());
    expect(body.url).toBe(`http://localhost/auth/enrol#${body.code}`);
    const rows = await db.select().from(enrolments).where(eq(enrolments.id, body.id));
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain(body.code.slice(4, 40));
  });

  test("works once, also when two come at the same time", async () => {
    const { code } = await enrolled();
    expect(told(await enrol(code, await Authenticator.make()))).toEqual(REFUSED);
    const { body } = await codeFor(await invite());
    const two = await Promise.all([Authenticator.make(), Authenticator.make()]);
    const answers = await Promise.all(two.map((one) => enrol(body.code, one)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  });

  test("has 15 minutes, and an earlier code is void", async () => {
    const memberId = await invite();
    const first = await codeFor(memberId);
    const second = await codeFor(memberId);
    expect(told(await enrol(first.body.code, await Authenticator.make()))).toEqual(REFUSED);
    await db.update(enrolments).set({ expiresAt: Date.now() }).where(eq(enrolments.id, second.body.id));
    expect(told(await enrol(second.body.code, await Authenticator.make()))).toEqual(REFUSED);
  });

  test.each([
    ["no code at all", "nothing"],
    ["one that nobody made", `vke_${"0".repeat(54)}`],
  ])("refuses %s", async (_, code) => {
    expect(told(await enrol(code, await Authenticator.make()))).toEqual(REFUSED);
  });

  test("is for admins with a fresh sign-in", async () => {
    const memberId = await invite();
    const editor = await signedIn(tenant.tenantId, "editor");
    expect(told(await codeFor(memberId, editor.headers))).toEqual([403, "ROLE_DENIED"]);
    const stale = await signedIn(tenant.tenantId, "admin");
    await stale.age(6 * 60_000);
    expect(told(await codeFor(memberId, stale.headers))).toEqual([403, "STEP_UP_REQUIRED"]);
    expect(told(await codeFor(`mem_${"0".repeat(24)}`))).toEqual([404, "NOT_FOUND"]);
  });

  test("is for a script until there is an admin who is a person, and never again", async () => {
    const other = await newTenant();
    await db.update(members).set({ script: true }).where(eq(members.tenantId, other.tenantId));
    const script = { credential: other.admin };
    const body = { email: "first@example.com", role: "admin" };
    const { body: first } = await send("POST", "/v1/members", { ...script, body });
    const path = `/v1/members/${first.id}/enrolment`;
    const { body: made } = await send("POST", path, { ...script, body: {} });
    expect((await enrol(made.code, await Authenticator.make())).status).toBe(201);
    expect(told(await send("POST", path, { ...script, body: {} }))).toEqual([403, "ROLE_DENIED"]);
  });
});

describe("a passkey", () => {
  test("signs in, each time with a new session", async () => {
    const { memberId, authenticator, headers } = await enrolled();
    const answer = await signIn(authenticator);
    expect(answer.body).toMatchObject({ member_id: memberId, tenant_id: tenant.tenantId });
    const fresh = cookiesOf(answer);
    expect(fresh["cookie"]).not.toBe(headers["cookie"]);
    expect((await me(fresh)).body.id).toBe(memberId);
  });

  test("makes a sign-in fresh again, in the old session's place", async () => {
    const { memberId, authenticator, headers } = await enrolled("admin");
    const target = await invite();
    const old = Date.now() - 6 * 60_000;
    await db
      .update(sessions)
      .set({ authenticatedAt: old })
      .where(eq(sessions.memberId, memberId as never));
    expect(told(await codeFor(target, headers))).toEqual([403, "STEP_UP_REQUIRED"]);
    const asked = await send("POST", "/auth/passkeys/sign-in/options", { headers: ORIGIN, body: {} });
    const cookie = `${cookiesOf(asked)["cookie"]}; ${headers["cookie"]}`;
    const again = await send("POST", "/auth/passkeys/sign-in/verify", {
      headers: { ...ORIGIN, cookie },
      body: await authenticator.get(asked.body),
    });
    expect((await codeFor(target, cookiesOf(again))).status).toBe(201);
    expect((await me(headers)).status).toBe(401);
  });

  test.each<[string, Odd]>([
    ["of another origin", { origin: "http://localhost.example.com" }],
    ["of another port of this host", { origin: "http://localhost:81" }],
    ["over another scheme", { origin: "https://localhost" }],
    ["for another relying party", { rpId: "example.com" }],
    ["that was a registration", { type: "webauthn.create" }],
    ["to another challenge", { challenge: "AAAA" }],
    ["of a person who was not verified", { flags: 0x01 }],
    ["of nobody who was there", { flags: 0x04 }],
    ["with a counter that went back", { counter: 1 }],
    ["without its signature", { signature: new Uint8Array(70) }],
    [
      "that is said to be of a member there is not",
      { userHandle: Buffer.from("ten_x.mem_x").toString("base64url") },
    ],
  ])("answer %s is refused", async (_, odd) => {
    const { authenticator } = await enrolled();
    expect((await signIn(authenticator)).status).toBe(200);
    expect(told(await signIn(authenticator, odd))).toEqual(REFUSED);
  });

  test("attack 85: is not answered for by a page of ours that another frames", async () => {
    const { authenticator } = await enrolled();
    expect(told(await signIn(authenticator, { crossOrigin: true }))).toEqual(REFUSED);
  });

  test("attack 85: signs nobody in with an answer that this browser was not asked for", async () => {
    const { authenticator } = await enrolled();
    const attacker = await send("POST", "/auth/passkeys/sign-in/options", { headers: ORIGIN, body: {} });
    const victim = await send("POST", "/auth/passkeys/sign-in/options", { headers: ORIGIN, body: {} });
    const verify = (headers: Record<string, string>, body: object) =>
      send("POST", "/auth/passkeys/sign-in/verify", { headers, body });
    const body = await authenticator.get(attacker.body);
    expect(told(await verify(cookiesOf(victim), body))).toEqual(REFUSED);
    expect(told(await verify(ORIGIN, body))).toEqual(REFUSED);
    const elsewhere = { ...cookiesOf(attacker), origin: "https://evil.example.com" };
    expect(told(await verify(elsewhere, body))).toEqual([403, "CSRF_REFUSED"]);
    expect((await verify(cookiesOf(attacker), body)).status).toBe(200);
  });

  test("answers a challenge once, also when the answer comes twice at the same time", async () => {
    const { authenticator } = await enrolled();
    const asked = await send("POST", "/auth/passkeys/sign-in/options", { headers: ORIGIN, body: {} });
    const body = await authenticator.get(asked.body, { counter: 0 });
    const headers = cookiesOf(asked);
    await db.update(passkeys).set({ counter: 0 }).where(eq(passkeys.credentialId, body.id));
    const answers = await Promise.all(
      [1, 2, 3].map(() => send("POST", "/auth/passkeys/sign-in/verify", { headers, body })),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 401, 401]);
  });

  test("is refused with a challenge that was sealed for something else, or not by us", async () => {
    const { authenticator, code, headers } = await enrolled();
    void code;
    const added = await send("POST", "/auth/passkeys/registration/options", { headers, body: {} });
    const body = await authenticator.get(added.body);
    expect(
      told(await send("POST", "/auth/passkeys/sign-in/verify", { headers: cookiesOf(added), body })),
    ).toEqual(REFUSED);
    const asked = await send("POST", "/auth/passkeys/sign-in/options", { headers: ORIGIN, body: {} });
    const [text = ""] = (cookiesOf(asked)["cookie"] ?? "").split(".");
    const forged = { ...ORIGIN, cookie: `${text}.${"A".repeat(43)}` };
    const good = await authenticator.get(asked.body);
    expect(
      told(await send("POST", "/auth/passkeys/sign-in/verify", { headers: forged, body: good })),
    ).toEqual(REFUSED);
  });

  test("of a removed member, or of one whom an identity provider vouches for by now, is refused", async () => {
    const removed = await enrolled();
    await send("DELETE", `/v1/members/${removed.memberId}`, { headers: admin.headers });
    expect(told(await signIn(removed.authenticator))).toEqual(REFUSED);
    const vouched = await enrolled();
    const identity = { issuer: "https://issuer.example.com", subject: vouched.memberId };
    await db
      .update(members)
      .set(identity)
      .where(eq(members.id, vouched.memberId as never));
    expect(told(await signIn(vouched.authenticator))).toEqual(REFUSED);
  });

  test("of whom an identity provider vouches for makes their session fresh, and no longer, and begins none", async () => {
    const person = await signedIn(tenant.tenantId, "admin", { authenticatedAt: null });
    const target = await invite();
    expect(told(await codeFor(target, person.headers))).toEqual([403, "STEP_UP_REQUIRED"]);
    const { body: made } = await codeFor(person.memberId);
    const authenticator = await Authenticator.make();
    // The code alone makes nobody that person.
    expect(told(await enrol(made.code, await Authenticator.make()))).toEqual(REFUSED);
    const [before] = await db.select().from(sessions).where(eq(sessions.memberId, person.memberId));
    const asked = await send("POST", "/auth/enrolment/options", {
      headers: ORIGIN,
      body: { code: made.code },
    });
    const enrolment = await send("POST", "/auth/enrolment/verify", {
      headers: { ...ORIGIN, cookie: `${cookiesOf(asked)["cookie"]}; ${person.headers.cookie}` },
      body: { code: made.code, name: "a key", credential: await authenticator.create(asked.body) },
    });
    const fresh = cookiesOf(enrolment);
    expect((await codeFor(target, fresh)).status).toBe(201);
    expect((await me(person.headers)).status).toBe(401);

    const again = await send("POST", "/auth/passkeys/sign-in/options", { headers: ORIGIN, body: {} });
    const answer = await send("POST", "/auth/passkeys/sign-in/verify", {
      headers: { ...ORIGIN, cookie: `${cookiesOf(again)["cookie"]}; ${fresh["cookie"]}` },
      body: await authenticator.get(again.body),
    });
    expect(Date.parse(answer.body.expires_at)).toBe(before?.expiresAt);
    // It is the provider's still, and ends when that is deleted.
    expect((await me(cookiesOf(answer))).body.sign_in.method).toBe("oidc");
    expect(told(await signIn(authenticator))).toEqual(REFUSED);
  });
});

describe("one's passkeys", () => {
  async function add(headers: Record<string, string>, authenticator: Authenticator, odd: Odd = {}) {
    const asked = await send("POST", "/auth/passkeys/registration/options", { headers, body: {} });
    if (asked.status !== 200) return asked;
    const cookie = `${headers["cookie"]}; ${cookiesOf(asked)["cookie"]}`;
    const credential = await authenticator.create(asked.body, odd);
    const body = { name: "a laptop", credential };
    return send("POST", "/auth/passkeys/registration/verify", { headers: { ...ORIGIN, cookie }, body });
  }

  test("are listed, and one more signs in", async () => {
    const { headers, memberId } = await enrolled();
    const laptop = await Authenticator.make();
    expect((await add(headers, laptop)).body).toMatchObject({ name: "a laptop", member_id: memberId });
    const { body } = await send("GET", "/v1/passkeys", { headers });
    expect(body.passkeys.map(({ name }: { name: string }) => name)).toEqual(["a phone", "a laptop"]);
    expect((await signIn(laptop)).body.member_id).toBe(memberId);
  });

  test.each<[string, Odd]>([
    ["made for another origin", { origin: "http://evil.example.com" }],
    ["made for another relying party", { rpId: "example.com" }],
    ["made without the person being verified", { flags: 0x01 }],
    ["to another challenge", { challenge: "AAAA" }],
  ])("do not take one %s", async (_, odd) => {
    const { headers } = await enrolled();
    expect(told(await add(headers, await Authenticator.make(), odd))).toEqual([400, "VALIDATION_ERROR"]);
  });

  test("do not take one twice, nor one that somebody has", async () => {
    const one = await enrolled();
    const other = await enrolled();
    expect((await add(other.headers, one.authenticator)).status).toBe(400);
  });

  test("take a fresh sign-in to change", async () => {
    const { headers, memberId } = await enrolled();
    const old = Date.now() - 6 * 60_000;
    await db
      .update(sessions)
      .set({ authenticatedAt: old })
      .where(eq(sessions.memberId, memberId as never));
    expect(told(await add(headers, await Authenticator.make()))).toEqual([403, "STEP_UP_REQUIRED"]);
  });

  test("once removed sign nobody in, and end what else is signed in", async () => {
    const { headers, authenticator } = await enrolled();
    const elsewhere = cookiesOf(await signIn(authenticator));
    const { body } = await send("GET", "/v1/passkeys", { headers });
    const path = `/v1/passkeys/${body.passkeys[0].id}`;
    const stranger = await enrolled("editor");
    expect(told(await send("DELETE", path, { headers: stranger.headers }))).toEqual([404, "NOT_FOUND"]);
    expect((await send("DELETE", path, { headers })).status).toBe(204);
    expect(told(await signIn(authenticator))).toEqual(REFUSED);
    expect((await me(headers)).status).toBe(200);
    expect((await me(elsewhere)).status).toBe(401);
  });

  test("keep the last one of the last admin", async () => {
    const other = await newTenant();
    await db.update(members).set({ script: true }).where(eq(members.tenantId, other.tenantId));
    const invitation = { credential: other.admin, body: { email: "first@example.com", role: "admin" } };
    const { body: first } = await send("POST", "/v1/members", invitation);
    const { body: made } = await send("POST", `/v1/members/${first.id}/enrolment`, {
      credential: other.admin,
      body: {},
    });
    const headers = cookiesOf(await enrol(made.code, await Authenticator.make()));
    const { body } = await send("GET", "/v1/passkeys", { headers });
    const path = `/v1/passkeys/${body.passkeys[0].id}`;
    expect(told(await send("DELETE", path, { headers }))).toEqual([409, "CONFLICT"]);
    expect((await me(headers)).status).toBe(200);
    await add(headers, await Authenticator.make());
    expect((await send("DELETE", path, { headers })).status).toBe(204);
  });
});
