import type { Browser, BrowserContext, CDPSession, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CHROMIUM, launchBrowser, NO_BROWSER } from "../support/browser.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createTenant, type TestTenant } from "../support/tenant.ts";

let gateway: Gateway;
let tenant: TestTenant;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let cdp: CDPSession;
let authenticatorId: string;
let origin: string;
let ada: string;

beforeAll(async () => {
  if (CHROMIUM === null) return;
  gateway = await startGateway();
  tenant = await createTenant(gateway);
  origin = gateway.url.replace("127.0.0.1", "localhost");
  browser = await launchBrowser();
  context = await browser.newContext({ viewport: { width: 360, height: 740 } });
  page = await context.newPage();
  cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const made = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      ...{ protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true },
      ...{ isUserVerified: true, automaticPresenceSimulation: true },
    },
  });
  authenticatorId = made.authenticatorId;
  const email = "ada@example.com";
  ada = (await tenant.admin.must("POST", "/v1/members", { email, name: "Ada", role: "admin" })).id;
});
afterAll(async () => {
  await browser?.close();
  await gateway?.stop();
});

const said = (text: string) =>
  page.getByRole("status").filter({ hasText: text }).waitFor({ timeout: 10_000 });
const press = (name: string) => page.getByRole("button", { name, exact: true }).click();

/** For whoever wants to look: PASSKEYS_SCREENSHOTS=/tmp/passkeys- */
async function shoot(name: string): Promise<void> {
  const prefix = process.env["PASSKEYS_SCREENSHOTS"];
  if (prefix !== undefined) await page.screenshot({ path: `${prefix}${name}.png` });
}

/** A call from the page itself, with the browser's cookies and origin. */
function fromPage(method: string, path: string, body?: unknown) {
  return page.evaluate(
    async ([how, where, what]) => {
      const answer = await fetch(String(where), {
        method: String(how),
        ...(what === undefined ? {} : { body: JSON.stringify(what) }),
      });
      const text = await answer.text();
      return { status: answer.status, body: text === "" ? {} : JSON.parse(text) };
    },
    [method, path, body] as const,
  );
}

const verifications: string[] = [];
const faults: string[] = [];
const asked: string[] = [];

