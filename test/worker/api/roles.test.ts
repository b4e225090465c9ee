import { beforeAll, describe, expect, test } from "vitest";
import { ENDPOINTS } from "../../../src/api/endpoints.ts";
import type { Role } from "../../../src/identity/caller.ts";
import { type SignedIn, signedIn } from "../support/signed-in.ts";
import { countRows, newTenant, outboxEmpty, ROLES, send, type Sent } from "./door.ts";

const CALLERS = ["nobody", ...ROLES, "agent", "token"] as const;
type WhoCalls = (typeof CALLERS)[number];

const everybody = CALLERS;
const anyone = ["admin", "editor", "viewer", "auditor", "agent", "token"] as const;
const members = ROLES;
const readers = ["admin", "editor", "viewer"] as const;
const writers = ["admin", "editor"] as const;

/**
 * Who comes through which endpoint's door; everybody else is refused. An endpoint that is not here fails: decide who
 * may call it, and write it down. What a token may do beyond the door is its scopes' matter.
 */
const DECIDED: Readonly<Record<string, readonly WhoCalls[]>> = {
  getOpenApi: everybody,
  getReferencePage: everybody,
  getReferenceScript: everybody,
  getHealth: everybody,
  getSecurityTxt: everybody,
  getMe: anyone,

  bootstrap: [],
  createTenant: [],
  bootstrapTenant: [],
  getTenant: ["admin"],
  updateTenant: ["admin"],
  freeze: writers,

  createMember: ["admin"],
  listMembers: ["admin"],
  getMember: ["admin"],
  updateMember: ["admin"],
  deleteMember: ["admin"],
  rotateMemberCredential: ["admin"],
  createIdentityProvider: ["admin"],
  listIdentityProviders: ["admin"],
  getIdentityProvider: ["admin"],
  updateIdentityProvider: ["admin"],
  deleteIdentityProvider: ["admin"],
  beginSignIn: everybody,
  finishSignIn: everybody,
  listSessions: members,
  endSessions: members,
  endSession: members,
  signOut: members,

  getSignInPage: everybody,
  getEnrolmentPage: everybody,
  getSignInScript: everybody,
  getSignInStyle: everybody,
  passkeySignInOptions: everybody,
  passkeySignIn: everybody,
  passkeyRegistrationOptions: members,
  registerPasskey: members,
  listPasskeys: members,
  deletePasskey: members,
  createEnrolment: ["admin"],
  enrolmentOptions: everybody,
  enrol: everybody,

  createAgent: ["admin"],
  listAgents: members,
  getAgent: members,
  updateAgent: ["admin"],
  deleteAgent: ["admin"],
  createAgentKey: ["admin"],
  deleteAgentKey: ["admin"],

  listTrustRules: members,
  createTrustRule: ["admin"],
  deleteTrustRule: ["admin"],

  exchangeToken: everybody,
  revokeOwnToken: [...writers, "agent", "token"],
  getAuthorizationServer: everybody,
  getProtectedResource: everybody,

  issueToken: ["agent"],
  issueChildToken: ["token"],
  listTokens: [...readers, "agent"],
  revokeTokens: writers,
  getToken: [...readers, "agent"],
  revokeToken: [...writers, "agent"],
  explainCall: [...readers, "agent", "token"],
  introspectToken: [...readers, "agent"],

  listSecrets: [...readers, "token"],
  exportSecrets: readers,
  importSecrets: [...writers, "token"],
  readSecret: [...readers, "token"],
  putSecret: [...writers, "token"],
  updateSecret: [...writers, "token"],
  deleteSecret: [...writers, "token"],
  restoreSecret: writers,
  purgeSecret: ["admin"],
  listSecretVersions: writers,
  rotateSecret: writers,
  rollBackSecret: writers,
  rotateClass: ["admin"],
  listNamespaces: [...readers, "token"],

  createRevealGrant: writers,
  listRevealGrants: ["admin", "editor", "auditor"],
  approveRevealGrant: ["admin"],
  endRevealGrant: writers,
  revealSecret: writers,
  getNamespace: readers,
  putNamespace: ["admin"],
  resetNamespace: ["admin"],

  createBudget: writers,
  listBudgets: readers,
  getBudget: readers,
  updateBudget: writers,
  deleteBudget: writers,
  getBudgetState: readers,

  createConnection: writers,
  listConnections: readers,
  getConnection: readers,
  updateConnection: writers,
  deleteConnection: writers,
  listProviders: anyone,
  getProvider: anyone,

  createPolicy: writers,
  listPolicies: members,
  getPolicy: members,
  updatePolicy: writers,
  deletePolicy: writers,
  listPolicyVersions: members,
  rollBackPolicy: writers,
  listPolicyTemplates: members,
  testPolicies: readers,
  testPoliciesOnRecord: ["admin", "auditor"],

  createAction: writers,
  listActions: [...members, "agent"],
  getAction: [...members, "agent"],
  updateAction: writers,
  deleteAction: writers,
  requestPermission: ["agent"],
  listPermissions: [...members, "agent"],
  getPermission: [...members, "agent"],
  verifyPermission: ["agent"],
  usePermission: ["agent"],
  revokePermission: [...writers, "agent"],
  deletePermission: [...writers, "agent"],

  listApprovals: writers,
  watchApprovals: writers,
  getApproval: writers,
  approve: writers,
  deny: writers,
  cancelApproval: writers,
  getApprovalsPage: everybody,
  getApprovalPage: everybody,
  getApprovalsScript: everybody,
  getApprovalsStyle: everybody,
  getOwnApproval: ["agent", "token"],
  cancelOwnApproval: ["agent", "token"],

  createWebhook: writers,
  listWebhooks: writers,
  getWebhook: writers,
  updateWebhook: writers,
  deleteWebhook: writers,
  rotateWebhookSecret: writers,
  listDeliveries: writers,
  replayDelivery: writers,
  testWebhook: writers,

  queryAudit: ["auditor", "admin"],
  getMetrics: ["auditor", "admin", "editor"],
  exportAudit: ["auditor", "admin"],
};

