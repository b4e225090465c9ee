import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK } from "jose";

/** The parts of oidc-provider (which ships no types) that are used here. */
type NewProvider = new (
  issuer: string,
  configuration: object,
) => { callback(): (request: IncomingMessage, response: ServerResponse) => void };

const SECRET = "workload-secret-workload-secret-0";
export const AUDIENCE = "https://valetkey.example.com";

/** A real authorization server that gives workloads their platform's tokens: RFC 9068 access tokens. */
export interface WorkloadIssuer {
  readonly url: string;
  /** Paths that were asked for. */
  readonly asked: string[];
  /** A token of a workload, `sub` its name; for `AUDIENCE` if not said otherwise. */
  token(workload?: string, audience?: string): Promise<string>;
  /** Signs with the first of these keys and publishes all of them from now on. */
  serve(keys: readonly JWK[]): void;
  close(): Promise<void>;
}

export async function signingJwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, use: "sig", alg: "ES256" };
}

export async function startWorkloadIssuer(keys: readonly JWK[]): Promise<WorkloadIssuer> {
  // By a name that the compiler does not look up.
  const name: string = "oidc-provider";
  const { default: OidcProvider } = (await import(name)) as { default: NewProvider };
  const asked: string[] = [];
  let handle: (request: IncomingMessage, response: ServerResponse) => void;
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const serve = (served: readonly JWK[]): void => {
    const client = (client_id: string) => ({
      client_id,
      client_secret: SECRET,
      redirect_uris: [],
      response_types: [],
      grant_types: ["client_credentials"],
      id_token_signed_response_alg: "ES256",
    });
    const provider = new OidcProvider(url, {
      clients: ["workload", "workload-2"].map(client),
      jwks: { keys: served },
      ttl: { ClientCredentials: 600 },
      cookies: { keys: ["cookie-key-of-a-test"] },
      enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => AUDIENCE,
          getResourceServerInfo: (_context: unknown, resource: string) => ({
            scope: "call",
            audience: resource,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg: "ES256" } },
          }),
        },
      },
    });
    handle = provider.callback();
  };
  serve(keys);
  return {
    url,
    asked,
    serve,
    async token(workload = "workload", audience = AUDIENCE) {
      const response = await fetch(`${url}/token`, {
        method: "POST",
        headers: { authorization: `Basic ${btoa(`${workload}:${SECRET}`)}` },
        body: new URLSearchParams({ grant_type: "client_credentials", scope: "call", resource: audience }),
      });
      const body = (await response.json()) as { access_token?: string };
      if (body.access_token === undefined) throw new Error(`no token: ${JSON.stringify(body)}`);
      return body.access_token;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
