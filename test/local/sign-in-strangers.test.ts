import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Browser, startIssuer, type TestIssuer } from "../support/identity-provider.ts";
import { CLIENT, codeOf, inAnHour, refusalOf, sendJson, SignInStage } from "../support/sign-in-stage.ts";

/* What the admin of one tenant, whose issuer says whatever it likes, can do to the people of another. */

let stage: SignInStage;
let evil: TestIssuer;
beforeAll(async () => {
  [stage, evil] = await Promise.all([SignInStage.start(), startIssuer()]);
});
afterAll(() => Promise.all([stage?.stop(), evil?.stop()]));
beforeEach(() => stage.reset());

const token = (sub: string, over: object = {}) =>
  stage.issuer.sign({ sub, aud: CLIENT, exp: inAnHour(), ...over });

describe("attack 93: an issuer that sends browsers on to another one (mix-up)", () => {
  /** The stranger's issuer collects what comes to its token endpoint, and sends browsers on by `onwards`. */
  function play(onwards: (asked: URL) => URL): string[] {
    const collected: string[] = [];
    evil.intercept = (request, response) => {
      const asked = new URL(request.url ?? "", evil.issuer);
      if (asked.pathname === "/.well-known/openid-configuration") {
        sendJson(response, {
          issuer: evil.issuer,
          authorization_endpoint: `${evil.issuer}/authorize`,
          token_endpoint: `${evil.issuer}/token`,
          jwks_uri: `${evil.issuer}/jwks`,
        });
      } else if (asked.pathname === "/authorize") {
        response.writeHead(302, { location: onwards(asked).href }).end();
      } else {
        collected.push(asked.pathname);
        sendJson(response, {});
      }
      return true;
    };
    return collected;
  }

  test("attack 93: never gets the other one's code", async () => {
    const { login } = await stage.signedInAs("admin");
    const other = await stage.anotherTenant();
    const trap = await other.admin.must("POST", "/v1/identity-providers", {
      ...{ kind: "oidc", name: "Trap", issuer: evil.issuer, client_id: CLIENT },
    });
    // Begun by the stranger, at the victim's tenant: its code would be good in the stranger's own browser.
    const begun = await new Browser().send(stage.signInUrl);
    const own = new URL(begun.headers.get("location") ?? "");
    const collected = play((asked) => {
      const url = new URL(own);
      url.searchParams.set("state", asked.searchParams.get("state") ?? "");
      return url;
    });
    const victim = new Browser();
    const back = new URL(await stage.toCallback(victim, login, trap.sign_in_url));
    expect(back.searchParams.get("code")).not.toBeNull();
    // Most issuers do not say on the way back who they are (RFC 9207).
    back.searchParams.delete("iss");
    expect(refusalOf(await victim.send(back.href))).toEqual([403, "CSRF_REFUSED"]);
    expect(collected).toEqual([]);
  });

  test("attack 93: cannot have it sent to its own redirect URI, which the client does not have", async () => {
    const other = await stage.anotherTenant();
    const trap = await other.admin.must("POST", "/v1/identity-providers", {
      ...{ kind: "oidc", name: "Trap", issuer: evil.issuer, client_id: CLIENT },
    });
    expect(trap.redirect_uri).toContain(trap.id);
    const collected = play((asked) => new URL(`${stage.issuer.issuer}/auth${asked.search}`));
    const page = await new Browser().follow(trap.sign_in_url, `${stage.gateway.url}/auth/callback`);
    expect([page.status, page.next]).toEqual([400, null]);
    expect(page.text).toContain("redirect_uri");
    expect(collected).toEqual([]);
  });
});

