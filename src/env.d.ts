/** The Worker's bindings: wrangler.toml's, its secrets, and what local serving adds. */
interface Env {
  readonly DB: D1Database;
  /** Of tenants in the EU, of tenants under FedRAMP: made in that jurisdiction. Without one it has no tenants. */
  readonly DB_EU?: D1Database;
  readonly DB_FEDRAMP?: D1Database;
  readonly SCOPED_TOKEN: DurableObjectNamespace<import("../durable-objects/scoped-token.ts").ScopedToken>;
  readonly TENANT_GATE: DurableObjectNamespace<import("../durable-objects/tenant-gate.ts").TenantGate>;
  readonly AUDIT_LEDGER: DurableObjectNamespace<import("../durable-objects/audit-ledger.ts").AuditLedger>;
  readonly CALLER_QUOTAS: DurableObjectNamespace<import("../durable-objects/caller-quotas.ts").CallerQuotas>;
  readonly APPROVAL_DESK: DurableObjectNamespace<import("../durable-objects/approval-desk.ts").ApprovalDesk>;
  readonly BUDGET_BOOK: DurableObjectNamespace<import("../durable-objects/budget-book.ts").BudgetBook>;
  readonly NOTIFICATION_QUEUE: DurableObjectNamespace<
    import("../durable-objects/notification-queue.ts").NotificationQueue
  >;
  readonly ENVIRONMENT: string;
  /** `version:base64`, newest first, separated by commas. */
  readonly ROOT_KEYS?: string;
  readonly TOKEN_SIGNING_KEYS?: string;
  /** base64 of 32 bytes. */
  readonly PEPPER?: string;
  readonly BOOTSTRAP_CREDENTIAL?: string;
  /** `vko_…`: makes further tenants, and nothing else. Left out: nobody does. */
  readonly OPERATOR_CREDENTIAL?: string;
  /** Where the client's address stands: "cf-connecting-ip" (default, the edge) or "socket" (plain workerd). */
  readonly CLIENT_ADDRESS?: string;
  /** The oldest TLS version that is answered: "1.2" (default) or "1.3"; "terminated": TLS ends in front of the gateway. */
  readonly MIN_TLS?: string;
  /** `https://host[:port]`: where notifications lead people; left out: the host a webhook was made through. */
  readonly GATEWAY_ORIGIN?: string;
  /** Cloudflare's email binding: sends notifications of the kind `email_binding`. */
  readonly SEND_EMAIL?: SendEmail;
  /** Where to report vulnerabilities, and until when that holds: /.well-known/security.txt (api/security-txt.ts). */
  readonly SECURITY_CONTACT?: string;
  readonly SECURITY_EXPIRES?: string;
  /** `reads=600/m,writes=120/m,…`: the control plane's quotas where they are not the defaults (api/quota-settings.ts). */
  readonly RATE_LIMITS?: string;
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
