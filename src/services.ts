import type { Deployment } from "./api/health.ts";
import { type Quotas, quotasOf } from "./api/quota-settings.ts";
import { QuotaMemory, RateLimits } from "./api/rate-limits.ts";
import { requireFresh } from "./api/step-up.ts";
import type { TokenUses } from "./api/token-uses.ts";
import { Approvals } from "./approvals/approvals.ts";
import { Approvers } from "./approvals/approvers.ts";
import { CallsAtDesk } from "./approvals/call-approvals.ts";
import { Desks } from "./approvals/desks.ts";
import { reachOf } from "./approvals/reach.ts";
import { TokenApprovals } from "./approvals/token-approvals.ts";
import { AuditLog } from "./audit/audit.ts";
import { BoundedCache } from "./base/cache.ts";
import { type Clock, systemClock } from "./base/clock.ts";
import { type Database, openDatabase } from "./base/database.ts";
import type { TenantId, TokenId, WebhookId } from "./base/ids.ts";
import { objectIdFor } from "./base/object-ids.ts";
import { Problem } from "./base/problem.ts";
import { Redacted } from "./base/redacted.ts";
import { Budgets } from "./budgets/budgets.ts";
import { bookName } from "./budgets/lease.ts";
import { Connections } from "./connections/connections.ts";
import { type DestinationRules, parseDestination } from "./connections/destination.ts";
import { readSecretUse } from "./connections/secret-use.ts";
import { parseCredential } from "./credentials/kinds.ts";
import { checkUse, Credentials } from "./credentials/obtain.ts";
import { explainCall, type Explanation } from "./gateway/explain.ts";
import type { Gateway } from "./gateway/gateway.ts";
import { readStrictBody } from "./gateway/strict-body.ts";
import { readStrictQuery } from "./gateway/strict-parameters.ts";
import { parseTarget } from "./gateway/target.ts";
import { HostMap } from "./gateway/hosts.ts";
import { Agents } from "./identity/agents.ts";
import { Kinship } from "./identity/kinship.ts";
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
import { ConnectionCall } from "./notifications/connection-call.ts";
import { linkOrigin } from "./notifications/link-origin.ts";
import { disableGone, readReceivers, type Receiver } from "./notifications/receivers.ts";
import { Sender } from "./notifications/sender.ts";
import { Webhooks } from "./notifications/webhooks.ts";
import { createPermissions, permissionNarrowing, type PermissionServices } from "./permissions/create.ts";
import { noteUsedUp } from "./permissions/used-up.ts";
import { Policies } from "./policies/policies.ts";
import { PolicyTrials } from "./policies/policy-trials.ts";
import { Admission, TokenMemory } from "./tokens/admission.ts";
import type { TokenObject } from "./tokens/charge.ts";
import { ChildTokens } from "./tokens/child-tokens.ts";
import { ControlPlaneUses } from "./tokens/control-plane-uses.ts";
import type { Grant } from "./tokens/grant.ts";
import { Exchange } from "./tokens/oauth-exchange.ts";
import { RefusalCounts, RefusedExchanges } from "./tokens/oauth-refusals.ts";
import { type TokenClaims, TokenSigner } from "./tokens/token.ts";
import { Tokens } from "./tokens/tokens.ts";
import { AnswerSeal } from "./vault/answer-seal.ts";
import { ClassRotation } from "./vault/class-rotation.ts";
import { embeddedKeyProvider } from "./vault/kms/embedded.ts";
import { SealedTexts } from "./vault/sealed-text.ts";
import { RevealGrants } from "./vault/reveal-grants.ts";
import { readStrictSecrets } from "./vault/strict-secrets.ts";
import { Vault } from "./vault/vault.ts";

export const VERSION = "0.1.0";