/** What changes keys, members or who is believed, or shows plaintext: a person must have shown who they are just before. */
const STEP_UP = [
  "createMember",
  "updateMember",
  "deleteMember",
  "rotateMemberCredential",
  "createIdentityProvider",
  "updateIdentityProvider",
  "deleteIdentityProvider",
  "passkeyRegistrationOptions",
  "registerPasskey",
  "deletePasskey",
  "createEnrolment",
  "createAgent",
  "createAgentKey",
  "deleteAgentKey",
  "createTrustRule",
  "deleteTrustRule",
  "purgeSecret",
  "rotateClass",
  "createRevealGrant",
  "approveRevealGrant",
  "approve",
  "revealSecret",
  "createWebhook",
  "updateWebhook",
  "rotateWebhookSecret",
  "updateAgent",
  "updateTenant",
  "putNamespace",
  "resetNamespace",
];

/** Nobody's of a tenant: whatever a tenant's credential is, here it is none. */
const DEPLOYMENTS_OWN = ["bootstrap", "createTenant", "bootstrapTenant"];

let tenant: Awaited<ReturnType<typeof newTenant>>;
const credentials: Partial<Record<WhoCalls, string>> = {};
const people = new Map<WhoCalls, SignedIn>();
/** People whose sign-in is 6 minutes old. */
const stale = new Map<WhoCalls, SignedIn>();
beforeAll(async () => {
  tenant = await newTenant();
  const agent = await newAgent({ allowed_scopes: ["namespaces:read"] });
  const body = { scopes: ["namespaces:read"], ttl: "10m" };
  const issued = await send("POST", "/v1/tokens", { credential: agent.api_key, body });
  Object.assign(credentials, tenant, { agent: agent.api_key, token: issued.body.token });
  for (const role of ROLES) {
    people.set(role, await signedIn(tenant.tenantId, role));
    stale.set(role, await signedIn(tenant.tenantId, role, { authenticatedAt: Date.now() - 6 * 60_000 }));
  }
});

/** What a caller shows: a role is a credential for scripts', or a session's where people alone are let in. */
function shown(who: WhoCalls, isPerson: boolean): Pick<Sent, "credential" | "headers"> {
  const person = people.get(who);
  if (isPerson && person !== undefined) return { headers: person.headers };
  const credential = credentials[who];
  return credential === undefined ? {} : { credential };
}

const forPeople = ({ access }: (typeof ENDPOINTS)[number]) =>
  typeof access === "object" && access.person === true;

async function newAgent(over: object = {}) {
  return (await send("POST", "/v1/agents", { credential: tenant.admin, body: { name: "a", ...over } })).body;
}

