import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CHROMIUM, launchBrowser, NO_BROWSER } from "../support/browser.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";

let gateway: Gateway;
let browser: Browser | undefined;

beforeAll(async () => {
  gateway = await startGateway();
  if (CHROMIUM !== null) browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await gateway.stop();
});

test.skipIf(CHROMIUM === null)(
  `the reference opens from the gateway alone, without a fault${NO_BROWSER}`,
  async () => {
    const page = await (browser ?? (await launchBrowser())).newPage({
      viewport: { width: 1280, height: 900 },
    });
    const faults: string[] = [];
    const asked: string[] = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) faults.push(message.text());
    });
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("request", (request) => asked.push(request.url()));

    const opened = await page.goto(`${gateway.url}/docs`);
    expect(opened?.headers()["content-security-policy"]).toContain("default-src 'none'");
    await page.getByText("Ask for a scoped token").first().waitFor({ timeout: 40_000 });
    await page.getByText("/v1/tokens/revoke").first().waitFor({ timeout: 40_000 });
    const screenshot = process.env["DOCS_SCREENSHOT"];
    if (screenshot !== undefined) await page.screenshot({ path: screenshot });

    // It is interactive: an operation can be called from it.
    await page.goto(`${gateway.url}/docs#get-/v1/health`);
    await page.getByRole("button", { name: "Try" }).first().click();
    await page.getByText('"status"').first().waitFor({ timeout: 40_000 });
    expect(asked).toContain(`${gateway.url}/v1/health`);
    if (screenshot !== undefined) await page.screenshot({ path: screenshot.replace(".png", "-try.png") });

    expect(faults).toEqual([]);
    const elsewhere = asked.filter((url) => !url.startsWith(`${gateway.url}/`) && !url.startsWith("data:"));
    expect(elsewhere).toEqual([]);
    expect(asked).toContain(`${gateway.url}/v1/openapi.json`);
    await page.close();
  },
  90_000,
);

test("the script comes compressed to whoever takes it so, and plain to others: the same bytes", async () => {
  const sizes = [];
  for (const encoding of ["gzip", "identity"]) {
    const response = await fetch(`${gateway.url}/docs/rapidoc.js`, {
      headers: { "accept-encoding": encoding },
    });
    expect(response.headers.get("content-encoding")).toBe(encoding === "gzip" ? "gzip" : null);
    expect(response.headers.get("content-type")).toContain("text/javascript");
    sizes.push((await response.text()).length);
  }
  expect(sizes[0]).toBeGreaterThan(500_000);
  expect(sizes[1]).toBe(sizes[0]);
});
