import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { vi } from "vitest";

/** The parts of oidc-provider (which ships no types) that are used here. */
type Handler = (request: IncomingMessage, response: ServerResponse) => void;
type NewProvider = new (
  issuer: string,
  configuration: object,
) => {
  callback(): Handler;
  readonly Client: {
    readonly prototype: { redirectUriAllowed(this: { clientId: string }, uri: string): boolean };
  };
};

export interface Person {
  readonly email?: string;
  readonly email_verified?: unknown;
}

export interface TestIssuer {
  /** `http://127.0.0.1:port` */
  readonly issuer: string;
  /** Path and query of every request. */
  readonly asked: string[];
  /** Its clients, each with its secret where it has one. */
  serve(clients: readonly { id: string; secret?: string }[]): void;
  /** Where a client may have browsers sent back to; compared exactly. */
  readonly redirectUris: Map<string, Set<string>>;
  /** Instead of the real provider: answers a request itself, or leaves it (false). */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
  /** An ID token of this issuer's with any claims, signed with its key. */
  sign(claims: Record<string, unknown>): Promise<string>;
  /** What the issuer knows of people, by login; that is their subject, too. */
  readonly people: Map<string, Person>;
  stop(): Promise<void>;
}

/** A real OpenID provider (oidc-provider) on a port of its own. */
export async function startIssuer(): Promise<TestIssuer> {
  // It says time and again that it is set up for development.
  const quiet = (["info", "warn"] as const).map((method) => vi.spyOn(console, method).mockReturnValue());
  const name: string = "oidc-provider";
  const { default: OidcProvider } = (await import(name)) as { default: NewProvider };
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const key: JWK = { ...(await exportJWK(privateKey)), kid: "k", use: "sig", alg: "RS256" };
  let handler: Handler = (_request, response) => response.writeHead(503).end();
  const people = new Map<string, Person>();
  const asked: string[] = [];
  const redirectUris = new Map<string, Set<string>>();
  const server: Server = createServer(async (request, response) => {
    asked.push(request.url ?? "");
    if (!(await self.intercept(request, response))) handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const self: TestIssuer = {
    issuer,
    asked,
    people,
    redirectUris,
    intercept: () => false,
    serve(clients) {
      const provider = new OidcProvider(issuer, {
        clients: clients.map(({ id, secret }) => ({
          client_id: id,
          // Further ones as they are registered.
          redirect_uris: ["https://client.example.com/callback"],
          grant_types: ["authorization_code"],
          require_auth_time: true,
          ...(secret === undefined ? { token_endpoint_auth_method: "none" } : { client_secret: secret }),
        })),
        jwks: { keys: [key] },
        cookies: { keys: ["cookie-key-of-a-test"] },
        claims: { openid: ["sub"], email: ["email", "email_verified"] },
        conformIdTokenClaims: false,
        pkce: { required: () => true },
        findAccount: (_context: unknown, id: string) => ({
          accountId: id,
          claims: () => ({ ...people.get(id), sub: id }),
        }),
      });
      provider.Client.prototype.redirectUriAllowed = function (uri) {
        return redirectUris.get(this.clientId)?.has(uri) === true;
      };
      handler = provider.callback();
    },
    sign: (claims) =>
      new SignJWT({ iss: issuer, ...claims })
        .setProtectedHeader({ alg: "RS256", kid: "k" })
        .setIssuedAt()
        .sign(privateKey),
    async stop() {
      for (const spy of quiet) spy.mockRestore();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return self;
}

export interface Page {
  readonly url: string;
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** A browser as far as it takes: cookies by host, redirects followed until `stopAt` is reached. */
export class Browser {
  readonly #jars = new Map<string, Map<string, string>>();

  jar(url: string): Map<string, string> {
    const { host } = new URL(url);
    const jar = this.#jars.get(host) ?? new Map<string, string>();
    this.#jars.set(host, jar);
    return jar;
  }

  async send(url: string, init: RequestInit = {}): Promise<Page> {
    const cookie = [...this.jar(url)].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      redirect: "manual",
      signal: AbortSignal.timeout(10_000),
      ...init,
      headers: { ...(cookie === "" ? {} : { cookie }), ...(init.headers as Record<string, string>) },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      const at = pair.indexOf("=");
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(line)) this.jar(url).delete(pair.slice(0, at));
      else this.jar(url).set(pair.slice(0, at), pair.slice(at + 1));
    }
    return { url, status: response.status, text: await response.text(), headers: response.headers };
  }

  /** Follows redirects up to where the next one would go to a URL that begins with `stopAt`. */
  async follow(
    url: string,
    stopAt: string,
    form?: Record<string, string>,
  ): Promise<Page & { readonly next: string | null }> {
    let next = url;
    let init: RequestInit = form === undefined ? {} : { method: "POST", body: new URLSearchParams(form) };
    for (let hops = 0; hops < 12; hops++) {
      const page = await this.send(next, init);
      const location = page.headers.get("location");
      if (location === null) return { ...page, next: null };
      next = new URL(location, next).href;
      if (next.startsWith(stopAt)) return { ...page, next };
      init = {};
    }
    throw new Error("too many redirects");
  }
}