describe("attack 87: every caller on every endpoint", () => {
  test("attack 87: every endpoint has its row, and every row its endpoint", () => {
    const operations = ENDPOINTS.map(({ operationId }) => operationId);
    expect(Object.keys(DECIDED).toSorted()).toEqual(operations.toSorted());
  });

  // With input that no endpoint takes: whoever comes through the door gets no further, and nothing is written.
  test.each(ENDPOINTS)("attack 87: $method $path", async (endpoint) => {
    const { method, operationId } = endpoint;
    const decided = DECIDED[operationId] ?? [];
    const { target, body } = nonsense(endpoint);
    await outboxEmpty();
    const before = await countRows();
    for (const who of CALLERS) {
      const answer = await send(method, target, { ...shown(who, forPeople(endpoint)), ...body });
      const got = [answer.status, answer.body.code ?? answer.body.error?.code];
      if (decided.includes(who)) {
        expect(got, who).not.toContain("ROLE_DENIED");
        expect(got, who).not.toContain("UNAUTHORIZED");
      } else if (who === "nobody" || DEPLOYMENTS_OWN.includes(operationId)) {
        expect(got, who).toEqual([401, "UNAUTHORIZED"]);
      } else {
        expect(got, who).toEqual([403, "ROLE_DENIED"]);
      }
    }
    expect(await countRows()).toEqual(before);
  });

  test.each(ENDPOINTS.filter(forPeople))(
    "attack 87: $method $path takes people, and no credential for scripts of any role",
    async (endpoint) => {
      const { target, body } = nonsense(endpoint);
      for (const role of ROLES) {
        const answer = await send(endpoint.method, target, { credential: tenant[role], ...body });
        expect([answer.status, answer.body.error.code], role).toEqual([403, "ROLE_DENIED"]);
      }
    },
  );

  test("attack 87: what takes a fresh sign-in is decided", () => {
    const declared = ENDPOINTS.filter(({ stepUp }) => stepUp).map(({ operationId }) => operationId);
    expect(declared.toSorted()).toEqual(STEP_UP.toSorted());
  });

  test.each(ENDPOINTS.filter(({ stepUp }) => stepUp))(
    "attack 87: $method $path takes a person's sign-in of the last 5 minutes, not an older one",
    async (endpoint) => {
      const { target, body } = nonsense(endpoint);
      for (const role of ROLES.filter((one) => DECIDED[endpoint.operationId]?.includes(one))) {
        for (const [person, isRefused] of [
          [stale.get(role), true],
          [people.get(role), false],
        ] as const) {
          const answer = await send(endpoint.method, target, { headers: person?.headers ?? {}, ...body });
          const code = answer.body.error?.code;
          if (isRefused) expect([answer.status, code], role).toEqual([403, "STEP_UP_REQUIRED"]);
          else expect(["STEP_UP_REQUIRED", "ROLE_DENIED", "UNAUTHORIZED"], role).not.toContain(code);
        }
      }
    },
  );
});

/** Input that no endpoint takes. */
function nonsense({ path, body }: (typeof ENDPOINTS)[number]) {
  const target = `${path.replaceAll(/\{\+?[a-z_]+\}/g, "-")}?nonsense=1`;
  return { target, body: body === undefined ? {} : { body: "{" } };
}

/** What members manage, with input that is good: who may, can. */
const GOOD: [method: string, path: string, operationId: string, body?: object][] = [
  ["GET", "/v1/me", "getMe"],
  ["GET", "/v1/agents", "listAgents"],
  ["GET", "/v1/agents/{agent}", "getAgent"],
  ["POST", "/v1/agents", "createAgent", { name: "another" }],
  ["PATCH", "/v1/agents/{agent}", "updateAgent", { name: "renamed" }],
  ["POST", "/v1/agents/{agent}/keys", "createAgentKey", {}],
  ["DELETE", "/v1/agents/{agent}/keys/{key}", "deleteAgentKey"],
  ["DELETE", "/v1/agents/{agent}", "deleteAgent"],
  ["GET", "/v1/tenant", "getTenant"],
  ["PATCH", "/v1/tenant", "updateTenant", { reveal: "deny" }],
  ["POST", "/v1/freeze", "freeze", { frozen: false, reason: "a test" }],
  ["GET", "/v1/audit", "queryAudit"],
];

describe("attack 87: roles with good input", () => {
  test.each(GOOD)("attack 87: %s %s", async (method, path, operationId, body) => {
    const allowed = ROLES.filter((role) => DECIDED[operationId]?.includes(role));
    const agent = await newAgent();
    const target = path.replace("{agent}", agent.id).replace("{key}", agent.key_id);
    await outboxEmpty();
    const before = await countRows();
    for (const role of ROLES.filter((one) => !allowed.includes(one))) {
      const answer = await send(method, target, { credential: tenant[role], body });
      expect([answer.status, answer.body.error.code], role).toEqual([403, "ROLE_DENIED"]);
      for (const named of [...allowed, role]) expect(answer.body.detail).toContain(named);
    }
    expect(await countRows()).toEqual(before);
    const role: Role = allowed.at(-1) ?? "admin";
    const answer = await send(method, target, { credential: tenant[role], body });
    expect(answer.status, role).toBeLessThan(300);
  });

  test("an agent may ask who it is", async () => {
    const agent = await newAgent();
    expect((await send("GET", "/v1/me", { credential: agent.api_key })).status).toBe(200);
  });
});
