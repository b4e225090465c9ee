import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startUpstream, type Upstream } from "../../local/upstream.ts";
import { databaseOf } from "../attacks/database.ts";
import { changed } from "../support/approver.ts";
import { CHROMIUM, NO_BROWSER } from "../support/browser.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { PasskeyBrowser } from "../support/passkey-browser.ts";
import { createTenant, type TestAgent, type TestTenant } from "../support/tenant.ts";

let gateway: Gateway;
let tenant: TestTenant;
let upstream: Upstream;
let agent: TestAgent;
let token: string;
let at: PasskeyBrowser;
let ada: string;

const MARKUP = '<img src=x onerror="document.title=1">';
const BIDI = "ch_\u202eexe.cod";
const NAME = "refund-bot";

beforeAll(async () => {
  if (CHROMIUM === null) return;
  gateway = await startGateway();
  tenant = await createTenant(gateway);
  upstream = await startUpstream({ port: 0 });
  await tenant.connect("stripe", { provider: "stripe", base_url: upstream.url, value: "sk_test_page" });
  await changed(tenant.admin, "POST", "/v1/policies", {
    ...{ name: "people look at refunds", effect: "require_approval", message: "Is the amount right?" },
    condition: 'request.method == "POST"',
  });
  agent = await tenant.agent({ name: NAME });
  token = await agent.token(["connections:call:*"], { ttl: "1h", context: { reason: MARKUP } });
  at = await PasskeyBrowser.open(gateway.url);
  ada = await at.enrol(tenant, { email: "ada@example.com", name: "Ada", role: "editor" });
});
afterAll(async () => {
  await at?.browser.close();
  await gateway?.stop();
  await upstream?.close();
});

let refunds = 0;

/** A refund of an amount of its own, as the agent sends it. */
async function refund(
  body: Record<string, string>,
): Promise<{ status: number; code: string | null; id: string }> {
  const answer = await fetch(`${gateway.url}/proxy/stripe/v1/refunds`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: new URLSearchParams(body),
  });
  const told = await answer.json();
  return { status: answer.status, code: told.error?.code ?? null, id: told.approval_id };
}

/** One that waits for people. */
async function held(
  body: Record<string, string> = {},
): Promise<{ id: string; again: () => ReturnType<typeof refund> }> {
  const whole = { charge: `ch_${++refunds}`, amount: "1200", currency: "usd", ...body };
  const { code, id } = await refund(whole);
  expect(code).toBe("APPROVAL_REQUIRED");
  return { id, again: () => refund(whole) };
}

const open = async (id = ""): Promise<void> => {
  await at.page.goto(`${at.origin}/approvals${id === "" ? "" : `/${id}`}`);
};
/** Until the page has read a request so often: once by itself, and again when its feed has opened. */
function looksAt(id: string, times: number): Promise<void> {
  let seen = 0;
  return new Promise((resolve) => {
    at.page.on("requestfinished", function look(request) {
      if (request.method() !== "GET" || !request.url().endsWith(`/v1/approvals/${id}`)) return;
      if (++seen < times) return;
      at.page.off("requestfinished", look);
      resolve();
    });
  });
}
const said = (text: string) => at.page.getByRole("status").filter({ hasText: text }).waitFor();
const heading = (text: string) => at.page.getByRole("heading", { name: text, exact: true }).waitFor();
const press = (name: string) => at.page.getByRole("button", { name, exact: true }).click();
const standing = async (id: string) => (await at.fromPage("GET", `/v1/approvals/${id}`)).body;
const shows = async (...texts: string[]): Promise<void> => {
  const text = await at.page.locator("main").innerText();
  for (const each of texts) expect(text).toContain(each);
};

/** As if the person had signed in six minutes ago. */
function ageSessions(): void {
  const database = databaseOf(gateway.stateDir);
  database.prepare("UPDATE sessions SET authenticated_at = authenticated_at - 360000").run();
  database.close();
}

