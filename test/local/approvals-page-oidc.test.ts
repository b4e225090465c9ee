import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { databaseOf } from "../attacks/database.ts";
import { CHROMIUM, launchBrowser, NO_BROWSER } from "../support/browser.ts";
import { CLIENT, SignInStage } from "../support/sign-in-stage.ts";

let stage: SignInStage;
let browser: Browser;
let page: Page;
let login: string;
let id: string;
let link: string;

beforeAll(async () => {
  if (CHROMIUM === null) return;
  stage = await SignInStage.start();
  const { tenant, issuer, gateway, providerId } = stage;
  // `/auth` is at localhost, which is where passkeys work, and so is what it leads to.
  const origin = gateway.url.replace("127.0.0.1", "localhost");
  issuer.redirectUris.get(CLIENT)?.add(`${origin}/auth/callback/${providerId}`);
  ({ login } = await stage.invited("editor"));
  await tenant.putSecret("team/KEY", "value of a sensitive one", { access_tier: "sensitive" });
  const agent = await tenant.agent();
  ({ approval_id: id } = await agent.must("POST", "/v1/tokens", {
    scopes: ["secrets:use:team/*"],
    ttl: "15m",
  }));
  link = `${origin}/approvals/${id}`;
  browser = await launchBrowser();
  page = await browser.newPage();
  page.setDefaultTimeout(10_000);
});
afterAll(async () => {
  await browser?.close();
  await stage?.stop();
});

/** Through the identity provider's own pages. */
async function showWhoIAm(): Promise<void> {
  await page.fill("input[name=login]", login);
  await page.fill("input[name=password]", "x");
  await page.click("button[type=submit]");
  await page.waitForURL((url) => url.href === link || url.pathname.startsWith("/interaction/"));
  if (page.url() !== link) await page.click("button[type=submit]");
  await page.waitForURL(link);
  await page.getByRole("heading", { name: "Your answer" }).waitFor();
}

async function standing(): Promise<{ status: string; approvals: number }> {
  return page.evaluate(async (path) => (await fetch(path)).json(), `/v1/approvals/${id}`);
}

describe.skipIf(CHROMIUM === null)(`answering as somebody of an identity provider's${NO_BROWSER}`, () => {
  test("a link opened signed out leads there and back, and approves nothing", async () => {
    await page.goto(link);
    await page.waitForURL(/\/auth\?return_to=/);
    await page.getByText("Sign in by your organisation").click();
    await page.getByLabel("Tenant").fill(stage.tenant.tenantId);
    await page.getByRole("button", { name: "Go on to its identity provider" }).click();
    await showWhoIAm();
    expect(await standing()).toMatchObject({ status: "pending", approvals: 0 });
  });

  test("with a sign-in that is not fresh it leads there once more; back, it is still the person who approves", async () => {
    const database = databaseOf(stage.gateway.stateDir);
    database.prepare("UPDATE sessions SET authenticated_at = authenticated_at - 360000").run();
    database.close();
    await page.reload();
    await page.getByText("To approve takes a sign-in of the last 5 minutes.").waitFor();
    await page.getByRole("button", { name: "Approve" }).click();
    await page.locator("p.alert").getByRole("link", { name: "Sign in again" }).click();
    await showWhoIAm();
    expect(await standing()).toMatchObject({ status: "pending", approvals: 0 });
    await page.getByRole("button", { name: "Approve" }).click();
    await page.getByRole("status").filter({ hasText: "You have approved this." }).waitFor();
    expect(await standing()).toMatchObject({ status: "approved", approvals: 1 });
  });

  test("who is signed out while the page is open is told so; the next time, their tenant is remembered", async () => {
    await page.evaluate(() => fetch("/auth/sign-out", { method: "POST", body: "{}" }));
    await page.getByLabel("Reason").fill("Too late");
    await page.getByRole("button", { name: "Deny" }).click();
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();
    await page.getByRole("link", { name: "Sign in" }).click();
    await page.waitForURL(/\/auth\?return_to=/);
    expect(await page.getByLabel("Tenant").inputValue()).toBe(stage.tenant.tenantId);
  });
});
