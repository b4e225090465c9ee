import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type ApiAnswer,
  type ApiClient,
  createTenant,
  type IssuedToken,
  type TestTenant,
} from "../support/tenant.ts";
import { databaseOf } from "./database.ts";
import { codeOf, KINDS, type Lab, openLab } from "./support.ts";

/* Two tenants of one deployment, each with everything a tenant has. One of them knows every id of the other's. */

const OURS = "our-credential-41d0c7e2b9a8f356";
const THEIRS = "their-credential-9c2b7e0d14f8a365";

let lab: Lab;
let theirs: TestTenant;
let theirAgent: Awaited<ReturnType<TestTenant["agent"]>>;
let theirToken: IssuedToken;
let theirKey: string;
let theirCursors: Readonly<Record<string, string>>;
let ourAgent: Awaited<ReturnType<TestTenant["agent"]>>;

/** The bootstrap credential works once. A deployment with a second tenant is made by forgetting that it did. */
async function forgetBootstrap(): Promise<void> {
  await lab.gateway.kill();
  const database = databaseOf(lab.gateway.stateDir);
  database.exec("DELETE FROM bootstraps");
  database.close();
  await lab.gateway.restart();
}

beforeAll(async () => {
  lab = await openLab(() => ({ ours: { value: OURS } }));
  ourAgent = await lab.tenant.agent({ name: "our agent" });
  await forgetBootstrap();
  theirs = await createTenant(lab.gateway);
  expect(theirs.tenantId).not.toBe(lab.tenant.tenantId);
  await theirs.connect("theirs", { base_url: lab.upstream.url, credential: KINDS.bearer, value: THEIRS });
  await theirs.putSecret("theirs/more/SECOND_KEY", "their-second-credential-5a17");
  theirAgent = await theirs.agent({ name: "their agent" });
  ({ id: theirKey } = await theirs.admin.must("POST", `/v1/agents/${theirAgent.id}/keys`));
  theirToken = await theirAgent.issue(["connections:call:*", "secrets:*:*"]);
  await theirAgent.issue(["connections:call:*"]);
  expect((await asThem("/proxy/theirs/x")).status).toBe(200);
  const cursor = async (list: string): Promise<string> =>
    (await theirs.admin.must("GET", `${list}?limit=1`)).next_cursor;
  theirCursors = {
    "/v1/agents": await cursor("/v1/agents"),
    "/v1/tokens": await cursor("/v1/tokens"),
    "/v1/secrets": await cursor("/v1/secrets"),
    "/v1/audit": await cursor("/v1/audit"),
  };
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
});

const asThem = (target: string) => lab.send(target, { authorization: `Bearer ${theirToken.token}` });

/** An id of the same kind that never was. */
const absent = (id: string) => id.replace(/[0-9a-f]{24}$/, "0123456789abcdef01234567");

/** What an answer says, without what differs between any two and without the name that was asked for. */
function said({ status, headers, body }: ApiAnswer, name: string): unknown {
  const { request_id: _id, instance: _instance, ...rest } = body;
  // How much is left of a limit goes down with every question, whatever it asks for.
  const own = [...headers]
    .filter(([field]) => !/^(x-request-id|date)$/i.test(field))
    .map(([field, value]) => [field, field === "ratelimit" ? value.replace(/;r=\d+;t=\d+/g, "") : value]);
  return JSON.parse(JSON.stringify([status, own, rest]).replaceAll(name, "(name)"));
}

/** `{name}` stands for what is asked for. */
type Ask = readonly [method: string, target: string, body?: (name: string) => object];
type Named = readonly [
  what: string,
  name: () => string,
  never: (name: string) => string,
  asks: readonly Ask[],
];

const sameLength = (name: string) => name.replace(/^theirs/, "absent");

