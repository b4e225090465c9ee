import type { Deployment } from "./api/health.ts";
import { type Quotas, quotasOf } from "./api/quota-settings.ts";
import { QuotaMemory, RateLimits } from "./api/rate-limits.ts";
import type { TokenUses } from "./api/token-uses.ts";
import { Approvals } from "./approvals/approvals.ts";
import { AuditLog } from "./audit/audit.ts";
import { BoundedCache } from "./base/cache.ts";
import { type Clock, systemClock } from "./base/clock.ts";
import { type Database, openDatabase } from "./base/database.ts";
import type { TenantId, TokenId } from "./base/ids.ts";
import { objectIdFor } from "./base/object-ids.ts";
import { Problem } from "./base/problem.ts";
import { Redacted } from "./base/redacted.ts";
import { Connections } from "./connections/connections.ts";
import { type DestinationRules, parseDestination } from "./connections/destination.ts";
import { readSecretUse } from "./connections/secret-use.ts";
import { parseCredential } from "./credentials/kinds.ts";
import { Credentials } from "./credentials/obtain.ts";
import { explainCall, type Explanation } from "./gateway/explain.ts";
import type { Gateway } from "./gateway/gateway.ts";
import { HostMap } from "./gateway/hosts.ts";
import { Agents } from "./identity/agents.ts";
import type { TenantChanges } from "./identity/changes.ts";
import { type GateObject, Leases, type RevocationGate } from "./identity/leases.ts";
import { IdempotencyKeys } from "./identity/idempotency/keys.ts";
import { Members } from "./identity/members.ts";
import { IssuerKeys } from "./identity/oidc/jwks.ts";
import { Proofs } from "./identity/dpop/proofs.ts";
import { createPeople, type People } from "./identity/people.ts";
import { type IssuerMemory, issuerMemory } from "./identity/sign-in.ts";
import { GatedChanges } from "./identity/tenant-changes.ts";
import { TenantCreation } from "./identity/tenant-creation.ts";
import { Tenants } from "./identity/tenants.ts";
import { TrustRules } from "./identity/trust/trust-rules.ts";
import { Workloads } from "./identity/trust/workloads.ts";
import { Admission, TokenMemory } from "./tokens/admission.ts";
import type { TokenObject } from "./tokens/charge.ts";
import { ChildTokens } from "./tokens/child-tokens.ts";
import { ControlPlaneUses } from "./tokens/control-plane-uses.ts";
import { Exchange } from "./tokens/oauth-exchange.ts";
import { RefusalCounts, RefusedExchanges } from "./tokens/oauth-refusals.ts";
import { type TokenClaims, TokenSigner } from "./tokens/token.ts";
import { Tokens } from "./tokens/tokens.ts";
import { AnswerSeal } from "./vault/answer-seal.ts";
import { ClassRotation } from "./vault/class-rotation.ts";
import { embeddedKeyProvider } from "./vault/kms/embedded.ts";
import { SealedTexts } from "./vault/sealed-text.ts";
import { RevealGrants } from "./vault/reveal-grants.ts";
import { Vault } from "./vault/vault.ts";

export const VERSION = "0.1.0";

/** What the doors call, by room; made once per request. */
export interface Services extends People {
  readonly agents: Agents;
  readonly approvals: Approvals;
  readonly audit: AuditLog;
  readonly changes: TenantChanges;
  readonly classRotation: ClassRotation;
  readonly connections: Connections;
  readonly deployment: Deployment;
  readonly exchange: Exchange;
  readonly idempotencyKeys: IdempotencyKeys;
  readonly members: Members;
  /** Under which browsers know this gateway, `https://host[:port]`. */
  readonly origin: string;
  readonly proofs: Proofs;
  readonly rateLimits: RateLimits;
  readonly revealGrants: RevealGrants;
  readonly tenantCreation: TenantCreation;
  readonly tenants: Tenants;
  readonly childTokens: ChildTokens;
  readonly explain: {
    call(asked: Parameters<typeof explainCall>[0]): Promise<Explanation>;
    /** Whose token it is; null where it is none that is alive. No I/O. */
    read(token: string): TokenClaims | null;
  };
  readonly tokens: Tokens;
  readonly tokenUses: TokenUses;
  readonly trustRules: TrustRules;
  readonly vault: Vault;
}

/** What an isolate keeps from one request to the next: bounded caches and parsed settings, no decision. */
interface Isolate {
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
  readonly refusedExchanges: RefusalCounts;
}

/** Looked through for what uses a secret. */
const MAX_CONNECTIONS = 5_000;

const isolates = new WeakMap<Env, Isolate>();

