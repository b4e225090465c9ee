import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Browser } from "../support/identity-provider.ts";
import {
  CLIENT,
  CLIENT_SECRET,
  codeOf,
  CONFIDENTIAL,
  inAnHour,
  refusalOf,
  sendJson,
  SignInStage,
} from "../support/sign-in-stage.ts";

let stage: SignInStage;
beforeAll(async () => {
  stage = await SignInStage.start();
});
afterAll(() => stage?.stop());
beforeEach(() => stage.reset());

describe("signing in", () => {
  test("an invited person signs in with code and PKCE, and is who was invited", async () => {
    const browser = new Browser();
    const { login, memberId } = await stage.invited("editor");
    const back = await stage.toCallback(
      browser,
      login,
      `${stage.signInUrl}&return_to=/approvals%3Fstatus=pending`,
    );
    const asked = stage.authorization();
    expect(Object.fromEntries(asked)).toMatchObject({
      ...{ response_type: "code", code_challenge_method: "S256", client_id: CLIENT },
      redirect_uri: `${stage.gateway.url}/auth/callback/${stage.providerId}`,
    });
    const landed = await browser.send(back);
    expect([landed.status, landed.headers.get("location")]).toEqual([302, "/approvals?status=pending"]);
    const cookie = landed.headers.getSetCookie().find((line) => line.startsWith("valetkey-session="));
    expect(cookie).toMatch(/^valetkey-session=vks_\w+; Max-Age=604800; Path=\/; HttpOnly; SameSite=Strict$/);
    const me = await stage.api(browser, "GET", "/v1/me");
    expect(me.body).toMatchObject({
      kind: "member",
      id: memberId,
      role: "editor",
      sign_in: { method: "oidc" },
    });
    const member = await stage.tenant.admin.must("GET", `/v1/members/${memberId}`);
    expect(member).toMatchObject({ status: "active", issuer: stage.issuer.issuer, subject: login });
    expect((await stage.api(browser, "POST", "/auth/sign-out", {})).status).toBe(204);
    expect((await stage.api(browser, "GET", "/v1/me")).status).toBe(401);
  });

  test("a confidential client's secret is sealed, and authenticates it", async () => {
    const provider = await stage.registered({ client_id: CONFIDENTIAL, client_secret: CLIENT_SECRET });
    expect(provider).toMatchObject({ confidential: true });
    expect(JSON.stringify(provider)).not.toContain(CLIENT_SECRET);
    const { login } = await stage.invited("viewer");
    const browser = new Browser();
    expect((await stage.signIn(browser, login, provider.sign_in_url)).status).toBe(302);
    await stage.tenant.admin.must("PATCH", `/v1/identity-providers/${provider.id}`, {
      client_secret: "another",
    });
    expect(refusalOf(await stage.signIn(new Browser(), login, provider.sign_in_url))).toEqual([
      401,
      "SIGN_IN_FAILED",
    ]);
    await stage.tenant.admin.must("DELETE", `/v1/identity-providers/${provider.id}`);
    // Another identity provider has the same issuer: its people stay signed in.
    expect((await stage.api(browser, "GET", "/v1/me")).status).toBe(200);
    expect((await browser.send(provider.sign_in_url)).status).toBe(404);
  });

  test("who was not invited, or whose address nobody verified, is told the same and gets nothing", async () => {
    const stranger = `user-${randomUUID()}`;
    stage.issuer.people.set(stranger, { email: `${stranger}@example.com`, email_verified: true });
    const logins = [stranger];
    for (const verified of [false, null, "true", 1])
      logins.push((await stage.invited("admin", verified)).login);
    const bodies = new Set<string>();
    for (const login of logins) {
      const browser = new Browser();
      const page = await stage.signIn(browser, login);
      expect(refusalOf(page), login).toEqual([401, "SIGN_IN_FAILED"]);
      expect([...browser.jar(stage.gateway.url).keys()]).not.toContain("valetkey-session");
      bodies.add(page.text.replaceAll(/req_[0-9a-f]+/g, "req"));
    }
    expect(bodies.size).toBe(1);
  });

  test("an address that changes hands opens nothing", async () => {
    const { login, memberId } = await stage.signedInAs("admin");
    const { email } = stage.issuer.people.get(login) ?? {};
    const heir = `heir-${randomUUID()}`;
    stage.issuer.people.set(heir, { ...(email === undefined ? {} : { email }), email_verified: true });
    expect(refusalOf(await stage.signIn(new Browser(), heir))).toEqual([401, "SIGN_IN_FAILED"]);
    // Whoever was bound stays who they are, whatever their address is now.
    stage.issuer.people.set(login, { email: "new@example.org", email_verified: false });
    const browser = new Browser();
    await stage.signIn(browser, login);
    expect((await stage.api(browser, "GET", "/v1/me")).body.id).toBe(memberId);
  });

  test("a removed member is out at once, and stays out with the same identity", async () => {
    const { browser, login, memberId } = await stage.signedInAs("editor");
    await stage.tenant.admin.must("DELETE", `/v1/members/${memberId}`);
    expect((await stage.api(browser, "GET", "/v1/me")).status).toBe(401);
    expect(refusalOf(await stage.signIn(new Browser(), login))).toEqual([401, "SIGN_IN_FAILED"]);
  });

  test("a session is revoked by its id, and sessions of other browsers go on", async () => {
    const { browser, login } = await stage.signedInAs("viewer");
    const other = new Browser();
    await stage.signIn(other, login);
    const { sessions } = (await stage.api(browser, "GET", "/v1/sessions")).body;
    expect(sessions).toHaveLength(2);
    const elsewhere = sessions.find((session: { current: boolean }) => !session.current);
    expect((await stage.api(browser, "DELETE", `/v1/sessions/${elsewhere.id}`)).status).toBe(204);
    expect((await stage.api(other, "GET", "/v1/me")).status).toBe(401);
    expect((await stage.api(browser, "GET", "/v1/me")).status).toBe(200);
  });

  test("only domains that are allowed come in, by the whole domain", async () => {
    const provider = await stage.registered({
      client_id: CLIENT,
      allowed_email_domains: ["corp.example.com"],
    });
    const { login } = await stage.invited("viewer");
    const corp = `corp-${randomUUID()}`;
    stage.issuer.people.set(corp, { email: `${corp}@corp.example.com`, email_verified: true });
    await stage.tenant.admin.must("POST", "/v1/members", {
      email: `${corp}@corp.example.com`,
      role: "viewer",
    });
    expect(refusalOf(await stage.signIn(new Browser(), login, provider.sign_in_url))).toEqual([
      401,
      "SIGN_IN_FAILED",
    ]);
    expect((await stage.signIn(new Browser(), corp, provider.sign_in_url)).status).toBe(302);
    await stage.tenant.admin.must("DELETE", `/v1/identity-providers/${provider.id}`);
  });
});

