import { setTimeout as sleep } from "node:timers/promises";
import { watchSecret } from "./canary.ts";
import { checkContract } from "./contract.ts";
import type { Gateway } from "./gateway.ts";

/** An answer of the gateway's API: `body` is the parsed JSON, `{}` where there is none. */
export interface ApiAnswer {
  status: number;
  headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- what comes over the wire has no type; tests say what it is.
  body: any;
}

export interface ApiInit {
  /** A string goes out as it is, anything else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
}

/**
 * One call of the API with one credential. Never throws for a status; `must` does. Both throw where an answer is not as
 * the gateway's own description says.
 */
export interface ApiClient {
  credential: string;
  call(method: string, path: string, init?: ApiInit): Promise<ApiAnswer>;
  /** Like `call`, answers with the body; throws with the error's code where the status is not 2xx. */
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  must(method: string, path: string, body?: unknown): Promise<any>;
}

/** Members of `PUT /v1/secrets/{path}` besides the value. */
export interface SecretOptions {
  allowed_hosts?: string[] | null;
  access_tier?: "standard" | "sensitive" | "critical";
  secret_type?: string;
  reveal?: "allow" | "deny" | null;
  metadata?: Record<string, string | number | boolean | null>;
  encoding?: "utf8" | "base64";
}

/** Members of `POST /v1/connections` besides the slug. */
export interface ConnectionOptions {
  /** Of the catalogue; without one, `base_url` and `credential` must be given. */
  provider?: string;
  base_url?: string;
  credential?: { kind: string } & Record<string, unknown>;
  /** The path of a secret that is there already … */
  secret?: string;
  secrets?: Record<string, string>;
  /** … or its value: it is stored at `test/{slug}/KEY`, for the host of `base_url`. */
  value?: string;
  allow?: { methods?: string[]; paths?: string[] }[];
  limits?: Record<string, number>;
  references?: ("headers" | "query" | "body")[];
  websockets?: boolean;
  redact?: { shapes?: boolean; entropy?: boolean; minted?: boolean };
  default?: "allow" | "deny";
}

/** Members of `POST /v1/tokens` besides the scopes. */
export interface TokenOptions {
  /** Default `15m`. */
  ttl?: string;
  max_uses?: number;
  rate?: string;
  ip_allowlist?: string[];
  allow?: { connection: string; methods?: string[]; paths?: string[] }[];
  tool?: string;
  user?: string;
  context?: Record<string, string>;
}

export interface IssuedToken {
  token: string;
  tokenId: string;
  /** ISO 8601. */
  expiresAt: string;
}

export interface AgentOptions {
  /** Default: a name of its own. */
  name?: string;
  /** Default: every scope. */
  allowed_scopes?: string[];
  allowed_namespaces?: string[];
  ip_allowlist?: string[];
}

export interface TestAgent extends ApiClient {
  id: string;
  /** `vka_…`; `credential` is the same. */
  apiKey: string;
  /**
   * A scoped token. Everything that the fixture has changed is effective for it: calls need not expect an older
   * configuration.
   */
  issue(scopes: string[], options?: TokenOptions): Promise<IssuedToken>;
  /** The text of one, `vkt_…`. */
  token(scopes: string[], options?: TokenOptions): Promise<string>;
}

export interface TestTenant {
  tenantId: string;
  /** The gateway's URL. */
  url: string;
  /** The admin's token for scripts (`vkm_…`). */
  admin: ApiClient;
  /** A client with any other credential. */
  as(credential: string): ApiClient;
  putSecret(path: string, value: string, options?: SecretOptions): Promise<void>;
  /** Makes a connection; where `value` is given, its secret as well. */
  connect(slug: string, options: ConnectionOptions): Promise<void>;
  agent(options?: AgentOptions): Promise<TestAgent>;
  /** As `TestAgent.issue` and `.token`, by an agent that may ask for every scope. */
  issue(scopes: string[], options?: TokenOptions): Promise<IssuedToken>;
  token(scopes: string[], options?: TokenOptions): Promise<string>;
  /** How often a token was charged; asking charges nothing. */
  uses(tokenId: string): Promise<number>;
  /** Waits until the fixture's changes so far are effective everywhere (5 s at most, most often 0). */
  settled(): Promise<void>;
}

const EVERY_SCOPE = ["connections:call:*", "secrets:*:*", "namespaces:read"];

/** Spends a started gateway's bootstrap credential. Outlives a restart of the gateway; one tenant per gateway. */
export async function createTenant(
  gateway: Pick<Gateway, "url" | "bootstrapCredential">,
): Promise<TestTenant> {
  const { url } = gateway;
  const made = await apiClient(url, gateway.bootstrapCredential).must("POST", "/v1/bootstrap", {
    name: "test",
  });
  const admin = apiClient(url, made.admin_token);

  // Before the first token nobody has called and no lease is out, so there is nothing to wait for.
  let tokensIssued = 0;
  let effectiveAt = 0;
  const noteChange = (answer: { effective_at?: string }): void => {
    if (tokensIssued > 0) effectiveAt = Math.max(effectiveAt, Date.parse(answer.effective_at ?? "") || 0);
  };
  const settled = async (): Promise<void> => {
    const left = effectiveAt - Date.now();
    if (left > 0) await sleep(left + 5);
  };

  const issueWith =
    (client: ApiClient) =>
    async (scopes: string[], options: TokenOptions = {}): Promise<IssuedToken> => {
      await settled();
      tokensIssued += 1;
      const issued = await client.must("POST", "/v1/tokens", { scopes, ttl: "15m", ...options });
      return { token: issued.token, tokenId: issued.token_id, expiresAt: issued.expires_at };
    };

  let agentsMade = 0;
  const agent = async (options: AgentOptions = {}): Promise<TestAgent> => {
    agentsMade += 1;
    const answer = await admin.must("POST", "/v1/agents", {
      name: `agent-${agentsMade}`,
      allowed_scopes: EVERY_SCOPE,
      ...options,
    });
    noteChange(answer);
    const client = apiClient(url, answer.api_key);
    const issue = issueWith(client);
    return {
      ...client,
      id: answer.id,
      apiKey: answer.api_key,
      issue,
      token: async (scopes, tokenOptions) => (await issue(scopes, tokenOptions)).token,
    };
  };

  const putSecret = async (path: string, value: string, options: SecretOptions = {}): Promise<void> => {
    watchSecret(value);
    noteChange(await admin.must("PUT", `/v1/secrets/${path}`, { value, ...options }));
  };

  const first = await agent({ name: "fixture" });
  return {
    tenantId: made.tenant_id,
    url,
    admin,
    as: (credential) => apiClient(url, credential),
    putSecret,
    async connect(slug, { value, ...options }) {
      const connection = { slug, ...options };
      if (value !== undefined) {
        connection.secret = `test/${slug}/KEY`;
        const host = options.base_url === undefined ? undefined : hostOf(options.base_url);
        await putSecret(connection.secret, value, host === undefined ? {} : { allowed_hosts: [host] });
      }
      noteChange(await admin.must("POST", "/v1/connections", connection));
    },
    agent,
    issue: first.issue,
    token: first.token,
    uses: async (tokenId) => (await admin.must("GET", `/v1/tokens/${tokenId}`)).uses,
    settled,
  };
}

/** `host[:port]` as a secret's `allowed_hosts` name it: port 443 where it is left out. */
export function hostOf(baseUrl: string): string {
  const { protocol, hostname, port } = new URL(baseUrl);
  if (protocol === "https:" && port === "") return hostname;
  return `${hostname}:${port === "" ? 80 : port}`;
}

function apiClient(url: string, credential: string): ApiClient {
  const call = async (method: string, path: string, init: ApiInit = {}): Promise<ApiAnswer> => {
    const { body } = init;
    const response = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${credential}`,
        ...(body === undefined || typeof body === "string" ? {} : { "content-type": "application/json" }),
        ...init.headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const { status, headers } = response;
    const text = await response.text();
    await checkContract(url, method, path, { status, headers, text });
    return { status, headers, body: parseJson(text) };
  };
  return {
    credential,
    call,
    async must(method, path, body) {
      const answer = await call(method, path, body === undefined ? {} : { body });
      if (answer.status >= 200 && answer.status < 300) return answer.body;
      const { code, message } = answer.body.error ?? {};
      throw new Error(`${method} ${path} answered ${answer.status} ${code}: ${message}`);
    },
  };
}

function parseJson(text: string): unknown {
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return { unparsed: text };
  }
}
