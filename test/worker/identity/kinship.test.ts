import { eq } from "drizzle-orm";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type IdentityProviderId, type MemberId, newId } from "../../../src/base/ids.ts";
import { derived, newSeed, sealTransaction } from "../../../src/identity/sign-in-transaction.ts";
import { enrolments, identityProviders, members } from "../../../src/identity/tables.ts";
import { countRows, db, newTenant, outboxEmpty, pepper, send } from "../api/door.ts";
import { type SignedIn, signedIn } from "../support/signed-in.ts";

/* Who may be whom: a second person is not one that the first made up, and a script makes no person of itself. */

const ISSUER = "https://issuer.example.com";
const CRITICAL = "production/root/KEY";
const DAY_MS = 24 * 3_600_000;
const LONG_AGO = Date.now() - 30 * DAY_MS;

let tenant: Awaited<ReturnType<typeof newTenant>>;
let admin: SignedIn;
beforeAll(async () => {
  tenant = await newTenant();
  const body = { value: "a critical value", access_tier: "critical" };
  await send("PUT", `/v1/secrets/${CRITICAL}`, { credential: tenant.admin, body });
});
beforeEach(async () => {
  admin = await settled("admin");
});

type Answer = Awaited<ReturnType<typeof send>>;
const told = ({ status, body }: Answer) => [status, body.error?.code];
const DENIED = [403, "ROLE_DENIED"];

const set = (id: MemberId, columns: Partial<typeof members.$inferInsert>) =>
  db.update(members).set(columns).where(eq(members.id, id));

/** Somebody who has been here for long. */
async function settled(role: "admin" | "editor"): Promise<SignedIn> {
  const person = await signedIn(tenant.tenantId, role);
  await set(person.memberId, { joinedAt: LONG_AGO });
  return person;
}

/** Somebody whom another invited, and who joined just now by an identity provider. */
async function invitedBy(by: MemberId, over: Partial<typeof members.$inferInsert> = {}): Promise<SignedIn> {
  const person = await signedIn(tenant.tenantId, "admin");
  await set(person.memberId, { invitedBy: by, invitedAt: Date.now(), ...over });
  return person;
}

/** That somebody used a code that another made, just now. */
const enrolled = (memberId: MemberId, createdBy: MemberId) =>
  db.insert(enrolments).values({
    ...{ id: newId("enrolment"), tenantId: tenant.tenantId, memberId, createdBy },
    ...{ digest: crypto.randomUUID(), createdAt: Date.now(), expiresAt: Date.now(), spentAt: Date.now() },
  });

async function addProvider(headers: Record<string, string>, issuer: string): Promise<IdentityProviderId> {
  const body = { kind: "oidc", name: "own", issuer, client_id: "c" };
  const made = await send("POST", "/v1/identity-providers", { headers, body });
  expect(made.status).toBe(201);
  return made.body.id;
}

const ask = (who: SignedIn, path = CRITICAL) =>
  send("POST", "/v1/reveal-grants", {
    headers: who.headers,
    body: { path, reason: "an outage of the provider", ttl: "15m" },
  });
const approve = (who: SignedIn, id: string) =>
  send("POST", `/v1/reveal-grants/${id}/approve`, { headers: who.headers, body: {} });

async function approvedBy(who: SignedIn, asker: SignedIn): Promise<unknown> {
  const asked = await ask(asker);
  expect(asked.body.status).toBe("pending");
  return told(await approve(who, asked.body.id));
}