describe("attack 94: a stranger's page that has somebody sign in to the stranger's tenant (login CSRF)", () => {
  test.each(["cross-site", "same-site"])(
    "attack 94: from a %s page the person is asked first",
    async (site) => {
      const browser = new Browser();
      const headers = { "sec-fetch-site": site, "sec-fetch-mode": "navigate" };
      const url = `${stage.signInUrl}&return_to=/secrets%3Fa=1%23'b'`;
      const page = await browser.send(url, { headers });
      expect(page.status).toBe(200);
      expect(page.headers.get("location")).toBeNull();
      expect([...browser.jar(stage.gateway.url).keys()]).toEqual([]);
      expect(stage.issuer.asked).toEqual([]);
      expect(page.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      expect(page.text).toContain(new URL(stage.issuer.issuer).host);
      expect(page.text).not.toMatch(/'b'|<script/);
      // Its link is the same sign-in, which a page of our own begins.
      const [, href = ""] = /href="(\/auth\/sign-in[^"]*)"/.exec(page.text) ?? [];
      const next = new URL(
        href.replaceAll(/&#([0-9]+);/g, (_, code) => String.fromCodePoint(Number(code))),
        stage.gateway.url,
      ).href;
      expect(next).toBe(new URL(url).href);
      const begun = await browser.send(next, { headers: { "sec-fetch-site": "same-origin" } });
      expect(begun.status).toBe(302);
      expect(begun.headers.get("location")).toContain(stage.issuer.issuer);
    },
  );

  test("attack 94: a link that somebody typed or kept is followed at once", async () => {
    const page = await new Browser().send(stage.signInUrl, { headers: { "sec-fetch-site": "none" } });
    expect(page.status).toBe(302);
  });

  test("attack 94: what there is not is told apart before anything is asked", async () => {
    const headers = { "sec-fetch-site": "cross-site" };
    const page = await new Browser().send(`${stage.gateway.url}/auth/sign-in?tenant=ten_0000000000000000`, {
      headers,
    });
    expect(refusalOf(page)).toEqual([404, "NOT_FOUND"]);
  });
});

describe("attack 95: a tenant that has another one's issuer and audience", () => {
  const me = async (bearer: string) => stage.tenant.as(bearer).call("GET", "/v1/me");

  test("attack 95: draws nobody to it, and shuts nobody out, by inviting them", async () => {
    const { login, memberId } = await stage.signedInAs("editor");
    const other = await stage.anotherTenant();
    await other.admin.must("POST", "/v1/members", {
      ...{ issuer: stage.issuer.issuer, subject: login, role: "admin", name: "drawn in" },
    });
    expect((await me(await token(login))).body).toMatchObject({
      id: memberId,
      tenant_id: stage.tenant.tenantId,
    });
  });

  test("attack 95: does not get who is only invited elsewhere, unless they name it", async () => {
    const { login, memberId } = await stage.invited("editor");
    const other = await stage.anotherTenant();
    const drawn = await other.admin.must("POST", "/v1/members", {
      ...{ issuer: stage.issuer.issuer, subject: login, role: "admin", name: "drawn in" },
    });
    const { email } = stage.issuer.people.get(login) ?? {};
    const bearer = await token(login, { email, email_verified: true });
    const unsaid = await me(bearer);
    expect(codeOf(unsaid)).toEqual([401, "UNAUTHORIZED"]);
    expect(unsaid.body.why).toContain("X-Valetkey-Tenant");
    expect((await other.admin.must("GET", `/v1/members/${drawn.id}`)).status).toBe("invited");
    const headers = { "x-valetkey-tenant": stage.tenant.tenantId };
    const said = await stage.tenant.as(bearer).call("GET", "/v1/me", { headers });
    expect(said.body).toMatchObject({ id: memberId });
    expect((await me(bearer)).body).toMatchObject({ id: memberId });
  });
});

test("attack 85: it does not lead to a path that only a browser would see through", async () => {
  for (const returnTo of [
    "/./proxy/up",
    "/x/../auth/sign-in",
    "/%70roxy/up",
    "/a/%2e%2e/proxy/up",
    "/.//evil.example.com",
  ]) {
    const page = await new Browser().send(`${stage.signInUrl}&return_to=${encodeURIComponent(returnTo)}`);
    expect(refusalOf(page), returnTo).toEqual([400, "VALIDATION_ERROR"]);
  }
  const page = await new Browser().send(
    `${stage.signInUrl}&return_to=${encodeURIComponent("/a/b%20c?d=%2F&e#f")}`,
  );
  expect(page.status).toBe(302);
});
