import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Browser } from "../support/identity-provider.ts";
import { CLIENT, codeOf, inAnHour, sendJson, SignInStage } from "../support/sign-in-stage.ts";

let stage: SignInStage;
beforeAll(async () => {
  stage = await SignInStage.start();
});
afterAll(() => stage?.stop());
beforeEach(() => stage.reset());

describe("an ID token as a bearer", () => {
  const token = (sub: string, over: object = {}) =>
    stage.issuer.sign({ sub, aud: CLIENT, exp: inAnHour(), ...over });
  const me = async (bearer: string) => stage.tenant.as(bearer).call("GET", "/v1/me");

  test("is its member, without a session, until the member is removed", async () => {
    // The last admin who is a person stays, or of two who came today the first.
    await stage.signedInAs("admin");
    const { login, memberId } = await stage.signedInAs("admin");
    const sub = login;
    const answer = await me(await token(sub, { auth_time: Math.floor(Date.now() / 1_000) - 10 }));
    expect(answer.body).toMatchObject({ id: memberId, sign_in: { method: "id_token", session_id: null } });
    const body = { script: true, role: "viewer", name: "by bearer" };
    const fresh = stage.tenant.as(await token(sub, { auth_time: Math.floor(Date.now() / 1_000) - 10 }));
    expect((await fresh.call("POST", "/v1/members", { body })).status).toBe(201);
    for (const over of [
      {},
      { auth_time: Math.floor(Date.now() / 1_000) - 310 },
      { auth_time: String(Date.now()) },
    ]) {
      const stale = stage.tenant.as(await token(sub, over));
      expect(codeOf(await stale.call("POST", "/v1/members", { body }))).toEqual([403, "STEP_UP_REQUIRED"]);
    }
    await stage.tenant.admin.must("DELETE", `/v1/members/${memberId}`);
    expect((await me(await token(sub))).status).toBe(401);
  });

  test("attack 54: of another audience, issuer or time, or of a stranger, is the 401 of all others", async () => {
    const { login } = await stage.signedInAs("admin");
    const sub = login;
    const bodies = new Set<string>();
    for (const [claimed, over] of [
      [sub, { aud: "another" }],
      [sub, { aud: [CLIENT, "another"] }],
      [sub, { iss: `${stage.issuer.issuer}/` }],
      [sub, { exp: inAnHour() - 7_200 }],
      [sub, { exp: String(inAnHour()) }],
      [sub, { nbf: inAnHour() }],
      [sub, { azp: "another" }],
      ["a stranger", {}],
    ] as const) {
      const answer = await me(await token(claimed, over));
      expect(codeOf(answer), JSON.stringify(over)).toEqual([401, "UNAUTHORIZED"]);
      bodies.add(JSON.stringify(answer.body).replaceAll(/req_[0-9a-f]+/g, "req"));
    }
    const [head, payload, signature = ""] = (await token(sub)).split(".");
    for (const forged of [
      `${head}.${payload}.${signature.slice(0, -4)}AAAA`,
      `${head}.${payload}.`,
      "a.b.c",
    ]) {
      const answer = await me(forged);
      expect(codeOf(answer)).toEqual([401, "UNAUTHORIZED"]);
      bodies.add(JSON.stringify(answer.body).replaceAll(/req_[0-9a-f]+/g, "req"));
    }
    expect(bodies.size).toBe(1);
    expect((await me(await token(sub))).status).toBe(200);
  });

  test("binds an invitation as signing in does", async () => {
    const { login, memberId } = await stage.invited("viewer");
    const { email } = stage.issuer.people.get(login) ?? {};
    expect((await me(await token(login, { email, email_verified: false }))).status).toBe(401);
    expect((await me(await token(login, { email, email_verified: true }))).body.id).toBe(memberId);
    expect((await me(await token("another", { email, email_verified: true }))).status).toBe(401);
    expect((await me(await token(login))).body.id).toBe(memberId);
  });

  test("a member of two tenants says which, and is in each who they are there", async () => {
    const { login, memberId } = await stage.signedInAs("admin");
    const other = await stage.anotherTenant();
    const { email } = stage.issuer.people.get(login) ?? {};
    const second = await other.admin.must("POST", "/v1/members", { email, role: "viewer" });
    // A stranger to the other tenant is not asked which: there is one to be had.
    expect((await me(await token(login))).body).toMatchObject({
      id: memberId,
      tenant_id: stage.tenant.tenantId,
    });
    const browser = new Browser();
    expect((await stage.signIn(browser, login, other.signInUrl)).status).toBe(302);
    const there = await stage.api(browser, "GET", "/v1/me");
    expect(there.body).toMatchObject({ id: second.id, role: "viewer", tenant_id: other.tenantId });

    const asking = stage.tenant.as(await token(login));
    const unsaid = await asking.call("GET", "/v1/me");
    expect(codeOf(unsaid)).toEqual([401, "UNAUTHORIZED"]);
    expect(unsaid.body.why).toContain("X-Valetkey-Tenant");
    const said = async (tenantId: string) =>
      asking.call("GET", "/v1/me", { headers: { "x-valetkey-tenant": tenantId } });
    expect((await said(stage.tenant.tenantId)).body).toMatchObject({ id: memberId, role: "admin" });
    expect((await said(other.tenantId)).body).toMatchObject({ id: second.id, role: "viewer" });
    for (const tenantId of ["ten_0000000000000000", "ten_eu_0000000000000000", "another"]) {
      expect((await said(tenantId)).status, tenantId).toBe(401);
    }
    // Removed from one, they go on in the other.
    await other.admin.must("DELETE", `/v1/members/${second.id}`);
    expect((await said(other.tenantId)).status).toBe(401);
    expect((await stage.api(browser, "GET", "/v1/me")).status).toBe(401);
    expect((await me(await token(login))).body.id).toBe(memberId);
  });

  test("attack 97: Cloudflare Access's token is its own header, and a browser's: a change needs our origin", async () => {
    const audience = "a".repeat(64);
    const provider = await stage.tenant.admin.must("POST", "/v1/identity-providers", {
      ...{ kind: "cloudflare_access", name: "Access", issuer: stage.issuer.issuer, audience },
    });
    const subject = randomUUID();
    const member = await stage.tenant.admin.must("POST", "/v1/members", {
      ...{ issuer: stage.issuer.issuer, subject, role: "editor", name: "behind Access" },
    });
    stage.issuer.intercept = async (request, response) => {
      if (request.url !== "/cdn-cgi/access/certs") return false;
      const set = await fetch(`${stage.issuer.issuer}/jwks`);
      sendJson(response, (await set.json()) as object);
      return true;
    };
    const assertion = await stage.issuer.sign({
      sub: subject,
      aud: [audience],
      exp: inAnHour(),
      type: "app",
    });
    const call = async (method: string, headers: Record<string, string>, body?: object) => {
      const response = await fetch(`${stage.gateway.url}/v1/${body === undefined ? "me" : "agents"}`, {
        ...{ method, headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return {
        status: response.status,
        body: (await response.json()) as { error?: { code: string }; id?: string },
      };
    };
    const header = { "cf-access-jwt-assertion": assertion };
    expect((await call("GET", header)).body).toMatchObject({
      id: member.id,
      sign_in: { authenticated_at: null },
    });
    expect((await call("GET", { authorization: `Bearer ${assertion}` })).status).toBe(401);
    const editor = await call("POST", { ...header, origin: stage.gateway.url }, { name: "x" });
    expect(editor.body.error?.code).toBe("ROLE_DENIED");
    expect((await call("POST", header, { name: "x" })).body.error?.code).toBe("CSRF_REFUSED");
    // Repeated with another assertion, which the deployment's own keys could not have made.
    const write = (own: string) =>
      fetch(`${stage.gateway.url}/v1/secrets/access/kept/KEY`, {
        method: "PUT",
        headers: {
          ...{ "cf-access-jwt-assertion": own, origin: stage.gateway.url, "idempotency-key": "once" },
        },
        body: JSON.stringify({ value: "a-long-enough-value" }),
      }).then(async (answer) => [
        answer.status,
        ((await answer.json()) as { error?: { code: string } }).error?.code,
      ]);
    expect((await write(assertion))[0]).toBe(201);
    expect((await write(assertion))[0]).toBe(201);
    const later = await stage.issuer.sign({
      sub: subject,
      aud: [audience],
      exp: inAnHour() + 1,
      type: "app",
    });
    expect(await write(later), "attack 97").toEqual([409, "IDEMPOTENCY_UNKNOWN"]);
    for (const over of [{ type: "org" }, { sub: "" }, { aud: ["b".repeat(64)] }]) {
      const claims = { sub: subject, aud: [audience], exp: inAnHour(), type: "app", ...over };
      expect((await call("GET", { "cf-access-jwt-assertion": await stage.issuer.sign(claims) })).status).toBe(
        401,
      );
    }
    await stage.tenant.admin.must("DELETE", `/v1/identity-providers/${provider.id}`);
    expect((await call("GET", header)).status).toBe(401);
  });
});