describe("attack 74: a second person", () => {
  test("attack 74: is not one whom the asker made up through another, in whichever direction", async () => {
    const [puppet, second] = await Promise.all([settled("admin"), settled("admin")]);
    await enrolled(puppet.memberId, admin.memberId);
    await enrolled(second.memberId, puppet.memberId);
    expect(await approvedBy(second, admin)).toEqual(DENIED);
    expect(await approvedBy(admin, second)).toEqual(DENIED);
    expect(await approvedBy(await settled("admin"), admin)).toEqual([200, undefined]);
  });

  test("attack 74: is not one whom the asker invited within the last day, and is a day later", async () => {
    const puppet = await invitedBy(admin.memberId);
    expect(await approvedBy(puppet, admin)).toEqual(DENIED);
    await set(puppet.memberId, { joinedAt: Date.now() - DAY_MS - 1_000 });
    expect(await approvedBy(puppet, admin)).toEqual([200, undefined]);
  });

  test("attack 74: is not one whom an identity provider vouches for that the asker added just now", async () => {
    const person = await invitedBy((await settled("admin")).memberId);
    expect(await approvedBy(person, admin)).toEqual([200, undefined]);
    const id = await addProvider(admin.headers, ISSUER);
    expect(await approvedBy(person, admin)).toEqual(DENIED);
    await db.update(identityProviders).set({ createdAt: LONG_AGO }).where(eq(identityProviders.id, id));
    expect(await approvedBy(person, admin)).toEqual([200, undefined]);
  });

  test("attack 74: is not one whose role the asker raised within the last day, also to lower it again a little", async () => {
    const person = await settledViewer();
    await patchRole(admin, person, "admin");
    expect(await approvedBy(person, admin)).toEqual(DENIED);
    const other = await settled("admin");
    await patchRole(other, person, "editor");
    await patchRole(other, person, "admin");
    await set(person.memberId, { raisedBy: other.memberId, raisedAt: Date.now() - DAY_MS - 1_000 });
    expect(await approvedBy(person, admin)).toEqual([200, undefined]);
  });

  test("attack 74: is not one whose role the asker raised, whoever raises it once more", async () => {
    const [puppet, second] = await Promise.all([settledViewer(), settledViewer()]);
    await patchRole(admin, puppet, "admin");
    await patchRole(puppet, second, "admin");
    await patchRole(second, puppet, "viewer");
    await patchRole(second, puppet, "admin");
    expect(await approvedBy(puppet, admin)).toEqual(DENIED);
    expect(await approvedBy(await settled("admin"), puppet)).toEqual([200, undefined]);
  });

  test("two whom the same script invited, before anybody was here, are two", async () => {
    const script = await scriptId();
    const [one, two] = await Promise.all([
      invitedBy(script, { invitedAt: LONG_AGO - 1 }),
      invitedBy(script, { invitedAt: LONG_AGO - 1 }),
    ]);
    expect(await approvedBy(two, one)).toEqual([200, undefined]);
  });
});

/** Somebody who has been here for long, and may neither approve nor ask for plaintext. */
async function settledViewer(): Promise<SignedIn> {
  const person = await signedIn(tenant.tenantId, "viewer");
  await set(person.memberId, { joinedAt: LONG_AGO });
  return person;
}

async function patchRole(by: SignedIn | null, who: SignedIn, role: string): Promise<void> {
  const as = by === null ? { credential: tenant.admin } : { headers: by.headers };
  expect((await send("PATCH", `/v1/members/${who.memberId}`, { ...as, body: { role } })).status).toBe(200);
}

async function scriptId(): Promise<MemberId> {
  return (await send("GET", "/v1/me", { credential: tenant.admin })).body.id;
}