/** What the doors call, by room; made once per request. */
export interface Services extends People, PermissionServices {
  readonly agents: Agents;
  readonly approvals: Approvals;
  readonly audit: AuditLog;
  readonly budgets: Budgets;
  readonly changes: TenantChanges;
  readonly classRotation: ClassRotation;
  readonly connections: Connections;
  readonly deployment: Deployment;
  readonly exchange: Exchange;
  readonly idempotencyKeys: IdempotencyKeys;
  readonly members: Members;
  /** Under which browsers know this gateway, `https://host[:port]`. */
  readonly origin: string;
  readonly policies: Policies;
  readonly policyTrials: PolicyTrials;
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
  readonly webhooks: Webhooks;
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
/** Above the standard tier: a tenant with more of them has all calls tried as if they used a critical one. */
const MAX_STRICT_SECRETS = 5_000;

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

function deskOf(env: Env, tenantId: TenantId) {
  return env.APPROVAL_DESK.get(objectIdFor(env.APPROVAL_DESK, env.ENVIRONMENT, tenantId));
}

/** Every tenant's desk, for whoever asks people. */
function desksOf(env: Env, { db }: Isolate, clock: Clock): Desks {
  const approvers = new Approvers({ db, clock, kinship: new Kinship({ db, clock }) });
  return new Desks({
    object: (tenantId) => deskOf(env, tenantId),
    entitled: (tenantId, voters) => approvers.entitled(tenantId, voters),
  });
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
  const policies = new Policies({
    ...{ db, changes, clock, waitUntil },
    requireFresh: (caller) => requireFresh(caller, clock()),
  });
  const budgets = new Budgets({
    ...{ db, changes, clock, waitUntil, holder: object },
    book: (tenantId, budgetId) =>
      env.BUDGET_BOOK.get(objectIdFor(env.BUDGET_BOOK, env.ENVIRONMENT, bookName(tenantId, budgetId))),
  });
  const onUsedUp = (grant: Grant): Promise<void> => noteUsedUp({ db, clock, onEvents }, grant);
  const admission = new Admission({ db, signer, memory, object, clock, waitUntil, onUsedUp });
  const credentials = new Credentials({ vault });
  const gateway: Gateway = {
    admission,
    leases,
    connections,
    policies,
    budgets,
    vault,
    // Few calls have to wait for people: the others make nothing of it.
    get approvals() {
      return new CallsAtDesk({ desks: desksOf(env, isolate, clock), sealed: new SealedTexts(keys) });
    },
    credentials,
    hosts,
    rules,
    origin: originOf(env, ownHost),
    fetch: (url, init) => fetch(url, init),
    clock,
    waitUntil,
  };
  return { isolate, object, changes, vault, connections, policies, budgets, admission, gateway };
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
  const { isolate, object, changes, vault, connections, policies, budgets, admission, gateway } =
    createCallPath(env, ownHost, waitUntil, clock);
  const { db, audit, signer, leases, pepper, keys, issuerKeys, issuers } = isolate;
  const { origin } = gateway;
  const flush = (tenantId: TenantId): Promise<void> => changes.flush(tenantId);
  const agents = new Agents({ db, changes, clock, pepper, waitUntil });
  const checkDestination = (url: string) => parseDestination(url, rulesFor(env, ownHost, isolate));
  const verification = { keys: issuerKeys, clock, waitUntil, checkDestination };
  const proofs = new Proofs({ origin, clock });
  const desks = desksOf(env, isolate, clock);
  const tokens = new Tokens({
    ...{ db, signer, agents, changes, leases, object, clock, flush, waitUntil },
    approvals: new TokenApprovals({ db, clock, desks, policies }),
    gate: gateOf(env),
  });
  const { BOOTSTRAP_CREDENTIAL: bootstrap, OPERATOR_CREDENTIAL: operator } = env;
  const people = createPeople({
    ...{ db, clock, pepper, origin, waitUntil, memory: issuers, sealed: new SealedTexts(keys) },
    fetch: (url: string, init: RequestInit) => fetch(url, init),
    verification,
    onEvents: (tenantId) => waitUntil(flush(tenantId)),
  });
  const tokenUses = new ControlPlaneUses({ admission, leases, proofs, waitUntil });
  return {
    ...createPermissions({
      ...{ db, desks, agents, tokens, tokenUses, leases, admission, policies, connections, changes },
      ...{ clock, waitUntil },
      reach: reachOf,
      requireFresh: (caller) => requireFresh(caller, clock()),
      onEvents: (tenantId) => waitUntil(flush(tenantId)),
    }),
    agents,
    approvals: new Approvals({
      desks,
      approvers: new Approvers({ db, clock, kinship: people.kinship }),
      sealed: new SealedTexts(keys),
      feed: (tenantId, request) => deskOf(env, tenantId).fetch(request),
      narrowing: { permission: permissionNarrowing },
    }),
    audit,
    budgets,
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
    policies,
    policyTrials: new PolicyTrials({
      ...{ db, audit, connections, clock },
      strictSecrets: async (tenantId) => (await readStrictSecrets(db, tenantId, MAX_STRICT_SECRETS)).value,
      reading: { target: parseTarget, query: readStrictQuery, body: readStrictBody },
    }),
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
    tenants: new Tenants({
      ...{ db, changes, clock },
      requireFresh: (caller) => requireFresh(caller, clock()),
    }),
    explain: {
      call: (asked) => explainCall(asked, gateway, connections),
      read: (token) => admission.verify(token),
    },
    childTokens: new ChildTokens({ db, signer, clock, flush, waitUntil }),
    tokens,
    tokenUses,
    trustRules: new TrustRules({ db, changes, agents, checkDestination, clock }),
    vault,
    webhooks: new Webhooks({
      ...{ db, clock, agents, connections, sealed: new SealedTexts(keys) },
      queue: (tenantId) =>
        env.NOTIFICATION_QUEUE.get(objectIdFor(env.NOTIFICATION_QUEUE, env.ENVIRONMENT, tenantId)),
      rules: gateway.rules,
      origin: linkOrigin(env.GATEWAY_ORIGIN, origin, env.ENVIRONMENT),
      hasEmailBinding: env.SEND_EMAIL !== undefined,
      onEvents: (tenantId) => waitUntil(flush(tenantId)),
    }),
  };
}

/** What a tenant's notification queue works with (durable-objects/notification-queue.ts). */
export interface Notifier {
  readonly sender: Sender;
  receivers(tenantId: TenantId): Promise<readonly Receiver[]>;
  /** Switches one off that said 410. */
  disableGone(tenantId: TenantId, webhookId: WebhookId): Promise<void>;
}

/** No request is at hand: what may be reached follows from the origin that a receiver was made through. */
export function createNotifier(env: Env, waitUntil: WaitUntil, clock: Clock = systemClock): Notifier {
  const { isolate, changes, vault, connections, gateway } = createCallPath(
    env,
    "localhost",
    waitUntil,
    clock,
  );
  const { audit, db, keys, leases } = isolate;
  const { credentials, fetch } = gateway;
  return {
    sender: new Sender({
      connectionCall: new ConnectionCall({
        ...{ leases, connections, vault, credentials, parseCredential, checkUse },
        ...{ audit, fetch, clock, waitUntil },
      }),
      sealed: new SealedTexts(keys),
      rulesFor: (origin) => rulesFor(env, new URL(origin).host, isolate),
      emailBinding: env.SEND_EMAIL ?? null,
      ...{ fetch, clock },
    }),
    receivers: async (tenantId) =>
      (await readReceivers(db, tenantId)).map((receiver) => ({
        ...receiver,
        origin: linkOrigin(env.GATEWAY_ORIGIN, receiver.origin, env.ENVIRONMENT),
      })),
    async disableGone(tenantId, webhookId) {
      await disableGone(db, tenantId, webhookId, clock());
      await changes.flush(tenantId);
    },
  };
}
