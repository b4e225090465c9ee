import { type Quotas, quotasOf } from "./api/quota-settings.ts";
import { QuotaMemory } from "./api/rate-limits.ts";
import { AuditLog } from "./audit/audit.ts";
import { BoundedCache } from "./base/cache.ts";
import { type Clock, systemClock } from "./base/clock.ts";
import { type Database, openDatabase } from "./base/database.ts";
import { Problem } from "./base/problem.ts";
import type { DestinationRules } from "./connections/destination.ts";
import { HostMap } from "./gateway/hosts.ts";
import { type IssuerMemory, issuerMemory } from "./identity/issuer-endpoints.ts";
import { Leases } from "./identity/leases.ts";
import { IssuerKeys } from "./identity/oidc/jwks.ts";
import { gateOf } from "./objects.ts";
import { destinationRules } from "./own-host.ts";
import { TokenMemory } from "./tokens/admission.ts";
import { RefusalCounts } from "./tokens/refused-requests.ts";
import { TokenSigner } from "./tokens/token.ts";
import { embeddedKeyProvider } from "./vault/kms/embedded.ts";

/** What an isolate keeps from one request to the next: bounded caches and parsed settings, no decision. */
export interface Isolate {
  readonly db: Database;
  readonly audit: AuditLog;
  readonly signer: TokenSigner;
  readonly leases: Leases;
  readonly memory: TokenMemory;
  readonly hosts: HostMap;
  /** By the host a request came in by. */
  readonly rules: BoundedCache<string, DestinationRules>;
  readonly pepper: Uint8Array;
  readonly quotas: Quotas;
  readonly quotaMemory: QuotaMemory;
  readonly keys: ReturnType<typeof embeddedKeyProvider>;
  readonly issuerKeys: IssuerKeys;
  readonly issuers: IssuerMemory;
  readonly refusedRequests: RefusalCounts;
}

const isolates = new WeakMap<Env, Isolate>();

/** The one of this deployment. Throws MISCONFIGURED where a setting of it is unusable. */
export function isolateOf(env: Env, clock: Clock): Isolate {
  const known = isolates.get(env);
  if (known !== undefined) return known;
  const pepper = Buffer.from(env.PEPPER ?? "", "base64");
  if (pepper.byteLength !== 32) throw new Problem("MISCONFIGURED", "PEPPER must be base64 of 32 bytes.");
  const isolate: Isolate = {
    db: openDatabase(env),
    audit: new AuditLog(env.AUDIT_LEDGER, env.ENVIRONMENT),
    signer: new TokenSigner(env.TOKEN_SIGNING_KEYS),
    leases: new Leases({ gate: (tenantId) => gateOf(env, tenantId), clock }),
    memory: new TokenMemory(),
    hosts: new HostMap(env.HOSTS, env.GATEWAY_DOMAIN),
    rules: new BoundedCache(100),
    pepper,
    quotas: quotasOf(env.RATE_LIMITS, env.ENVIRONMENT),
    quotaMemory: new QuotaMemory(),
    keys: embeddedKeyProvider(env.ROOT_KEYS ?? ""),
    issuerKeys: new IssuerKeys({ fetch: (url, init) => fetch(url, init), clock }),
    issuers: issuerMemory(),
    refusedRequests: new RefusalCounts(),
  };
  isolates.set(env, isolate);
  return isolate;
}

/** The hosts that belong to connections: asked before anything else, to tell the two doors apart. */
export function hostsOf(env: Env): HostMap {
  return isolateOf(env, systemClock).hosts;
}

/** As `destinationRules`, once per host. */
export function rulesFor(env: Env, ownHost: string, { hosts, rules }: Isolate): DestinationRules {
  const known = rules.get(ownHost);
  if (known !== undefined) return known;
  const made = destinationRules(env, ownHost, hosts);
  rules.set(ownHost, made);
  return made;
}
