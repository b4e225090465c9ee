import type { Browser, BrowserContext, CDPSession, Page } from "playwright-core";
import { launchBrowser } from "./browser.ts";
import type { TestTenant } from "./tenant.ts";

/** What a page of the gateway's own is answered. */
export interface FromPage {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- what comes over the wire has no type; tests say what it is.
  readonly body: any;
}

/** A person at a real browser, with an authenticator that confirms whatever it is asked. */
export class PasskeyBrowser {
  readonly browser: Browser;
  readonly context: BrowserContext;
  readonly page: Page;
  readonly cdp: CDPSession;
  readonly authenticatorId: string;
  /** The gateway as browsers make passkeys for it: `http://localhost:port`. */
  readonly origin: string;
  /** What the pages complained of: errors, and refusals by their Content-Security-Policy. */
  readonly faults: string[] = [];
  /** All URLs that were asked for. */
  readonly asked: string[] = [];

  private constructor(
    parts: Pick<PasskeyBrowser, "browser" | "context" | "page" | "cdp" | "authenticatorId" | "origin">,
  ) {
    this.browser = parts.browser;
    this.context = parts.context;
    this.page = parts.page;
    this.cdp = parts.cdp;
    this.authenticatorId = parts.authenticatorId;
    this.origin = parts.origin;
    this.page.on("pageerror", (error) => this.faults.push(String(error)));
    this.page.on("console", (message) => {
      // That nobody is signed in, or may not, is asked and answered on purpose.
      if (message.type() === "error" && !/status of 4|WebSocket connection/.test(message.text())) {
        this.faults.push(message.text());
      }
    });
    this.page.on("request", (request) => this.asked.push(request.url()));
  }

  static async open(gatewayUrl: string): Promise<PasskeyBrowser> {
    const browser = await launchBrowser();
    const context = await browser.newContext({ viewport: { width: 900, height: 1000 } });
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    const cdp = await context.newCDPSession(page);
    await cdp.send("WebAuthn.enable");
    const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        ...{ protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true },
        ...{ isUserVerified: true, automaticPresenceSimulation: true },
      },
    });
    const origin = gatewayUrl.replace("127.0.0.1", "localhost");
    return new PasskeyBrowser({ browser, context, page, cdp, authenticatorId, origin });
  }

  /** Invites a person, who registers this browser and is signed in. Their member's id. */
  async enrol(tenant: TestTenant, person: { name: string; email: string; role: string }): Promise<string> {
    const { id } = await tenant.admin.must("POST", "/v1/members", person);
    const { url } = await tenant.admin.must("POST", `/v1/members/${id}/enrolment`, {});
    await this.page.goto(url);
    await this.page.getByLabel("Name of this device").fill("Work laptop");
    await this.page.locator("#enrol button").click();
    await this.page.locator("#person").waitFor();
    return id;
  }

  /** A call from the page itself, with the browser's cookies and origin. */
  fromPage(method: string, path: string, body?: unknown): Promise<FromPage> {
    return this.page.evaluate(
      async ([how, where, what]) => {
        const answer = await fetch(String(where), {
          method: String(how),
          ...(what === undefined ? {} : { body: JSON.stringify(what) }),
        });
        const text = await answer.text();
        return { status: answer.status, body: text.startsWith("{") ? JSON.parse(text) : {} };
      },
      [method, path, body] as const,
    );
  }
}
