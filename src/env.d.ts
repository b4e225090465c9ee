/** The Worker's bindings: wrangler.toml's, its secrets, and what local serving adds. */
interface Env {
  readonly DB: D1Database;
  readonly SCOPED_TOKEN: DurableObjectNamespace<import("../durable-objects/scoped-token.ts").ScopedToken>;
  readonly TENANT_GATE: DurableObjectNamespace<import("../durable-objects/tenant-gate.ts").TenantGate>;
  readonly AUDIT_LEDGER: DurableObjectNamespace<import("../durable-objects/audit-ledger.ts").AuditLedger>;
  readonly ENVIRONMENT: string;
  /** `version:base64`, newest first, separated by commas. */
  readonly ROOT_KEYS?: string;
  readonly TOKEN_SIGNING_KEYS?: string;
  /** base64 of 32 bytes. */
  readonly PEPPER?: string;
  readonly BOOTSTRAP_CREDENTIAL?: string;
  /** Where the client's address stands: "cf-connecting-ip" (default, the edge) or "socket" (plain workerd). */
  readonly CLIENT_ADDRESS?: string;
  /** `host[:port]=connection` pairs, separated by commas: hosts that belong to a connection. */
  readonly HOSTS?: string;
  /** Connections are also served at `{slug}.{GATEWAY_DOMAIN}`. */
  readonly GATEWAY_DOMAIN?: string;
  /** "allow": upstreams on http or private addresses. Honoured in development only. */
  readonly PRIVATE_UPSTREAMS?: string;
}

declare namespace Cloudflare {
  interface Env extends globalThis.Env {}
}
