import { beforeAll, describe, expect, test } from "vitest";
import { ENDPOINTS } from "../../../src/api/endpoints.ts";
import type { Role } from "../../../src/identity/caller.ts";
import { countRows, newTenant, outboxEmpty, ROLES, send } from "./door.ts";

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
  getMe: anyone,

  bootstrap: [],
  getTenant: ["admin"],
  updateTenant: ["admin"],
  freeze: writers,

  listSessions: members,
  endSessions: members,
  endSession: members,
  signOut: members,

  createAgent: ["admin"],
  listAgents: members,
  getAgent: members,
  updateAgent: ["admin"],
  deleteAgent: ["admin"],
  createAgentKey: ["admin"],
  deleteAgentKey: ["admin"],

  issueToken: ["agent"],
  listTokens: [...readers, "agent"],
  revokeTokens: writers,
  getToken: [...readers, "agent"],
  revokeToken: [...writers, "agent"],
  introspectToken: [...readers, "agent"],

  listSecrets: [...readers, "token"],
  importSecrets: [...writers, "token"],
  readSecret: [...readers, "token"],
  putSecret: [...writers, "token"],
  deleteSecret: [...writers, "token"],
  listSecretVersions: writers,
  rotateSecret: writers,
  rollBackSecret: writers,
  listNamespaces: [...readers, "token"],

  createConnection: writers,
  listConnections: readers,
  getConnection: readers,
  updateConnection: writers,
  deleteConnection: writers,
  listProviders: anyone,
  getProvider: anyone,

  queryAudit: ["auditor", "admin"],
};

let tenant: Awaited<ReturnType<typeof newTenant>>;
const credentials: Partial<Record<WhoCalls, string>> = {};
beforeAll(async () => {
  tenant = await newTenant();
  const agent = await newAgent({ allowed_scopes: ["namespaces:read"] });
  const body = { scopes: ["namespaces:read"], ttl: "10m" };
  const issued = await send("POST", "/v1/tokens", { credential: agent.api_key, body });
  Object.assign(credentials, tenant, { agent: agent.api_key, token: issued.body.token });
});

async function newAgent(over: object = {}) {
  return (await send("POST", "/v1/agents", { credential: tenant.admin, body: { name: "a", ...over } })).body;
}

describe("attack 87: every caller on every endpoint", () => {
  test("attack 87: every endpoint has its row, and every row its endpoint", () => {
    const operations = ENDPOINTS.map(({ operationId }) => operationId);
    expect(Object.keys(DECIDED).toSorted()).toEqual(operations.toSorted());
  });

  // With input that no endpoint takes: whoever comes through the door gets no further, and nothing is written.
  test.each(ENDPOINTS)("attack 87: $method $path", async ({ method, path, operationId, body }) => {
    const decided = DECIDED[operationId] ?? [];
    const target = path.replaceAll(/\{\+?[a-z_]+\}/g, "-");
    await outboxEmpty();
    const before = await countRows();
    for (const who of CALLERS) {
      const credential = credentials[who];
      const answer = await send(method, target, {
        ...(credential === undefined ? {} : { credential }),
        ...(body === undefined ? {} : { body: "{" }),
      });
      const got = [answer.status, answer.body.error?.code];
      if (decided.includes(who)) {
        expect(got, who).not.toContain("ROLE_DENIED");
        expect(got, who).not.toContain("UNAUTHORIZED");
      } else if (who === "nobody" || operationId === "bootstrap") {
        expect(got, who).toEqual([401, "UNAUTHORIZED"]);
      } else {
        expect(got, who).toEqual([403, "ROLE_DENIED"]);
      }
    }
    expect(await countRows()).toEqual(before);
  });
});

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
