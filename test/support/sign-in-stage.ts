import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { type Gateway, startGateway } from "./gateway.ts";
import { Browser, type Page, startIssuer, type TestIssuer } from "./identity-provider.ts";
import { type ApiAnswer, type ApiClient, createTenant, type TestTenant } from "./tenant.ts";

/** The public client that the issuer knows the gateway by. */
export const CLIENT = "valetkey";
/** A confidential one, and its secret. */
export const CONFIDENTIAL = "confidential";
export const CLIENT_SECRET = "a client secret with / and + in it";

export const OPERATOR_CREDENTIAL = "vko_a-test-operator-credential-0000000000000000";

/** A gateway, a real OpenID provider, and a tenant whose people sign in by it. */
export class SignInStage {
  readonly gateway: Gateway;
  readonly tenant: TestTenant;
  readonly issuer: TestIssuer;
  readonly providerId: string;
  readonly signInUrl: string;

  private constructor(
    parts: Pick<SignInStage, "gateway" | "tenant" | "issuer" | "providerId" | "signInUrl">,
  ) {
    this.gateway = parts.gateway;
    this.tenant = parts.tenant;
    this.issuer = parts.issuer;
    this.providerId = parts.providerId;
    this.signInUrl = parts.signInUrl;
  }

  static async start(): Promise<SignInStage> {
    const [gateway, issuer] = await Promise.all([
      startGateway({ bindings: { OPERATOR_CREDENTIAL } }),
      startIssuer(),
    ]);
    const tenant = await createTenant(gateway);
    issuer.serve([{ id: CLIENT }, { id: CONFIDENTIAL, secret: CLIENT_SECRET }]);
    const provider = await registered(issuer, tenant.admin, { client_id: CLIENT });
    return new SignInStage({
      ...{ gateway, tenant, issuer, providerId: provider.id, signInUrl: provider.sign_in_url },
    });
  }

  async stop(): Promise<void> {
    await Promise.all([this.gateway.stop(), this.issuer.stop()]);
  }

  /** The issuer answers by itself again, and nothing was asked of it. */
  reset(): void {
    this.issuer.intercept = () => false;
    this.issuer.asked.length = 0;
  }

  /** Another tenant of the deployment's, with the same identity provider. */
  async anotherTenant(): Promise<{ tenantId: string; admin: ApiClient; signInUrl: string }> {
    const { tenant, issuer } = this;
    const made = await tenant.as(OPERATOR_CREDENTIAL).must("POST", "/v1/tenants", { name: "another" });
    const first = await tenant.as(made.bootstrap_credential).must("POST", "/v1/tenants/bootstrap");
    const admin = tenant.as(first.admin_token);
    const provider = await registered(issuer, admin, { client_id: CLIENT });
    return { tenantId: made.id, admin, signInUrl: provider.sign_in_url };
  }

  /** One more identity provider of the tenant's, with the same issuer, which knows where it has browsers sent back to. */
  registered(
    over: Record<string, unknown>,
  ): Promise<{ id: string; sign_in_url: string; confidential: boolean }> {
    return registered(this.issuer, this.tenant.admin, over);
  }

  /** A person of the issuer's with an address of their own, invited with a role. */
  async invited(role: string, email_verified: unknown = true): Promise<{ login: string; memberId: string }> {
    const login = `user-${randomUUID()}`;
    const email = `${login}@example.com`;
    this.issuer.people.set(login, { email, email_verified });
    const member = await this.tenant.admin.must("POST", "/v1/members", { email, role });
    return { login, memberId: member.id };
  }

  /** To the issuer and through its pages, up to where it would send the browser back to: that URL. */
  async toCallback(browser: Browser, login: string, from = this.signInUrl): Promise<string> {
    const callback = `${this.gateway.url}/auth/callback`;
    let page: Page & { next: string | null } = await browser.follow(from, callback);
    for (const form of [{ prompt: "login", login, password: "x" }, { prompt: "consent" }]) {
      if (page.next === null) page = await browser.follow(page.url, callback, form);
    }
    if (page.next === null) throw new Error(`not sent back, but: ${page.status} ${page.text.slice(0, 300)}`);
    return page.next;
  }

  async signIn(browser: Browser, login: string, from = this.signInUrl): Promise<Page> {
    return browser.send(await this.toCallback(browser, login, from));
  }

  async signedInAs(role: string): Promise<{ browser: Browser; login: string; memberId: string }> {
    const browser = new Browser();
    const person = await this.invited(role);
    const page = await this.signIn(browser, person.login);
    if (page.status !== 302) throw new Error(`not signed in, but: ${page.status} ${page.text}`);
    return { browser, ...person };
  }

  /** A call of the API as a page of the gateway's own makes it. */
  async api(
    browser: Browser,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Pick<ApiAnswer, "status" | "headers" | "body">> {
    const page = await browser.send(this.gateway.url + path, {
      method,
      headers: { origin: this.gateway.url },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return {
      status: page.status,
      headers: page.headers,
      body: page.text === "" ? {} : JSON.parse(page.text),
    };
  }

  /** The parameters with which a browser was last sent to the issuer. */
  authorization(): URLSearchParams {
    const asked = this.issuer.asked.findLast((url) => url.startsWith("/auth?")) ?? "";
    return new URL(asked, this.issuer.issuer).searchParams;
  }

  /** The token endpoint answers with an ID token of these claims instead. */
  forge(claims: (real: { nonce: string; aud: string }) => Record<string, unknown>): void {
    this.issuer.intercept = async (request, response) => {
      if (request.url !== "/token") return false;
      const nonce = this.authorization().get("nonce") ?? "";
      const token = await this.issuer.sign(claims({ nonce, aud: CLIENT }));
      sendJson(response, { access_token: "a", token_type: "Bearer", id_token: token });
      return true;
    };
  }
}

async function registered(issuer: TestIssuer, admin: ApiClient, over: Record<string, unknown>) {
  const provider = await admin.must("POST", "/v1/identity-providers", {
    ...{ kind: "oidc", name: "Test", issuer: issuer.issuer, ...over },
  });
  const uris = issuer.redirectUris.get(provider.client_id) ?? new Set();
  issuer.redirectUris.set(provider.client_id, uris.add(provider.redirect_uri));
  return provider;
}

export function sendJson(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** In seconds since 1970. */
export const inAnHour = (): number => Math.floor(Date.now() / 1_000) + 3_600;

export const codeOf = ({ status, body }: Pick<ApiAnswer, "status" | "body">) => [status, body.error?.code];

export const refusalOf = (page: Page) => codeOf({ status: page.status, body: JSON.parse(page.text || "{}") });
