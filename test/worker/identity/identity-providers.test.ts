import { eq } from "drizzle-orm";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { MemberCaller } from "../../../src/identity/caller.ts";
import { identityProviders, sessions } from "../../../src/identity/tables.ts";
import { bindings, countRows, db, newTenant, outboxEmpty, send } from "../api/door.ts";
import { type SignedIn, signedIn } from "../support/signed-in.ts";

const ISSUER = "https://accounts.example.org";
const SECRET = "a-client-secret-that-stays-here";
const GOOD = { kind: "oidc", name: "Work", issuer: ISSUER, client_id: "client" };

let tenant: Awaited<ReturnType<typeof newTenant>>;
let admin: SignedIn;
beforeAll(async () => {
  tenant = await newTenant();
});
beforeEach(async () => {
  await db.delete(identityProviders).where(eq(identityProviders.tenantId, tenant.tenantId));
  admin = await signedIn(tenant.tenantId, "admin");
});

const as = (person: SignedIn, method: string, path: string, body?: unknown) =>
  send(method, path, { headers: person.headers, ...(body === undefined ? {} : { body }) });
const create = (over: object) => as(admin, "POST", "/v1/identity-providers", { ...GOOD, ...over });

describe("an identity provider", () => {
  test("is made, listed, changed and deleted, and its secret is never shown or stored readable", async () => {
    const made = await create({ client_secret: SECRET });
    expect(made.status).toBe(201);
    const { id } = made.body;
    expect(made.body).toMatchObject({
      ...{ kind: "oidc", issuer: ISSUER, client_id: "client", audience: "client", confidential: true },
      ...{ allowed_email_domains: [], trust_email: false },
      redirect_uri: `http://localhost/auth/callback/${id}`,
      sign_in_url: `http://localhost/auth/sign-in?tenant=${tenant.tenantId}&provider=${id}`,
    });
    const [row] = await db.select().from(identityProviders).where(eq(identityProviders.id, id));
    for (const shown of [made.body, row]) expect(JSON.stringify(shown)).not.toContain(SECRET);
    const patch = { client_secret: null, allowed_email_domains: ["example.com"], name: "Renamed" };
    const changed = await as(admin, "PATCH", `/v1/identity-providers/${id}`, patch);
    expect(changed.body).toMatchObject({
      confidential: false,
      ...{ name: "Renamed", allowed_email_domains: ["example.com"] },
    });
    const listed = await as(admin, "GET", "/v1/identity-providers");
    expect(listed.body.identity_providers).toEqual([changed.body]);
    expect((await as(admin, "GET", `/v1/identity-providers/${id}`)).body).toEqual(changed.body);
    expect((await as(admin, "DELETE", `/v1/identity-providers/${id}`)).status).toBe(204);
    expect((await as(admin, "GET", `/v1/identity-providers/${id}`)).status).toBe(404);
    await outboxEmpty();
    const trail = await send("GET", "/v1/audit?resource_type=identity_provider", {
      credential: tenant.auditor,
    });
    expect(trail.body.events.map((event: { event_type: string }) => event.event_type)).toEqual(
      expect.arrayContaining(["created", "updated", "deleted"].map((done) => `identity_provider.${done}`)),
    );
    expect(JSON.stringify(trail.body)).not.toContain(SECRET);
  });

  test.each([
    ["no client and no audience", { client_id: undefined }],
    ["a secret without a client", { client_id: undefined, audience: "a", client_secret: "s" }],
    ["an issuer with a query", { issuer: `${ISSUER}?a=b` }],
    ["an issuer with a user", { issuer: "https://user@accounts.example.org" }],
    ["an issuer in capitals", { issuer: "https://ACCOUNTS.example.org" }],
    ["an issuer that is no URL", { issuer: "accounts.example.org" }],
    ["another scheme", { issuer: "ftp://accounts.example.org" }],
    ["a kind that there is not", { kind: "saml" }],
    ["trust in addresses that say themselves whether they are verified", { trust_email: true }],
    ["a domain with a star", { allowed_email_domains: ["*.example.com"] }],
    ["Access without an audience", { kind: "cloudflare_access", client_id: undefined }],
    ["Access with a client", { kind: "cloudflare_access", audience: "a" }],
  ])("with %s is a 400 and writes nothing", async (_, over) => {
    await outboxEmpty();
    const before = await countRows();
    const answer = await create(over);
    expect([answer.status, answer.body.error?.code]).toEqual([400, "VALIDATION_ERROR"]);
    expect(await countRows()).toEqual(before);
  });

  test("attack 73: of another tenant is not there", async () => {
    const { id } = (await create({})).body;
    const stranger = await signedIn((await newTenant()).tenantId, "admin");
    const path = `/v1/identity-providers/${id}`;
    expect((await as(stranger, "GET", path)).status).toBe(404);
    expect((await as(stranger, "PATCH", path, { name: "mine" })).status).toBe(404);
    expect((await as(stranger, "DELETE", path)).status).toBe(404);
    expect((await as(stranger, "GET", "/v1/identity-providers")).body.identity_providers).toEqual([]);
    expect((await as(admin, "GET", path)).status).toBe(200);
  });

  test("ends the sessions that began by it when it is deleted, and no others", async () => {
    const { id } = (await create({ issuer: "https://issuer.example.com" })).body;
    const byIt = await signedIn(tenant.tenantId, "viewer");
    const byPasskey = await signedIn(tenant.tenantId, "viewer", { method: "passkey" });
    const elsewhere = await signedIn((await newTenant()).tenantId, "viewer");
    expect((await as(admin, "DELETE", `/v1/identity-providers/${id}`)).status).toBe(204);
    expect((await as(byIt, "GET", "/v1/me")).status).toBe(401);
    expect((await as(byPasskey, "GET", "/v1/me")).status).toBe(200);
    expect((await as(elsewhere, "GET", "/v1/me")).status).toBe(200);
    expect(await db.select().from(sessions).where(eq(sessions.memberId, byIt.memberId))).toEqual([]);
  });

  test("is one of ten at most", async () => {
    for (let made = 0; made < 10; made++) expect((await create({ client_id: `c${made}` })).status).toBe(201);
    expect((await create({ client_id: "c10" })).status).toBe(409);
  });
});

test("outside development an issuer is a public name over https", async () => {
  const { createServices } = await import("../../../src/services.ts");
  const { PRIVATE_UPSTREAMS: _, ...production } = { ...bindings, ENVIRONMENT: "production" };
  const services = createServices(production, "valetkey.example.com", () => undefined);
  expect(services.origin).toBe("https://valetkey.example.com");
  expect(services.sessions.cookie.write("v", 1)).toBe(
    "__Host-valetkey-session=v; Max-Age=1; Path=/; HttpOnly; SameSite=Strict; Secure",
  );
  const me = (await as(admin, "GET", "/v1/me")).body;
  const caller: MemberCaller = {
    ...{
      kind: "member" as const,
      role: "admin" as const,
      script: false,
      name: "a",
      tenantId: tenant.tenantId,
      memberId: me.id,
    },
    ...{ actor: `member:${me.id}`, request: { requestId: "req_test", ip: null, userAgent: null } },
  };
  for (const issuer of [
    "http://accounts.example.org",
    "https://127.0.0.1",
    "https://localhost",
    "https://metadata.google.internal",
    "https://valetkey.example.com",
  ]) {
    const made = services.identityProviders.create(caller, {
      ...{ kind: "oidc", name: "n", issuer, client_id: "c", allowed_email_domains: [] },
    });
    await expect(made, issuer).rejects.toMatchObject({ code: "DESTINATION_DENIED" });
  }
});