describe.skipIf(CHROMIUM === null)(`in Chromium, with an authenticator${NO_BROWSER}`, () => {
  test("the first admin opens the link, registers a device and is signed in", async () => {
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => {
      // That nobody is signed in is asked, and answered with a 401, on purpose.
      if (message.type() === "error" && !message.text().includes("status of 4")) faults.push(message.text());
    });
    page.on("request", (request) => {
      asked.push(request.url());
      if (request.url().endsWith("/sign-in/verify")) verifications.push(request.postData() ?? "");
    });
    const { url } = await tenant.admin.must("POST", `/v1/members/${ada}/enrolment`, {});
    expect(url.startsWith(`${origin}/auth/enrol#vke_`)).toBe(true);
    await page.goto(url);
    await page.getByLabel("Name of this device").fill("Work laptop");
    await shoot("enrol");
    await page.locator("#enrol button").click();
    await said("This device is registered, and you are signed in.");
    expect(new URL(page.url()).pathname + new URL(page.url()).hash).toBe("/auth");
    expect(await page.locator("#person").textContent()).toContain("Ada");
    await page.getByText("Work laptop").waitFor();
    await shoot("person");
    expect((await fromPage("GET", "/v1/me")).body).toMatchObject({ id: ada, role: "admin", script: false });
  });

  test("signs out, and in again, with nothing typed", async () => {
    await press("Sign out");
    await said("You are signed out.");
    expect((await fromPage("GET", "/v1/me")).status).toBe(401);
    await shoot("nobody");
    await press("Sign in with a passkey");
    await said("You are signed in.");
    expect((await fromPage("GET", "/v1/me")).body.id).toBe(ada);
  });

  test("shows a person's own words as text, and the script of an error nowhere", async () => {
    const name = '<img src=x onerror="document.title=1">';
    await page.getByText("Register another passkey").click();
    await cdp.send("WebAuthn.clearCredentials", { authenticatorId });
    await page.getByLabel("Name of the device").fill(name);
    await press("Register");
    await said("The passkey is registered.");
    expect(await page.locator("#passkeys strong").last().textContent()).toBe(name);
    expect(await page.title()).toBe("Sign in · Valetkey");
    expect(await page.locator("#passkeys img").count()).toBe(0);
  });

  test("has a cookie that no script reads", async () => {
    expect(await page.evaluate(() => document.cookie)).toBe("");
    const cookies = await context.cookies();
    expect(cookies.map(({ name, httpOnly, sameSite }) => [name, httpOnly, sameSite])).toEqual([
      ["valetkey-session", true, "Strict"],
    ]);
  });

  test("an answer that was given is not taken again", async () => {
    await press("Sign out");
    await said("You are signed out.");
    await press("Sign in with a passkey");
    await said("You are signed in.");
    const body = verifications.at(-1) ?? "";
    const again = await fetch(`${origin}/auth/passkeys/sign-in/verify`, {
      method: "POST",
      headers: { origin },
      body,
    });
    expect(again.status).toBe(401);
    await again.body?.cancel();
  });

  test("goes on to the page that was asked for, and to none of another's", async () => {
    for (const [returnTo, ends] of [
      ["/v1/health", "/v1/health"],
      ["//evil.example.com/", "/auth"],
      ["https://evil.example.com/", "/auth"],
      ["/\\evil.example.com", "/auth"],
    ] as const) {
      await page.goto(`${origin}/auth`);
      await press("Sign out");
      await said("You are signed out.");
      await page.goto(`${origin}/auth?return_to=${encodeURIComponent(returnTo)}`);
      await press("Sign in with a passkey");
      if (ends === "/auth") await said("You are signed in.");
      else await page.waitForURL(origin + ends);
      expect(new URL(page.url()).origin + new URL(page.url()).pathname).toBe(origin + ends);
    }
  });

  test("no passkey answers at another origin, and none is taken from there", async () => {
    const address = gateway.url;
    const moved = await fetch(`${address}/auth`, { redirect: "manual" });
    expect([moved.status, moved.headers.get("location")]).toEqual([302, `${origin}/auth`]);
    const elsewhere = await fetch(`${origin}/auth/passkeys/sign-in/options`, {
      method: "POST",
      headers: { origin: "http://localhost:1" },
      body: "{}",
    });
    expect((await elsewhere.json()).error.code).toBe("CSRF_REFUSED");
  });

  test("attack 85: no page frames the sign-in page, and nothing inline runs in it", async () => {
    const answer = await fetch(`${origin}/auth`);
    expect(answer.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(answer.headers.get("x-frame-options")).toBe("DENY");
    const html = await answer.text();
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style| on[a-z]+=| style=/);
    const framing = await context.newPage();
    await framing.route("http://localhost:9/", (route) =>
      route.fulfill({ contentType: "text/html", body: `<iframe src="${origin}/auth"></iframe>` }),
    );
    await framing.goto("http://localhost:9/");
    const frame = framing.frames()[1];
    expect(await frame?.locator("main").count()).toBe(0);
    await framing.close();
  });

  test("a passkey that was removed signs nobody in", async () => {
    await page.goto(`${origin}/auth`);
    await page.getByText("Work laptop").waitFor();
    const { body } = await fromPage("GET", "/v1/passkeys");
    const [first, second] = body.passkeys;
    // Both were removed from the authenticator but the second: with the first gone here, too, one is left.
    expect((await fromPage("DELETE", `/v1/passkeys/${first.id}`)).status).toBe(204);
    expect((await fromPage("DELETE", `/v1/passkeys/${second.id}`)).body.error.code).toBe("CONFLICT");
    const { url } = await createColleague();
    const held = await cdp.send("WebAuthn.getCredentials", { authenticatorId });
    await press("Sign out");
    await said("You are signed out.");
    await cdp.send("WebAuthn.clearCredentials", { authenticatorId });
    await page.goto(url);
    await page.getByLabel("Name of this device").fill("Phone");
    await page.locator("#enrol button").click();
    await said("This device is registered, and you are signed in.");
    expect((await fromPage("DELETE", `/v1/passkeys/${second.id}`)).status).toBe(204);
    await press("Sign out");
    await said("You are signed out.");
    await cdp.send("WebAuthn.clearCredentials", { authenticatorId });
    for (const credential of held.credentials) {
      await cdp.send("WebAuthn.addCredential", { authenticatorId, credential });
    }
    await press("Sign in with a passkey");
    await said("This does not sign anybody in.");
    await page.emulateMedia({ colorScheme: "dark" });
    await shoot("refused");
  });

  test("does all that without a fault, and asks nobody else for anything", async () => {
    expect(faults).toEqual([]);
    expect(asked.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith("data:"))).toEqual([]);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll("input")]
        .filter((field) => field.labels?.length !== 1)
        .map(({ id }) => id),
    );
    expect(nameless).toEqual([]);
  });
});

/** Ada has Grace enrolled as a second admin. */
async function createColleague(): Promise<{ url: string }> {
  const body = { email: "grace@example.com", name: "Grace", role: "admin" };
  const grace = await fromPage("POST", "/v1/members", body);
  expect(grace.status).toBe(201);
  return (await fromPage("POST", `/v1/members/${grace.body.id}/enrolment`, {})).body;
}