describe("attack 85: what comes back to the callback", () => {
  test("attack 85: a change by a session needs our own origin", async () => {
    const { browser } = await stage.signedInAs("admin");
    for (const origin of [undefined, "https://evil.example.com", stage.issuer.issuer, "null"]) {
      const answer = await browser.send(`${stage.gateway.url}/v1/agents`, {
        method: "POST",
        headers: origin === undefined ? {} : { origin },
        body: JSON.stringify({ name: "csrf" }),
      });
      expect(refusalOf(answer)).toEqual([403, "CSRF_REFUSED"]);
    }
    expect((await stage.api(browser, "POST", "/v1/agents", { name: "own" })).status).toBe(201);
  });

  test("attack 85: another browser cannot be signed in with it (login CSRF)", async () => {
    const { login } = await stage.invited("viewer");
    const attacker = new Browser();
    const back = await stage.toCallback(attacker, login);
    const victim = new Browser();
    expect(refusalOf(await victim.send(back))).toEqual([403, "CSRF_REFUSED"]);
    // Nor one that has a sign-in of its own under way.
    await victim.send(stage.signInUrl);
    expect(refusalOf(await victim.send(back))).toEqual([403, "CSRF_REFUSED"]);
    expect([...victim.jar(stage.gateway.url).keys()]).not.toContain("valetkey-session");
    expect(stage.issuer.asked.filter((url) => url === "/token")).toEqual([]);
    expect((await attacker.send(back)).status).toBe(302);
  });

  test.each<[string, (url: URL) => void]>([
    ["another state", (url) => url.searchParams.set("state", "A".repeat(43))],
    ["no state", (url) => url.searchParams.delete("state")],
    [
      "a state that is cut",
      (url) => url.searchParams.set("state", (url.searchParams.get("state") ?? "").slice(1)),
    ],
  ])("attack 85: %s is refused and no code is redeemed", async (_, change) => {
    const { login } = await stage.invited("viewer");
    const browser = new Browser();
    const back = new URL(await stage.toCallback(browser, login));
    change(back);
    expect(refusalOf(await browser.send(back.href))).toEqual([403, "CSRF_REFUSED"]);
    expect(stage.issuer.asked.filter((url) => url === "/token")).toEqual([]);
  });

  test("attack 85: a changed cookie of a sign-in is none", async () => {
    const { login } = await stage.invited("viewer");
    const browser = new Browser();
    const back = await stage.toCallback(browser, login);
    const jar = browser.jar(stage.gateway.url);
    const [payload = "", tag = ""] = (jar.get("valetkey-sign-in") ?? "").split(".");
    const open = JSON.parse(Buffer.from(payload, "base64url").toString());
    const changed = Buffer.from(JSON.stringify({ ...open, returnTo: "//evil.example.com" })).toString(
      "base64url",
    );
    for (const value of [`${changed}.${tag}`, payload, `${payload}.`, `${payload}.${tag}.${tag}`]) {
      jar.set("valetkey-sign-in", value);
      expect(refusalOf(await browser.send(back))).toEqual([403, "CSRF_REFUSED"]);
    }
    jar.set("valetkey-sign-in", `${payload}.${tag}`);
    expect((await browser.send(back)).status).toBe(302);
  });

  test("attack 85: a sign-in serves once, also to the browser that kept its cookie", async () => {
    const { login } = await stage.invited("viewer");
    const browser = new Browser();
    const back = await stage.toCallback(browser, login);
    const kept = browser.jar(stage.gateway.url).get("valetkey-sign-in") ?? "";
    // An issuer that takes a code as often as it comes: nothing rests on its care.
    stage.forge((real) => ({
      ...real,
      sub: login,
      email: `${login}@example.com`,
      email_verified: true,
      exp: inAnHour(),
    }));
    const answers = await Promise.all(Array.from({ length: 5 }, () => browser.send(back)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([302, 403, 403, 403, 403]);
    browser.jar(stage.gateway.url).set("valetkey-sign-in", kept);
    const asked = stage.issuer.asked.length;
    expect(refusalOf(await browser.send(back))).toEqual([403, "CSRF_REFUSED"]);
    expect(stage.issuer.asked).toHaveLength(asked);
  });

  test("attack 85: a code of another sign-in is refused by PKCE", async () => {
    const [mine, theirs] = [await stage.invited("viewer"), await stage.invited("admin")];
    const stolen =
      new URL(await stage.toCallback(new Browser(), theirs.login)).searchParams.get("code") ?? "";
    const browser = new Browser();
    const back = new URL(await stage.toCallback(browser, mine.login));
    back.searchParams.set("code", stolen);
    expect(refusalOf(await browser.send(back.href))).toEqual([401, "SIGN_IN_FAILED"]);
  });

  test("attack 85: the answer of another issuer is refused, as is one that does not say whose it is", async () => {
    const { login } = await stage.invited("viewer");
    for (const change of [
      (url: URL) => url.searchParams.set("iss", "https://evil.example.com"),
      (url: URL) => url.searchParams.delete("iss"),
    ]) {
      const browser = new Browser();
      const back = new URL(await stage.toCallback(browser, login));
      expect(back.searchParams.get("iss")).toBe(stage.issuer.issuer);
      change(back);
      expect(refusalOf(await browser.send(back.href))).toEqual([401, "SIGN_IN_FAILED"]);
    }
    expect(stage.issuer.asked.filter((url) => url === "/token")).toEqual([]);
  });

  test.each([
    "https://evil.example.com",
    "//evil.example.com",
    "/\\evil.example.com",
    "/%0d%0aset-cookie: a=b",
    "javascript:alert(1)",
    "/\t/evil.example.com",
    "/proxy/up/page",
    "/PROXY/up",
    "/auth/sign-in",
    "evil",
    "",
  ])("attack 85: it does not lead to %j afterwards", async (returnTo) => {
    const browser = new Browser();
    const page = await browser.send(`${stage.signInUrl}&return_to=${encodeURIComponent(returnTo)}`);
    if (returnTo.startsWith("/%0d")) {
      // A path of our own, escaped: it stays one.
      expect(page.status).toBe(400);
    } else {
      expect(refusalOf(page)).toEqual([400, "VALIDATION_ERROR"]);
    }
  });

  test("a person who refuses, and an issuer that breaks, sign nobody in and leak nothing", async () => {
    const { login } = await stage.invited("viewer");
    const refused = new Browser();
    const back = new URL(await stage.toCallback(refused, login));
    back.searchParams.delete("code");
    back.searchParams.set("error", "access_denied");
    back.searchParams.set("error_description", "<script>leak</script>");
    const page = await refused.send(back.href);
    expect(refusalOf(page)).toEqual([401, "SIGN_IN_FAILED"]);
    expect(page.text).not.toContain("leak");

    for (const [status, body, code] of [
      [400, { error: "invalid_grant", error_description: "leak" }, [401, "SIGN_IN_FAILED"]],
      [500, { error: "leak" }, [503, "UNAVAILABLE"]],
      [302, {}, [503, "UNAVAILABLE"]],
      [200, { id_token: 1 }, [401, "SIGN_IN_FAILED"]],
      [200, { id_token: "leak" }, [401, "SIGN_IN_FAILED"]],
      [200, { pad: "x".repeat(200_000) }, [503, "UNAVAILABLE"]],
    ] as const) {
      const browser = new Browser();
      const callback = await stage.toCallback(browser, login);
      stage.issuer.intercept = (request, response) => {
        if (request.url !== "/token") return false;
        sendJson(response, body, status);
        return true;
      };
      const answer = await browser.send(callback);
      stage.issuer.intercept = () => false;
      expect(refusalOf(answer), JSON.stringify(body).slice(0, 50)).toEqual(code);
      expect(answer.text).not.toContain("leak");
    }
  });
});

describe("attack 54: ID tokens at the callback", () => {
  const good = (sub: string) => (real: { nonce: string; aud: string }) => ({ ...real, sub, exp: inAnHour() });

  test.each<[string, (real: { nonce: string; aud: string }) => Record<string, unknown>]>([
    ["another nonce", () => ({ nonce: "another" })],
    ["no nonce", () => ({ nonce: undefined })],
    ["another audience", () => ({ aud: "another" })],
    ["several audiences", ({ aud }) => ({ aud: [aud, "another"] })],
    ["another authorized party", () => ({ azp: "another" })],
    ["another issuer", () => ({ iss: "https://evil.example.com" })],
    ["an end that has passed", () => ({ exp: inAnHour() - 7_200 })],
    ["an end that is a string", () => ({ exp: String(inAnHour()) })],
    ["no subject", () => ({ sub: "" })],
  ])("attack 54: with %s sign nobody in", async (_, change) => {
    const { login } = await stage.signedInAs("viewer");
    const sub = login;
    const accepted = new Browser();
    const back = await stage.toCallback(accepted, login);
    stage.forge(good(sub));
    expect((await accepted.send(back)).status).toBe(302);
    const browser = new Browser();
    stage.issuer.intercept = () => false;
    const again = await stage.toCallback(browser, login);
    stage.forge((real) => ({ ...good(sub)(real), ...change(real) }));
    expect(refusalOf(await browser.send(again))).toEqual([401, "SIGN_IN_FAILED"]);
  });
});

describe("step-up", () => {
  const change = (name: string) => ({ script: true, role: "viewer", name });

  test("what changes members takes a sign-in of 5 minutes at most, which signing in anew gives", async () => {
    const { browser, login, memberId } = await stage.signedInAs("admin");
    expect((await stage.api(browser, "POST", "/v1/members", change("first"))).status).toBe(201);

    // The same person, who last showed who they are more than 5 minutes ago.
    const back = await stage.toCallback(browser, login);
    const minutesAgo = (minutes: number) => Math.floor(Date.now() / 1_000) - minutes * 60 - 5;
    stage.forge((real) => ({ ...real, sub: login, exp: inAnHour(), auth_time: minutesAgo(5) }));
    expect((await browser.send(back)).status).toBe(302);
    const refused = await stage.api(browser, "POST", "/v1/members", change("stale"));
    expect(codeOf(refused)).toEqual([403, "STEP_UP_REQUIRED"]);
    expect((await stage.api(browser, "GET", "/v1/members")).status).toBe(200);

    // An issuer that does not ask again does not make it fresh.
    const lazy = await stage.toCallback(browser, login, `${stage.signInUrl}&fresh=1`);
    stage.forge((real) => ({ ...real, sub: login, exp: inAnHour(), auth_time: minutesAgo(6) }));
    expect(refusalOf(await browser.send(lazy))).toEqual([403, "STEP_UP_REQUIRED"]);
    const silent = await stage.toCallback(browser, login, `${stage.signInUrl}&fresh=1`);
    stage.forge((real) => ({ ...real, sub: login, exp: inAnHour() }));
    expect(refusalOf(await browser.send(silent))).toEqual([403, "STEP_UP_REQUIRED"]);

    stage.issuer.intercept = () => false;
    stage.issuer.asked.length = 0;
    // By the link alone: the session says which stage.tenant.
    expect((await stage.signIn(browser, login, `${stage.gateway.url}/auth/sign-in?fresh=1`)).status).toBe(
      302,
    );
    const asked = stage.authorization();
    expect([asked.get("prompt"), asked.get("max_age")]).toEqual(["login", "0"]);
    expect((await stage.api(browser, "POST", "/v1/members", change("fresh"))).status).toBe(201);
    // Each session took the place of the one before.
    const { sessions } = await stage.tenant.admin.must("GET", `/v1/sessions?member_id=${memberId}`);
    expect(sessions).toHaveLength(1);
  });
});

test("a tenant or identity provider that there is not signs nobody in", async () => {
  for (const query of [
    `tenant=ten_0000000000000000&provider=${stage.providerId}`,
    `tenant=ten_eu_0000000000000000`,
    `tenant=${stage.tenant.tenantId}&provider=idp_000000000000000000000000`,
    "",
  ]) {
    const page = await new Browser().send(`${stage.gateway.url}/auth/sign-in?${query}`);
    expect(refusalOf(page), query).toEqual([404, "NOT_FOUND"]);
  }
});