const ROUTES: readonly Named[] = [
  [
    "agent",
    () => theirAgent.id,
    absent,
    [
      ["GET", "/v1/agents/{name}"],
      ["PATCH", "/v1/agents/{name}", () => ({ description: "ours now" })],
      ["DELETE", "/v1/agents/{name}"],
      ["POST", "/v1/agents/{name}/keys"],
    ],
  ],
  [
    "agent's key",
    () => theirKey,
    absent,
    [
      ["DELETE", "/v1/agents/{their agent}/keys/{name}"],
      ["DELETE", "/v1/agents/{our agent}/keys/{name}"],
    ],
  ],
  [
    "token",
    () => theirToken.tokenId,
    absent,
    [
      ["GET", "/v1/tokens/{name}"],
      ["DELETE", "/v1/tokens/{name}"],
    ],
  ],
  [
    "connection",
    () => "theirs",
    sameLength,
    [
      ["GET", "/v1/connections/{name}"],
      ["PATCH", "/v1/connections/{name}", () => ({ default: "deny" })],
      ["DELETE", "/v1/connections/{name}"],
      ["GET", "/proxy/{name}/x"],
    ],
  ],
  [
    "secret",
    () => "theirs/more/SECOND_KEY",
    sameLength,
    [
      ["GET", "/v1/secrets/{name}"],
      ["GET", "/v1/secrets/{name}?version=1"],
      ["GET", "/v1/secrets/{name}/versions"],
      ["POST", "/v1/secrets/{name}/rotate", () => ({ new_value: "ours now, all of it" })],
      ["POST", "/v1/secrets/{name}/rollback", () => ({ version: 1 })],
      ["DELETE", "/v1/secrets/{name}"],
      [
        "POST",
        "/v1/connections",
        (path) => ({
          slug: "grab",
          base_url: lab.upstream.url,
          credential: KINDS.bearer,
          secret: path,
        }),
      ],
      ["PATCH", "/v1/connections/ours", (path) => ({ secret: path })],
    ],
  ],
];

describe.each(ROUTES)("attack 73: another tenant's %s is one that never was", (_what, name, never, asks) => {
  const cases = asks.map(([method, target, body]) => ({ method, target, body }));
  test.each(cases)("attack 73: $method $target", async ({ method, target, body }) => {
    const before = rowsOf(theirs.tenantId);
    const [theirName, noName] = [name(), never(name())];
    expect(noName).not.toBe(theirName);
    const token = lab.tenant.as(
      await lab.tenant.token(["connections:call:*", "secrets:*:*", "namespaces:read"]),
    );
    const ask = (client: ApiClient, asked: string) => {
      const at = target.replace("{their agent}", theirAgent.id).replace("{our agent}", ourAgent.id);
      return client.call(
        method,
        at.replace("{name}", asked),
        body === undefined ? {} : { body: body(asked) },
      );
    };
    for (const client of [lab.tenant.admin, ourAgent, token]) {
      const foreign = await ask(client, theirName);
      expect(said(foreign, theirName)).toEqual(said(await ask(client, noName), noName));
      // Whoever may ask at all is told that it is not there; the others, that they may not ask.
      expect([401, 403, 404]).toContain(foreign.status);
    }
    const asked = await ask(target.startsWith("/proxy") ? token : lab.tenant.admin, theirName);
    expect([asked.status, asked.body.error.code]).toEqual([404, expect.stringMatching(/NOT_FOUND$/)]);
    expect(rowsOf(theirs.tenantId)).toEqual(before);
    expect(lab.upstream.requests).toEqual([]);
  });
});

test("attack 73: their tokens, keys and members say nothing to us when introspected, and do nothing here", async () => {
  const made = `${theirToken.token.slice(0, -1)}${theirToken.token.endsWith("0") ? "1" : "0"}`;
  for (const client of [lab.tenant.admin, ourAgent]) {
    const [foreign, invented] = await Promise.all(
      [theirToken.token, made].map((token) => client.call("POST", "/oauth/introspect", { body: { token } })),
    );
    expect(foreign?.body).toEqual({ active: false });
    expect(said(foreign!, theirToken.token)).toEqual(said(invented!, made));
  }
  expect((await theirs.admin.must("POST", "/oauth/introspect", { token: theirToken.token })).active).toBe(
    true,
  );
  // The other way round: what is ours is not there for whoever comes with their credentials.
  const call = await asThem("/proxy/ours/x");
  expect([call.status, codeOf(call)]).toEqual([404, "NOT_FOUND"]);
  for (const credential of [theirs.admin.credential, theirAgent.apiKey, theirToken.token]) {
    for (const target of [
      `/v1/agents/${ourAgent.id}`,
      "/v1/connections/ours",
      "/v1/secrets/test/ours/KEY",
      "/v1/secrets/test/ours/KEY/versions",
    ]) {
      const answer = await lab.tenant.as(credential).call("GET", target);
      expect([401, 403, 404], target).toContain(answer.status);
    }
  }
  expect(lab.upstream.requests).toEqual([]);
});