function gateOf(env: Env): (tenantId: TenantId) => GateObject & RevocationGate {
  return (tenantId) => env.TENANT_GATE.get(objectIdFor(env.TENANT_GATE, env.ENVIRONMENT, tenantId));
}

function isolateOf(env: Env, clock: Clock): Isolate {
  const known = isolates.get(env);
  if (known !== undefined) return known;
  const pepper = Buffer.from(env.PEPPER ?? "", "base64");
  if (pepper.byteLength !== 32) throw new Problem("MISCONFIGURED", "PEPPER must be base64 of 32 bytes.");
  const isolate: Isolate = {
    db: openDatabase(env),
    audit: new AuditLog(env.AUDIT_LEDGER, env.ENVIRONMENT),
    signer: new TokenSigner(env.TOKEN_SIGNING_KEYS),
    leases: new Leases({ gate: gateOf(env), clock }),
    memory: new TokenMemory(),
    hosts: new HostMap(env.HOSTS, env.GATEWAY_DOMAIN),
    rules: new BoundedCache(100),
    pepper,
    quotas: quotasOf(env.RATE_LIMITS, env.ENVIRONMENT),
    quotaMemory: new QuotaMemory(),
    keys: embeddedKeyProvider(env.ROOT_KEYS ?? ""),
    issuerKeys: new IssuerKeys({ fetch: (url, init) => fetch(url, init), clock }),
    issuers: issuerMemory(),
    refusedExchanges: new RefusalCounts(),
  };
  isolates.set(env, isolate);
  return isolate;
}

/** The hosts that belong to connections: asked before anything else, to tell the two doors apart. */
export function hostsOf(env: Env): HostMap {
  return isolateOf(env, systemClock).hosts;
}

const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?$/;

/**
 * Development switches count only in development, and only where the gateway is reached on the loopback interface:
 * a deployment that has them on by mistake answers nothing at all.
 */
export function destinationRules(env: Env, ownHost: string, hosts: HostMap): DestinationRules {
  const development = env.ENVIRONMENT === "development";
  if (env.PRIVATE_UPSTREAMS !== undefined && !(development && LOOPBACK.test(ownHost))) {
    throw new Problem(
      "MISCONFIGURED",
      "PRIVATE_UPSTREAMS is a switch for local development and must not be set here.",
    );
  }
  const ownHosts = [...hosts.ownHosts(), ownHost];
  return { privateAllowed: development && env.PRIVATE_UPSTREAMS === "allow", ownHosts };
}

function rulesFor(env: Env, ownHost: string, { hosts, rules }: Isolate): DestinationRules {
  const known = rules.get(ownHost);
  if (known !== undefined) return known;
  const made = destinationRules(env, ownHost, hosts);
  rules.set(ownHost, made);
  return made;
}

/**
 * What browsers call this gateway. Always https, whatever a proxy in front makes of it, but for loopback in development.
 */
function originOf(env: Env, ownHost: string): string {
  const isLocal = env.ENVIRONMENT === "development" && LOOPBACK.test(ownHost);
  return `${isLocal ? "http" : "https"}://${ownHost}`;
}

function warningsOf(env: Env): readonly string[] {
  if (env.ENVIRONMENT === "development") return [];
  return [
    "Tenant keys are derived from a Worker secret (the embedded key provider), not kept in a KMS or HSM.",
  ];
}

/** The id is a hash of the name: remembered, since busy tokens come again. */
function objectIdOf(env: Env, memory: TokenMemory, tokenId: TokenId): DurableObjectId {
  const known = memory.objectIds.get(tokenId);
  if (known !== undefined) return known;
  const id = objectIdFor(env.SCOPED_TOKEN, env.ENVIRONMENT, tokenId);
  memory.objectIds.set(tokenId, id);
  return id;
}

type WaitUntil = (promise: Promise<unknown>) => void;

/** What calls and the control plane both work with, and nothing that calls can do without: made for every request. */
function createCallPath(env: Env, ownHost: string, waitUntil: WaitUntil, clock: Clock) {
  const isolate = isolateOf(env, clock);
  const { db, audit, signer, leases, memory, hosts, keys } = isolate;
  const rules = rulesFor(env, ownHost, isolate);
  const object = (tokenId: TokenId): TokenObject => env.SCOPED_TOKEN.get(objectIdOf(env, memory, tokenId));
  const changes = new GatedChanges({ db, gate: gateOf(env), audit, waitUntil });
  const onEvents = (tenantId: TenantId): void => waitUntil(changes.flush(tenantId));
  const vault = new Vault({ db, keys, changes, clock, waitUntil, onEvents });
  const connections = new Connections({ db, changes, vault, parseCredential, rules, clock, waitUntil });
  const admission = new Admission({ db, signer, memory, object, clock, waitUntil });
  const credentials = new Credentials({ vault });
  const gateway: Gateway = {
    admission,
    leases,
    connections,
    vault,
    credentials,
    hosts,
    rules,
    origin: originOf(env, ownHost),
    fetch: (url, init) => fetch(url, init),
    clock,
    waitUntil,
  };
  return { isolate, object, changes, vault, connections, admission, gateway };
}