describe("attack 96: a credential for scripts", () => {
  test("attack 96: lets nobody in who approves or reads plaintext within a day", async () => {
    const person = await invitedBy(await scriptId());
    expect(told(await ask(person))).toEqual(DENIED);
    expect(await approvedBy(person, admin)).toEqual(DENIED);
    const reveal = await send("POST", `/v1/secrets/${CRITICAL}/reveal`, {
      headers: person.headers,
      body: {},
    });
    expect(told(reveal)).toEqual(DENIED);
    expect((await send("GET", "/v1/members", { headers: person.headers })).status).toBe(200);
    await set(person.memberId, { joinedAt: Date.now() - DAY_MS - 1_000 });
    expect((await ask(person)).status).toBe(201);
  });

  test("attack 96: nor raises the role of somebody who was here, to read or approve by them", async () => {
    const person = await settledViewer();
    await patchRole(null, person, "admin");
    expect(told(await ask(person))).toEqual(DENIED);
    expect(await approvedBy(person, admin)).toEqual(DENIED);
    // A smaller role again leaves it at that.
    await patchRole(admin, person, "editor");
    expect(await approvedBy(person, admin)).toEqual(DENIED);
    await set(person.memberId, { role: "admin", raisedAt: Date.now() - DAY_MS - 1_000 });
    expect((await ask(person)).status).toBe(201);
  });

  test("attack 96: nor raises it, and has it raised once more by whom that one raised", async () => {
    const [person, second] = await Promise.all([settledViewer(), settledViewer()]);
    await patchRole(null, person, "admin");
    await patchRole(person, second, "admin");
    await patchRole(second, person, "viewer");
    await patchRole(second, person, "admin");
    expect(told(await ask(person))).toEqual(DENIED);
    expect(told(await ask(second))).toEqual(DENIED);
  });

  test("attack 96: nor removes or lowers those who could notice, by itself or by whom it let in", async () => {
    const fresh = await newTenant();
    const { id } = (await send("GET", "/v1/me", { credential: fresh.admin })).body;
    const [first, second, person] = [
      await signedIn(fresh.tenantId, "admin"),
      await signedIn(fresh.tenantId, "admin"),
      await signedIn(fresh.tenantId, "admin"),
    ];
    for (const { memberId } of [first, second]) await set(memberId, { joinedAt: LONG_AGO });
    await set(person.memberId, { invitedBy: id, invitedAt: Date.now() });
    const raised = await signedIn(fresh.tenantId, "viewer");
    await set(raised.memberId, { joinedAt: LONG_AGO - 1 });
    const { memberId } = raised;
    await send("PATCH", `/v1/members/${memberId}`, { credential: fresh.admin, body: { role: "admin" } });
    const remove = (who: SignedIn, as: object, method = "DELETE") =>
      send(method, `/v1/members/${who.memberId}`, {
        ...as,
        ...(method === "PATCH" ? { body: { role: "editor" } } : {}),
      });
    const script = { credential: fresh.admin };
    const both = await Promise.all([remove(first, script), remove(second, script)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([204, 409]);
    const left = both[0]?.status === 409 ? first : second;
    for (const as of [script, { headers: person.headers }]) {
      expect(told(await remove(left, as))).toEqual([409, "CONFLICT"]);
      expect(told(await remove(left, as, "PATCH"))).toEqual([409, "CONFLICT"]);
    }
    expect((await remove(person, script)).status).toBe(204);
    const successor = await signedIn(fresh.tenantId, "admin");
    expect((await remove(left, { headers: left.headers })).status).toBe(204);
    expect((await send("GET", "/v1/members", { headers: successor.headers })).status).toBe(200);
  });

  test("attack 96: nor does away with a policy that stops calls, by a person whom it let in", async () => {
    const person = await invitedBy(await scriptId());
    const made = await send("POST", "/v1/policies", {
      ...{ headers: admin.headers, body: { name: crypto.randomUUID(), effect: "require_approval" } },
    });
    const path = `/v1/policies/${made.body.id}`;
    const { headers } = person;
    expect(told(await send("PATCH", path, { headers, body: { enabled: false } }))).toEqual(DENIED);
    expect(told(await send("DELETE", path, { headers }))).toEqual(DENIED);
    const stricter = await send("PATCH", path, { headers, body: { effect: "deny" } });
    expect(stricter.status).toBe(200);
    expect((await send("DELETE", path, { headers: admin.headers })).status).toBe(204);
  });

  test("attack 96: nor trusts an agent more, to have nobody asked, nor by a person whom it let in", async () => {
    const person = await invitedBy(await scriptId());
    const { body: agent } = await send("POST", "/v1/agents", {
      ...{ credential: tenant.admin, body: { name: "an agent", trust_tier: "untrusted" } },
    });
    const path = `/v1/agents/${agent.id}`;
    for (const as of [{ credential: tenant.admin }, { headers: person.headers }]) {
      for (const trust_tier of ["standard", "trusted"]) {
        expect(told(await send("PATCH", path, { ...as, body: { trust_tier } }))).toEqual(DENIED);
      }
      const made = { ...as, body: { name: "another", trust_tier: "trusted" } };
      expect(told(await send("POST", "/v1/agents", made))).toEqual(DENIED);
      const renamed = { ...as, body: { description: "x", trust_tier: "untrusted" } };
      expect((await send("PATCH", path, renamed)).status).toBe(200);
    }
    const raised = { headers: admin.headers, body: { trust_tier: "trusted" } };
    expect((await send("PATCH", path, raised)).status).toBe(200);
  });

  test("attack 96: nor through whom that one invites or enrols", async () => {
    const first = await invitedBy(await scriptId());
    const second = await invitedBy(first.memberId);
    const third = await settled("admin");
    await enrolled(third.memberId, second.memberId);
    await set(third.memberId, { issuer: null, subject: null });
    expect(told(await ask(second))).toEqual(DENIED);
    const line = await signedIn(tenant.tenantId, "admin");
    await enrolled(line.memberId, first.memberId);
    expect(told(await ask(line))).toEqual(DENIED);
  });

  test("attack 96: nor by an identity provider of its own, whoever invited them", async () => {
    const issuer = `https://${crypto.randomUUID()}.example.com`;
    const person = await invitedBy(admin.memberId);
    expect((await ask(person)).status).toBe(201);
    await addProvider({ authorization: `Bearer ${tenant.admin}` }, ISSUER);
    expect(told(await ask(person))).toEqual(DENIED);
    await db.delete(identityProviders).where(eq(identityProviders.tenantId, tenant.tenantId));
    await addProvider({ authorization: `Bearer ${tenant.admin}` }, issuer);
    expect((await ask(person)).status).toBe(201);
  });

  test("attack 96: cannot be alone again, to let in a first person anew", async () => {
    const fresh = await newTenant();
    const last = await signedIn(fresh.tenantId, "admin");
    for (const [method, body] of [["DELETE"], ["PATCH", { role: "viewer" }]] as const) {
      const answer = await send(method, `/v1/members/${last.memberId}`, { credential: fresh.admin, body });
      expect(told(answer)).toEqual([409, "CONFLICT"]);
    }
    const other = await signedIn(fresh.tenantId, "admin");
    await set(other.memberId, { joinedAt: LONG_AGO });
    const path = `/v1/members/${last.memberId}`;
    expect((await send("DELETE", path, { credential: fresh.admin })).status).toBe(204);
  });

  test("still lets in the first ones: whom it invited before an admin was there", async () => {
    const fresh = await newTenant();
    const body = { value: "a standard value" };
    await send("PUT", "/v1/secrets/a/KEY", { credential: fresh.admin, body });
    const { id } = (await send("GET", "/v1/me", { credential: fresh.admin })).body;
    const people = await Promise.all([signedIn(fresh.tenantId, "admin"), signedIn(fresh.tenantId, "admin")]);
    for (const { memberId } of people) await set(memberId, { invitedBy: id, invitedAt: Date.now() - 60_000 });
    for (const person of people) expect((await ask(person, "a/KEY")).status).toBe(201);
  });
});

test("attack 89: strangers who come back from an issuer with nothing write nothing", async () => {
  const id = await addProvider(admin.headers, ISSUER);
  const transaction = {
    ...{ tenantId: tenant.tenantId, providerId: id, seed: newSeed(), returnTo: "/", fresh: false },
    ...{ replaces: null, expiresAt: Date.now() + 60_000 },
  };
  const cookie = `valetkey-sign-in=${sealTransaction(pepper, transaction)}`;
  const state = derived(pepper, transaction, "state");
  await outboxEmpty();
  const before = await countRows();
  for (const query of [`state=${state}`, `state=${state}&code=junk`, `state=${state}&error=access_denied`]) {
    const answer = await send("GET", `/auth/callback/${id}?${query}`, { headers: { cookie } });
    expect(answer.status, query).toBeGreaterThanOrEqual(400);
  }
  expect(await countRows()).toEqual(before);
});