/** For whoever wants to look: APPROVALS_SCREENSHOTS=/tmp/approvals- */
async function shoot(name: string): Promise<void> {
  const prefix = process.env["APPROVALS_SCREENSHOTS"];
  if (prefix === undefined) return;
  const { page } = at;
  for (const [colorScheme, width, suffix] of [
    ["light", 900, "light"],
    ["dark", 900, "dark"],
    ["light", 360, "phone"],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 1000 });
    await page.screenshot({ path: `${prefix}${name}-${suffix}.png`, fullPage: true });
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 900, height: 1000 });
}

describe.skipIf(CHROMIUM === null)(`the page on which people answer, in Chromium${NO_BROWSER}`, () => {
  test("a link opened signed out leads to signing in and back, and nothing is approved by it", async () => {
    const { id, again } = await held();
    await at.fromPage("POST", "/auth/sign-out", {});
    await open(id);
    await at.page.waitForURL(/\/auth\?/);
    await press("Sign in with a passkey");
    await at.page.waitForURL(`${at.origin}/approvals/${id}`);
    await heading("Your answer");
    expect((await again()).code).toBe("APPROVAL_REQUIRED");
    expect(await standing(id)).toMatchObject({ status: "pending", approvals: 0 });
  });

  test("attack 85: no GET of somebody signed in answers anything, whatever stands in the link", async () => {
    const { id, again } = await held();
    const before = await standing(id);
    for (const ending of ["", "/approve", "?approve=1", "#approve", "/deny", "?reason=no"]) {
      await at.page.goto(`${at.origin}/approvals/${id}${ending}`);
      for (const method of ["GET", "HEAD"]) await at.fromPage(method, `/v1/approvals/${id}${ending}`);
    }
    expect(await standing(id)).toEqual(before);
    expect((await again()).code).toBe("APPROVAL_REQUIRED");
  });

  test("what is asked for is shown: who, what, why, how many, how long", async () => {
    const { id } = await held({ charge: "ch_3PqT9r2eZvKYlo2C", reason: "requested_by_customer" });
    await open(id);
    await heading("Refund 12.00 USD (sent as 1200) of ch_3PqT9r2eZvKYlo2C");
    const { digest } = await standing(id);
    await shows(NAME, "trust: standard", "POST", "/v1/refunds", "requested_by_customer", "stripe");
    await shows("people look at refunds", "Is the amount right?", "0 of 1", "Answer within", digest);
    await at.page.getByText("The body as it is sent").click();
    await at.page.getByText("charge=ch_3PqT9r2eZvKYlo2C&amount=1200").waitFor();
    await shoot("call");
  });

  test("approving with a sign-in that is not fresh takes the passkey, and then that call goes through once", async () => {
    const { id, again } = await held();
    ageSessions();
    await open(id);
    await at.page.getByText("you are asked for your passkey again").waitFor();
    await press("Approve");
    await said("You have approved this.");
    await shows("1 of 1", "you", "Approved");
    expect(await standing(id)).toMatchObject({ status: "approved", votes: [{ member_id: ada }] });
    upstream.requests.length = 0;
    expect((await again()).status).toBe(200);
    expect(upstream.requests).toHaveLength(1);
    await at.page.getByText("Approved and used").first().waitFor();
    expect(await at.page.getByRole("button").count()).toBe(0);
    expect((await again()).code).toBe("APPROVAL_REQUIRED");
  });

  test("where the passkey is not used, nothing is approved, and the page says so", async () => {
    const { id } = await held();
    ageSessions();
    await open(id);
    const { authenticatorId } = at;
    await at.cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
    await press("Approve");
    await said("Nothing was done: the passkey was not used, or not taken.");
    await at.page.getByRole("link", { name: "Sign in again" }).waitFor();
    expect(await standing(id)).toMatchObject({ status: "pending", approvals: 0 });
    await at.cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
    await press("Approve");
    await said("You have approved this.");
  });

  test("a passkey of somebody else's does not approve in their name", async () => {
    const { id } = await held();
    const { authenticatorId, cdp } = at;
    const own = await cdp.send("WebAuthn.getCredentials", { authenticatorId });
    const swap = async (credentials: typeof own.credentials): Promise<void> => {
      await cdp.send("WebAuthn.clearCredentials", { authenticatorId });
      for (const credential of credentials) {
        await cdp.send("WebAuthn.addCredential", { authenticatorId, credential });
      }
    };
    await at.fromPage("POST", "/auth/sign-out", {});
    await swap([]);
    await at.enrol(tenant, { email: "grace@example.com", name: "Grace", role: "editor" });
    const graces = await cdp.send("WebAuthn.getCredentials", { authenticatorId });
    await at.fromPage("POST", "/auth/sign-out", {});
    await swap(own.credentials);
    await at.page.goto(`${at.origin}/auth?return_to=/approvals/${id}`);
    await press("Sign in with a passkey");
    await heading("Your answer");
    ageSessions();
    // Their counters must not go back.
    const again = await cdp.send("WebAuthn.getCredentials", { authenticatorId });
    await swap(graces.credentials);
    await press("Approve");
    await said("You are Grace now. Nothing was done");
    expect(await standing(id)).toMatchObject({ status: "pending", approvals: 0 });
    await at.fromPage("POST", "/auth/sign-out", {});
    await swap(again.credentials);
    await at.page.goto(`${at.origin}/auth?return_to=/approvals/${id}`);
    await press("Sign in with a passkey");
    await heading("Your answer");
  });

  test("denying takes a reason, which the agent is told", async () => {
    const { id, again } = await held();
    await open(id);
    await press("Deny");
    await said("Say why: the agent is told.");
    expect(await at.page.getByLabel("Reason or comment").getAttribute("aria-invalid")).toBe("true");
    expect((await standing(id)).status).toBe("pending");
    await at.page.getByLabel("Reason or comment").fill("Not this customer");
    await press("Deny");
    await said("Denied.");
    await shows("Denied", "Not this customer");
    expect(await again()).toMatchObject({ status: 403, code: "APPROVAL_DENIED" });
  });

  test("attack 86: what an agent writes is text, and what would deceive is visible", async () => {
    const { id } = await held({ charge: BIDI, reason: MARKUP, [MARKUP]: "\u200bpаypal" });
    const wanted = { scopes: ["secrets:use:critical/*"], ttl: "15m", context: { reason: MARKUP + BIDI } };
    await tenant.putSecret("critical/KEY", "value of a critical one", { access_tier: "critical" });
    const { approval_id: ofToken } = await agent.must("POST", "/v1/tokens", wanted);
    for (const each of [id, ofToken, ""]) {
      await open(each);
      await at.page.locator("main h1").waitFor();
      expect(await at.page.locator("main img").count()).toBe(0);
      expect(await at.page.title()).not.toBe("1");
      expect(await at.page.locator("main").textContent()).not.toMatch(/[\u202e\u200b]/);
    }
    await open(id);
    await heading("Refund 12.00 USD (sent as 1200) of ch_⟨U+202E⟩exe.cod");
    await shows(MARKUP, "Mixes letters that look alike: Latin and Cyrillic.");
    await shoot("hostile");
    await open(ofToken);
    await at.page.locator("main h1").waitFor();
    await shows(`${MARKUP}ch_⟨U+202E⟩exe.cod`, "critical/KEY", "0 of 2", "5 min after the last approval");
    await shoot("token");
    expect((await at.fromPage("POST", `/v1/approvals/${ofToken}/cancel`, {})).status).toBe(200);
  });

  test("what happens shows without a reload, over the feed", async () => {
    await open();
    await at.page.getByText("Live", { exact: true }).waitFor();
    await at.page.evaluate(() => document.body.setAttribute("data-same", ""));
    const { id } = await held();
    const link = at.page.locator(`section:has(h2:text-is("Waiting")) a[href="/approvals/${id}"]`);
    await link.waitFor();
    await shoot("list");
    expect((await at.fromPage("POST", `/v1/approvals/${id}/deny`, { reason: "no" })).status).toBe(200);
    await link.waitFor({ state: "detached" });
    await at.page.locator(`section:has(h2:text-is("Lately")) a[href="/approvals/${id}"]`).waitFor();
    expect(await at.page.locator("body[data-same]").count()).toBe(1);
  });

  test("where there is no feed, the page looks by itself", async () => {
    const page = await at.context.newPage();
    await page.routeWebSocket(/\/feed$/, (socket) => socket.close());
    const { id } = await held();
    await page.goto(`${at.origin}/approvals/${id}`);
    await page.getByText("Looks every 5 seconds").waitFor();
    await page.getByRole("heading", { name: "Your answer" }).waitFor();
    expect((await at.fromPage("POST", `/v1/approvals/${id}/deny`, { reason: "elsewhere" })).status).toBe(200);
    await page.getByText("elsewhere").waitFor({ timeout: 15_000 });
    expect(await page.getByRole("button").count()).toBe(0);
    await page.close();
  });

  test("while the delay of what was approved runs, it can be cancelled", async () => {
    const patient = await tenant.agent({ name: "patient-bot" });
    await changed(tenant.admin, "POST", "/v1/policies", {
      ...{ name: "patience", effect: "require_approval", on: "tokens", delay_seconds: 300 },
      condition: 'agent.name == "patient-bot"',
    });
    const wanted = { scopes: ["connections:call:stripe"], ttl: "15m" };
    const { approval_id: id } = await patient.must("POST", "/v1/tokens", wanted);
    await open(id);
    await press("Approve");
    await said("You have approved this.");
    await shows("Approved, not yet in force", "In force in");
    await shoot("delay");
    await press("Cancel");
    await said("Cancelled.");
    expect(await standing(id)).toMatchObject({ status: "cancelled", ended_by: `member:${ada}` });
  });

  test("a permission can be granted for less", async () => {
    await changed(tenant.admin, "POST", "/v1/actions", {
      ...{ name: "payment.refund", description: "Refund a charge", resource_field: "body.charge" },
      calls: { connection: "stripe", methods: ["POST"], paths: ["/v1/refunds"] },
      constraints: {
        max_amount: { kind: "max_amount", field: "body.amount", cap: 5_000 },
        reasons: { kind: "one_of", field: "body.reason", required: false },
      },
      ...{ approvals: 1, max_uses: 5 },
    });
    const { approval_id: id } = await agent.must("POST", "/v1/permissions", {
      ...{ action: "payment.refund", resource: "ch_9", max_uses: 3 },
      scope: { max_amount: 5_000, reasons: ["duplicate", "fraudulent"] },
      context: { reason: "The customer was charged twice" },
    });
    await open(id);
    await heading("payment.refund of ch_9");
    await shows("The customer was charged twice", "5000", "fraudulent", "max amount");
    await at.page.getByText("Grant less than this").click();
    await at.page.getByLabel("At most: max amount").fill("6000");
    await press("Approve");
    await at.page.locator("p.alert").filter({ hasText: "5000" }).waitFor();
    expect((await standing(id)).status).toBe("pending");
    await at.page.getByLabel("At most: max amount").fill("1500.5");
    await at.page.getByLabel("fraudulent").uncheck();
    await at.page.getByLabel("At most: uses").fill("1");
    await shoot("permission");
    await press("Approve");
    await said("You have approved this.");
    await shows("Granted for less", "1500.5");
    expect((await standing(id)).granted).toEqual({
      ...{ scope: { max_amount: 1500.5, reasons: ["duplicate"] }, max_uses: 1 },
    });
  });

  test("attack 85: no page frames these, nothing inline runs in them, and no other site's page answers", async () => {
    const { id } = await held();
    for (const path of ["/approvals", `/approvals/${id}`]) {
      const answer = await fetch(at.origin + path);
      const policy = answer.headers.get("content-security-policy") ?? "";
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).toMatch(/default-src 'none'.*script-src 'self';.*trusted-types 'none'/);
      expect(answer.headers.get("x-frame-options")).toBe("DENY");
      expect(await answer.text()).not.toMatch(/<script(?![^>]* src=)|<style| on[a-z]+=| style=/);
    }
    const other = await at.context.newPage();
    const site = at.origin.replace(/\d+$/, "9");
    const html = `<iframe src="${at.origin}/approvals/${id}"></iframe>`;
    await other.route(`${site}/`, (route) => route.fulfill({ contentType: "text/html", body: html }));
    await other.goto(`${site}/`);
    expect(await other.frames()[1]?.locator("main").count()).toBe(0);
    await other.close();
    const cookie = (await at.context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
    for (const origin of [{ origin: site }, { origin: "null" }, {}]) {
      const url = `${at.origin}/v1/approvals/${id}/approve`;
      const answer = await fetch(url, { method: "POST", headers: { cookie, ...origin }, body: "{}" });
      expect((await answer.json()).error.code).toBe("CSRF_REFUSED");
    }
    expect(await standing(id)).toMatchObject({ status: "pending", approvals: 0 });
  });

  test("it can be used by keyboard and by screen reader, and at 320 px", async () => {
    const { id } = await held({ charge: `ch_${"long".repeat(60)}` });
    await open(id);
    await heading("Your answer");
    await at.page.setViewportSize({ width: 320, height: 700 });
    const seen = await at.page.evaluate(() => ({
      overflow: document.documentElement.scrollWidth - window.innerWidth,
      nameless: [...document.querySelectorAll("input, textarea")].filter(
        (field) => (field as HTMLInputElement).labels?.length !== 1,
      ).length,
      ids: [...document.querySelectorAll("[id]")].map(({ id: each }) => each),
      headings: [...document.querySelectorAll("h1, h2, h3")].map(({ tagName }) => tagName),
    }));
    await at.page.setViewportSize({ width: 900, height: 1000 });
    expect(seen).toMatchObject({ overflow: 0, nameless: 0 });
    expect(new Set(seen.ids).size).toBe(seen.ids.length);
    expect(seen.headings.filter((tag) => tag === "H1")).toHaveLength(1);
    await at.page.getByLabel("Reason or comment").focus();
    await at.page.keyboard.type("By keyboard");
    await at.page.keyboard.press("Tab");
    await at.page.keyboard.press("Tab");
    await at.page.keyboard.press("Enter");
    await said("Denied.");
  });

  test("attack 79: who was demoted meanwhile is refused, and told so", async () => {
    const { id } = await held();
    const looked = looksAt(id, 2);
    await open(id);
    await heading("Your answer");
    await looked;
    await tenant.admin.must("PATCH", `/v1/members/${ada}`, { role: "viewer" });
    await press("Approve");
    await at.page.locator("p.alert").filter({ hasText: /role/i }).waitFor();
    await shoot("demoted");
    await open();
    await heading("This cannot be shown");
    await shoot("refused");
    await tenant.admin.must("PATCH", `/v1/members/${ada}`, { role: "editor" });
    expect(await standing(id)).toMatchObject({ status: "pending", approvals: 0 });
  });

  test("a link to nothing says that there is nothing", async () => {
    for (const id of ["apr_000000000000000000000000", "no-such"]) {
      await open(id);
      await heading("This cannot be shown");
    }
  });

  test("does all that without a fault, and asks nobody else for anything", () => {
    expect(at.faults).toEqual([]);
    expect(at.asked.filter((url) => !url.startsWith(`${at.origin}/`) && !url.startsWith("data:"))).toEqual(
      [],
    );
  });
});
