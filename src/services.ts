import { type Deployment, deploymentOf } from "./api/deployment.ts";
import { RateLimits } from "./api/rate-limits.ts";
import { requireFresh } from "./api/step-up.ts";
import type { TokenUses } from "./api/token-uses.ts";
import { Approvals } from "./approvals/approvals.ts";
import { Approvers } from "./approvals/approvers.ts";
import { readReach } from "./approvals/read-reach.ts";
import { TokenApprovals } from "./approvals/token-approvals.ts";
import type { AuditLog } from "./audit/audit.ts";
import { type Clock, systemClock } from "./base/clock.ts";
import type { TenantId } from "./base/ids.ts";
import { Redacted } from "./base/redacted.ts";
import type { Budgets } from "./budgets/budgets.ts";
import type { Connections } from "./connections/connections.ts";
import { parseDestination } from "./connections/destination.ts";
import { readSecretUse } from "./connections/secret-use.ts";
import { explainCall, type Explanation } from "./gateway/explain.ts";
import { readStrictBody } from "./gateway/strict-body.ts";
import { readStrictQuery } from "./gateway/strict-parameters.ts";
import { parseTarget } from "./gateway/target.ts";
import { Agents } from "./identity/agents.ts";
import { Kinship } from "./identity/kinship.ts";
import type { TenantChanges } from "./identity/changes.ts";
import { IdempotencyKeys } from "./identity/idempotency/keys.ts";
import { Members } from "./identity/members.ts";
import { Proofs } from "./identity/dpop/proofs.ts";
import { createPeople, type People } from "./identity/people.ts";
import { TenantCreation } from "./identity/tenant-creation.ts";
import { Tenants } from "./identity/tenants.ts";
import { TrustRules } from "./identity/trust/trust-rules.ts";
import { Workloads } from "./identity/trust/workloads.ts";
import { linkOrigin } from "./notifications/link-origin.ts";
import { Webhooks } from "./notifications/webhooks.ts";
import { createPermissions, permissionNarrowing, type PermissionServices } from "./permissions/create.ts";
import type { Policies } from "./policies/policies.ts";
import { PolicyTrials } from "./policies/policy-trials.ts";
import { ChildTokens } from "./tokens/child-tokens.ts";
import { ControlPlaneUses } from "./tokens/control-plane-uses.ts";
import { Exchange } from "./tokens/oauth-exchange.ts";
import { RefusedRequests } from "./tokens/refused-requests.ts";
import { type TokenClaims } from "./tokens/token.ts";
import { Tokens } from "./tokens/tokens.ts";
import { AnswerSeal } from "./vault/answer-seal.ts";
import { ClassRotation } from "./vault/class-rotation.ts";
import { SealedTexts } from "./vault/sealed-text.ts";
import { RevealGrants } from "./vault/reveal-grants.ts";
import { readStrictSecrets } from "./vault/strict-secrets.ts";
import type { Vault } from "./vault/vault.ts";
import { createCallPath, desksOf, type WaitUntil } from "./call-path.ts";
import { rulesFor } from "./isolate.ts";
import { callerQuotasOf, deskOf, gateOf, notificationQueueOf } from "./objects.ts";

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
  readonly refusedRequests: RefusedRequests;
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

/** Looked through for what uses a secret. */
const MAX_CONNECTIONS = 5_000;
/** Above the standard tier: a tenant with more of them has all calls tried as if they used a critical one. */
const MAX_STRICT_SECRETS = 5_000;

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
  const agents = new Agents({
    ...{ db, changes, clock, pepper, waitUntil },
    requireVetted: (caller) => new Kinship({ db, clock }).requireVetted(caller),
  });
  const checkDestination = (url: string) => parseDestination(url, rulesFor(env, ownHost, isolate));
  const verification = { keys: issuerKeys, clock, waitUntil, checkDestination };
  const proofs = new Proofs({ origin, clock });
  const desks = desksOf(env, isolate, clock);
  const tokens = new Tokens({
    ...{ db, signer, agents, changes, leases, object, clock, flush, waitUntil },
    approvals: new TokenApprovals({ db, clock, desks, policies }),
    gate: (tenantId) => gateOf(env, tenantId),
  });
  const { BOOTSTRAP_CREDENTIAL: bootstrap, OPERATOR_CREDENTIAL: operator } = env;
  const people = createPeople({
    ...{ db, clock, pepper, origin, waitUntil, memory: issuers, sealed: new SealedTexts(keys) },
    fetch: (url: string, init: RequestInit) => fetch(url, init),
    verification,
    onEvents: (tenantId) => waitUntil(flush(tenantId)),
  });
  const refusedRequests = new RefusedRequests({
    ...{ db, clock, flush, waitUntil },
    counts: isolate.refusedRequests,
  });
  const tokenUses = new ControlPlaneUses({ admission, leases, proofs, waitUntil });
  return {
    ...createPermissions({
      ...{ db, desks, agents, tokens, tokenUses, proofs, leases, admission, policies, connections, changes },
      ...{ clock, waitUntil },
      reach: (tenantId, scopes) => readReach(db, tenantId, scopes),
      requireFresh: (caller) => requireFresh(caller, clock()),
      requireVetted: (caller) => people.kinship.requireVetted(caller),
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
    deployment: deploymentOf(env),
    exchange: new Exchange({
      ...{ tokens, origin, clock },
      workloads: new Workloads({ db, verification }),
      refused: refusedRequests,
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
    refusedRequests,
    revealGrants: new RevealGrants({
      ...{ db, clock, vault, audit },
      mayBeOne: (tenantId, one, other) => people.kinship.mayBeOne(tenantId, one, other),
      onEvents: (tenantId) => waitUntil(flush(tenantId)),
    }),
    rateLimits: new RateLimits({
      ...{ quotas: isolate.quotas, memory: isolate.quotaMemory, clock },
      object: ({ tenantId, actor }) => callerQuotasOf(env, tenantId, actor),
    }),
    tenantCreation: new TenantCreation({
      ...{ db, clock, pepper },
      operatorCredential: operator ? new Redacted(operator) : null,
      checkHome: (tenantId) => void gateOf(env, tenantId),
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
      queue: (tenantId) => notificationQueueOf(env, tenantId),
      rules: gateway.rules,
      origin: linkOrigin(env.GATEWAY_ORIGIN, origin, env.ENVIRONMENT),
      hasEmailBinding: env.SEND_EMAIL !== undefined,
      onEvents: (tenantId) => waitUntil(flush(tenantId)),
    }),
  };
}
