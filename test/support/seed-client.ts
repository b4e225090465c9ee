import { createRequire } from "node:module";

/** What the published client (`@agentsecretstore/sdk` 1.0.0) declares, as far as the tests use it. */
interface Client {
  requestToken(options: TokenRequest): Promise<TokenResponse>;
  getSecret(path: string): Promise<string>;
  getSecretWithMetadata(path: string): Promise<SecretResponse>;
  setSecret(path: string, value: string, options?: WriteOptions): Promise<ListItem>;
  deleteSecret(path: string): Promise<void>;
  listSecrets(namespace: string): Promise<{ namespace: string; items: ListItem[] }>;
  importEnv(
    content: string,
    namespace: string,
    options?: WriteOptions,
  ): Promise<{ namespace: string; imported: string[]; imported_count: number }>;
}

export interface ClientOptions {
  readonly agentKey: string;
  readonly baseUrl?: string;
  readonly autoToken?: boolean;
  readonly retries?: number;
}

interface TokenRequest {
  readonly scopes: readonly string[];
  readonly ttl?: string;
  readonly maxUses?: number;
  readonly ipAllowlist?: readonly string[];
}

interface TokenResponse {
  readonly token?: string;
  readonly token_id?: string;
  readonly expires_at?: string;
}

interface WriteOptions {
  readonly secretType?: string;
  readonly accessTier?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

interface SecretResponse {
  readonly value: string;
  readonly secret_type: string;
  readonly access_tier: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly version: number;
}

interface ListItem extends Omit<SecretResponse, "value"> {
  readonly namespace: string;
  readonly key: string;
  readonly created_at: string;
  readonly updated_at: string;
}

type ErrorClass<Extra extends unknown[] = [], Members = object> = new (
  message: string,
  ...rest: Extra
) => Error & { readonly code: string; readonly status: number } & Members;

/**
 * The client as it is published, byte for byte. Its `import` condition names a file that is not in the package, so it is
 * taken by `require`, as its users must.
 */
const published: {
  readonly AgentVault: new (options: ClientOptions) => Client;
  readonly ApprovalRequiredError: ErrorClass<[approvalId: string], { readonly approvalId: string }>;
  readonly AuthError: ErrorClass;
  readonly RateLimitError: ErrorClass<[], { readonly retryAfter?: number }>;
  readonly ScopeError: ErrorClass;
  readonly SecretNotFoundError: ErrorClass;
  readonly VaultError: ErrorClass;
} = createRequire(import.meta.url)("@agentsecretstore/sdk");

export const {
  ApprovalRequiredError,
  AuthError,
  RateLimitError,
  ScopeError,
  SecretNotFoundError,
  VaultError,
} = published;

/** The published client and the one call that its own guide shows and version 1.0.0 leaves out. */
export class AgentVault extends published.AgentVault {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    super(options);
    this.#options = options;
  }

  async getApprovalStatus(approvalId: string): Promise<{ readonly status: string }> {
    const { baseUrl = "https://api.agentsecretstore.com", agentKey } = this.#options;
    const response = await fetch(`${baseUrl}/v1/approvals/agent/${approvalId}`, {
      headers: { Authorization: `Bearer ${agentKey}` },
    });
    if (!response.ok) throw new Error(await response.text());
    return response.json() as Promise<{ readonly status: string }>;
  }
}