test("attack 73: no list of ours shows theirs, wherever it is made to begin", async () => {
  const told = new RegExp([theirAgent.id, theirKey, theirToken.tokenId, theirs.tenantId, "their"].join("|"));
  const token = await lab.tenant.token(["secrets:*:*", "namespaces:read"]);
  for (const list of ["/v1/agents", "/v1/tokens", "/v1/connections", "/v1/secrets", "/v1/namespaces"]) {
    for (const cursor of [undefined, ...Object.values(theirCursors)]) {
      const query = cursor === undefined ? "" : `?limit=200&cursor=${encodeURIComponent(cursor)}`;
      for (const client of [lab.tenant.admin, ourAgent, lab.tenant.as(token)]) {
        const { status, body } = await client.call("GET", `${list}${query}`);
        expect([200, 400, 401, 403], `${list} ${status}`).toContain(status);
        expect(JSON.stringify(body), list).not.toMatch(told);
      }
    }
  }
  expect(JSON.stringify(await lab.tenant.admin.must("GET", "/v1/me"))).not.toMatch(told);
});

test("attack 73: no line of their ledger is in ours, whatever is asked for", async () => {
  const lines = async (tenant: TestTenant, query: string): Promise<{ id: string; actor: string }[]> =>
    (await tenant.admin.must("GET", `/v1/audit?limit=1000${query}`)).events;
  // What we asked for in vain stands in our own ledger: the names are no sign.
  const ids = new Set((await lines(theirs, "")).map(({ id }) => id));
  expect(ids.size).toBeGreaterThan(5);
  for (const query of [
    "",
    `&cursor=${encodeURIComponent(theirCursors["/v1/audit"] ?? "")}`,
    "&resource_type=connection",
    "&event_type=connection.called",
    "&event_type=tenant.created",
  ]) {
    const ours = await lines(lab.tenant, query);
    expect(
      ours.filter(({ id }) => ids.has(id)),
      query,
    ).toEqual([]);
  }
  const actor = `agent:${theirAgent.id}`;
  expect(await lines(lab.tenant, `&actor=${actor}`)).toEqual([]);
  expect((await lines(theirs, `&actor=${actor}`)).length).toBeGreaterThan(0);
});

test("attack 73: revoking in bulk by what is theirs revokes nothing of theirs, and says what it says for nothing", async () => {
  const targets: readonly (readonly [string, (name: string) => object, (name: string) => string])[] = [
    [theirAgent.id, (agent) => ({ agent }), absent],
    ["theirs", (connection) => ({ connection }), sameLength],
    ["theirs/more/SECOND_KEY", (secret) => ({ secret }), sameLength],
  ];
  for (const [name, body, never] of targets) {
    const answers = [];
    for (const asked of [name, never(name)]) {
      const answer = await lab.tenant.admin.call("POST", "/v1/tokens/revoke", { body: body(asked) });
      delete answer.body.effective_at;
      answers.push(JSON.stringify([answer.status, answer.body]).replaceAll(asked, "(name)"));
    }
    expect(answers[0]).toBe(answers[1]);
  }
  const all = await lab.tenant.admin.call("POST", "/v1/tokens/revoke", {
    body: { all: true },
    headers: { prefer: "wait" },
  });
  expect(all.status).toBe(200);
  expect((await asThem("/proxy/theirs/x")).status).toBe(200);
  expect(lab.upstream.last().header("authorization")).toEqual([`Bearer ${THEIRS}`]);
});

/** Every row of a tenant's that one can have an id of. */
function rowsOf(tenantId: string): unknown[] {
  const database = databaseOf(lab.gateway.stateDir);
  try {
    return ["agents", "agent_keys", "tokens", "connections", "secrets", "secret_versions", "members"].flatMap(
      (table) => database.prepare(`SELECT * FROM ${table} WHERE tenant_id = ? ORDER BY id`).all(tenantId),
    );
  } finally {
    database.close();
  }
}
