import type { Deployment } from "./api/health.ts";
import type { TokenUses } from "./api/token-uses.ts";
import { AuditLog } from "./audit/audit.ts";
import { BoundedCache } from "./base/cache.ts";
import { type Clock, systemClock } from "./base/clock.ts";
import { type Database, openDatabase } from "./base/database.ts";
import type { TenantId, TokenId } from "./base/ids.ts";
import { objectIdFor } from "./base/object-ids.ts";
import { Problem } from "./base/problem.ts";
import { Redacted } from "./base/redacted.ts";
import { Connections } from "./connections/connections.ts";
import type { DestinationRules } from "./connections/destination.ts";
import { parseCredential } from "./credentials/kinds.ts";
import { Credentials } from "./credentials/obtain.ts";
import type { Gateway } from "./gateway/gateway.ts";
import { HostMap } from "./gateway/hosts.ts";
import { Agents } from "./identity/agents.ts";
import type { TenantChanges } from "./identity/changes.ts";
import { type GateObject, Leases, type RevocationGate } from "./identity/leases.ts";
import { Members } from "./identity/members.ts";
import { Sessions } from "./identity/sessions.ts";
import { GatedChanges } from "./identity/tenant-changes.ts";
import { TenantCreation } from "./identity/tenant-creation.ts";
import { Tenants } from "./identity/tenants.ts";
import { Admission, TokenMemory } from "./tokens/admission.ts";
import type { TokenObject } from "./tokens/charge.ts";
import { ControlPlaneUses } from "./tokens/control-plane-uses.ts";
import { TokenSigner } from "./tokens/token.ts";
import { Tokens } from "./tokens/tokens.ts";
import { embeddedKeyProvider } from "./vault/kms/embedded.ts";
import { Vault } from "./vault/vault.ts";

export const VERSION = "0.1.0";

/** What the doors call, by room; made once per request. */
export interface Services {
  readonly agents: Agents;
  readonly audit: AuditLog;
  readonly changes: TenantChanges;
  readonly connections: Connections;
  readonly deployment: Deployment;
  readonly members: Members;
  /** Under which browsers know this gateway, `https://host[:port]`. */
  readonly origin: string;
  readonly sessions: Sessions;
  readonly tenantCreation: TenantCreation;
  readonly tenants: Tenants;
  readonly tokens: Tokens;
  readonly tokenUses: TokenUses;
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
  readonly keys: ReturnType<typeof embeddedKeyProvider>;
}

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
    keys: embeddedKeyProvider(env.ROOT_KEYS ?? ""),
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
  const vault = new Vault({ db, keys, changes, clock, waitUntil });
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
  const { isolate, object, changes, vault, connections, admission } = createCallPath(
    env,
    ownHost,
    waitUntil,
    clock,
  );
  const { db, audit, signer, leases, pepper } = isolate;
  const origin = originOf(env, ownHost);
  const flush = (tenantId: TenantId): Promise<void> => changes.flush(tenantId);
  const agents = new Agents({ db, changes, clock, pepper });
  const { BOOTSTRAP_CREDENTIAL: bootstrap, OPERATOR_CREDENTIAL: operator } = env;
  return {
    agents,
    audit,
    changes,
    connections,
    deployment: { version: VERSION, warnings: warningsOf(env) },
    members: new Members({
      db,
      clock,
      pepper,
      bootstrapCredential: bootstrap ? new Redacted(bootstrap) : null,
      onEvents: (tenantId) => waitUntil(flush(tenantId)),
    }),
    origin,
    sessions: new Sessions({
      ...{ db, clock, pepper, waitUntil, secure: origin.startsWith("https:") },
      onEvents: (tenantId) => waitUntil(flush(tenantId)),
    }),
    tenantCreation: new TenantCreation({
      ...{ db, clock, pepper },
      operatorCredential: operator ? new Redacted(operator) : null,
      checkHome: (tenantId) => void gateOf(env)(tenantId),
      onEvents: (tenantId) => waitUntil(flush(tenantId)),
    }),
    tenants: new Tenants({ db, changes, clock }),
    tokens: new Tokens({
      ...{ db, signer, agents, changes, leases, object, clock, flush, waitUntil },
      gate: gateOf(env),
    }),
    tokenUses: new ControlPlaneUses({ admission, leases, waitUntil }),
    vault,
  };
}