/** The call path alone. `ownHost` is the `host[:port]` the request came in by. */
export function createGateway(env: Env, ownHost: string, waitUntil: WaitUntil): Gateway {
  return createCallPath(env, ownHost, waitUntil, systemClock).gateway;
}

/** The composition root: plain objects from `env`, once per request. */
export function createServices(
  env: Env,
  ownHost: string,
  waitUntil: WaitUntil,
  clock: Clock = systemClock,
): Services {
  const { isolate, object, changes, vault, connections, admission, gateway } = createCallPath(
    env,
    ownHost,
    waitUntil,
    clock,
  );
  const { db, audit, signer, leases, pepper, keys, issuerKeys, issuers } = isolate;
  const { origin } = gateway;
  const flush = (tenantId: TenantId): Promise<void> => changes.flush(tenantId);
  const agents = new Agents({ db, changes, clock, pepper, waitUntil });
  const checkDestination = (url: string) => parseDestination(url, rulesFor(env, ownHost, isolate));
  const verification = { keys: issuerKeys, clock, waitUntil, checkDestination };
  const proofs = new Proofs({ origin, clock });
  const approvals = new Approvals({ db, clock, onEvents: (tenantId) => waitUntil(flush(tenantId)) });
  const tokens = new Tokens({
    ...{ db, signer, agents, approvals, changes, leases, object, clock, flush, waitUntil },
    gate: gateOf(env),
  });
  const { BOOTSTRAP_CREDENTIAL: bootstrap, OPERATOR_CREDENTIAL: operator } = env;
  const people = createPeople({
    ...{ db, clock, pepper, origin, waitUntil, memory: issuers, sealed: new SealedTexts(keys) },
    fetch: (url: string, init: RequestInit) => fetch(url, init),
    verification,
    onEvents: (tenantId) => waitUntil(flush(tenantId)),
  });
  return {
    agents,
    approvals,
    audit,
    changes,
    classRotation: new ClassRotation({
      ...{ db, changes, clock },
      secretUse: (tenantId) => readSecretUse(db, tenantId, MAX_CONNECTIONS),
    }),
    connections,
    deployment: { version: VERSION, warnings: warningsOf(env) },
    exchange: new Exchange({
      ...{ tokens, origin, clock },
      workloads: new Workloads({ db, verification }),
      refused: new RefusedExchanges({
        ...{ db, clock, flush, waitUntil },
        counts: isolate.refusedExchanges,
      }),
    }),
    idempotencyKeys: new IdempotencyKeys({ ...{ db, clock, pepper }, seal: new AnswerSeal(pepper) }),
    members: new Members({
      db,
      clock,
      pepper,
      bootstrapCredential: bootstrap ? new Redacted(bootstrap) : null,
      onEvents: (tenantId) => waitUntil(flush(tenantId)),
    }),
    origin,
    proofs,
    ...people,
    revealGrants: new RevealGrants({
      ...{ db, clock, vault, audit },
      mayBeOne: (tenantId, one, other) => people.kinship.mayBeOne(tenantId, one, other),
      onEvents: (tenantId) => waitUntil(flush(tenantId)),
    }),
    rateLimits: new RateLimits({
      ...{ quotas: isolate.quotas, memory: isolate.quotaMemory, clock },
      object: ({ tenantId, actor }) =>
        env.CALLER_QUOTAS.get(objectIdFor(env.CALLER_QUOTAS, env.ENVIRONMENT, `${tenantId} ${actor}`)),
    }),
    tenantCreation: new TenantCreation({
      ...{ db, clock, pepper },
      operatorCredential: operator ? new Redacted(operator) : null,
      checkHome: (tenantId) => void gateOf(env)(tenantId),
      onEvents: (tenantId) => waitUntil(flush(tenantId)),
    }),
    tenants: new Tenants({ db, changes, clock }),
    explain: {
      call: (asked) => explainCall(asked, gateway, connections),
      read: (token) => admission.verify(token),
    },
    childTokens: new ChildTokens({ db, signer, clock, flush, waitUntil }),
    tokens,
    tokenUses: new ControlPlaneUses({ admission, leases, proofs, waitUntil }),
    trustRules: new TrustRules({ db, changes, agents, checkDestination, clock }),
    vault,
  };
}
