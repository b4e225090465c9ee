import { beforeAll, describe, expect, test } from "vitest";
import { AuditLog } from "../../../src/audit/audit.ts";
import type { AuditEvent } from "../../../src/audit/event.ts";
import { newId } from "../../../src/base/ids.ts";
import { bindings, countRows, newTenant, outboxEmpty, send } from "./door.ts";
import { signedIn } from "../support/signed-in.ts";

let team: Awaited<ReturnType<typeof newTenant>>;
let agentId: string;

const REFUND = { method: "POST", url: "/proxy/stripe/v1/refunds", json: { amount: 500 } };
const LIMIT = { name: "limit", template: "amount-limit", parameters: { max: 100, paths: ["/v1/refunds"] } };

beforeAll(async () => {
  team = await newTenant();
  const person = await signedIn(team.tenantId, "admin");
  const made = await send("POST", "/v1/agents", {
    ...{ headers: person.headers, body: { name: "a bot", trust_tier: "untrusted" } },
  });
  agentId = made.body.id;
  const secret = {
    value: `canary-${newId("request")}`,
    access_tier: "critical",
    allowed_hosts: ["api.stripe.com"],
  };
  await send("PUT", "/v1/secrets/production/stripe/KEY", { credential: team.admin, body: secret });
  const connection = { slug: "stripe", provider: "stripe", secret: "production/stripe/KEY" };
  await send("POST", "/v1/connections", { credential: team.admin, body: connection });
  await send("POST", "/v1/policies", {
    credential: team.editor,
    body: { name: "no deletes", template: "no-deletes", connections: ["stripe"] },
  });
});

const tried = (body: object, credential = team.editor) =>
  send("POST", "/v1/policies/test", { credential, body });

describe("a draft on calls that are not made", () => {
  test("is held against what is in force, call by call", async () => {
    const { status, body } = await tried({
      policies: [LIMIT],
      calls: [
        REFUND,
        { ...REFUND, json: { amount: 5 } },
        { method: "DELETE", url: "/proxy/stripe/v1/customers/1" },
      ],
    });
    expect(status).toBe(200);
    const [large, small, deletion] = body.calls;
    expect(large).toMatchObject({
      ...{ method: "POST", connection: "stripe", path: "/v1/refunds", event_id: null, changed: true },
      now: { verdict: "default", policies: [] },
      draft: {
        verdict: "deny",
        policies: [{ name: "limit", version: null, effect: "deny", outcome: "matched", error: null }],
      },
    });
    expect([small.now.verdict, small.draft.verdict, small.changed]).toEqual(["default", "default", false]);
    expect([deletion.now.verdict, deletion.draft.verdict, deletion.changed]).toEqual(["deny", "deny", false]);
    expect([body.changed, body.undecidable]).toEqual([1, 0]);
  });

  test("attack 25: is held against a path as it is, and as servers have it that undo its escapes", async () => {
    const policies = [{ name: "p", effect: "deny", condition: 'request.path == "/v1/refunds"' }];
    const calls = [{ ...REFUND, url: "/proxy/stripe/v1%2Frefunds" }];
    const { body } = await tried({ policies, calls });
    const [{ draft, changed }] = body.calls;
    expect([draft.verdict, draft.policies[0]?.outcome, changed]).toEqual(["deny", "matched", true]);
  });

  test("tells why a condition could not be evaluated, and that it denies for it", async () => {
    const { body } = await tried({ policies: [LIMIT], calls: [{ ...REFUND, json: {} }] });
    const [{ draft }] = body.calls;
    expect(draft.verdict).toBe("deny");
    expect(draft.policies[0]).toMatchObject({ name: "limit", outcome: "error" });
    expect(draft.policies[0].error).toContain("amount");
  });

  test("changes nothing where it allows what the connection's default does", async () => {
    const policies = [{ name: "p", effect: "allow" }];
    const { body } = await tried({ policies, calls: [REFUND, { url: "/proxy/nothing/x" }] });
    const [known, unknown] = body.calls;
    expect(known).toMatchObject({ now: { verdict: "default" }, draft: { verdict: "allow" }, changed: false });
    expect(unknown).toMatchObject({ draft: { verdict: "allow" }, changed: true });
  });

  test("takes the place of the policy of its name, and one can be left out", async () => {
    const deletion = { method: "DELETE", url: "/proxy/stripe/v1/customers/1" };
    const asking = { name: "no deletes", template: "no-deletes", effect: "require_approval", approvals: 2 };
    const replaced = await tried({ policies: [{ ...asking, delay_seconds: 60 }], calls: [deletion] });
    expect(replaced.body.calls[0].draft).toMatchObject({
      ...{ verdict: "require_approval", approvals: 2, delay_seconds: 60 },
    });
    const without = await tried({ without: ["no deletes"], calls: [deletion] });
    expect(without.body.calls[0]).toMatchObject({ now: { verdict: "deny" }, draft: { verdict: "default" } });
  });

  test.each([
    ["body", "request.body.amount == 500 && request.size > 5", true],
    ["form", 'request.body.amount == "500"', false],
    ["query", 'request.query.a == "b c"', false],
    ["headers", 'request.headers["x-thing"] == "1"', false],
    ["host", 'request.host == "api.stripe.com"', true],
    ["agent", `agent.id == "AGENT" && agent.name == "a bot" && agent.trust_tier == "untrusted"`, true],
    ["connection", 'connection.slug == "stripe" && connection.provider == "stripe"', true],
    ["tier", 'secret.tier == "critical"', true],
    ["address", 'ip.inRange("203.0.113.0/24")', true],
    ["time", 'time < timestamp("2026-01-02T00:00:00Z")', true],
    ["token", 'token.tool == "a tool" && token.user == "u" && "s" in token.scopes', true],
  ])("sees the %s", async (_, condition, isOfJson) => {
    const call = {
      method: "POST",
      url: "/proxy/stripe/v1/refunds?a=b%20c",
      headers: {
        "X-Thing": "1",
        ...(isOfJson ? {} : { "content-type": "application/x-www-form-urlencoded" }),
      },
      ...(isOfJson ? { json: { amount: 500 } } : { body: "amount=500" }),
      ...{ agent: agentId, ip: "203.0.113.9", time: "2026-01-01T00:00:00Z" },
      ...{ tool: "a tool", user: "u", scopes: ["s"] },
    };
    const policy = { name: "p", effect: "deny", condition: condition.replace("AGENT", agentId) };
    const { body } = await tried({ policies: [policy], calls: [call] });
    expect(body.calls[0].draft.policies).toEqual([
      { name: "p", version: null, effect: "deny", outcome: "matched", error: null },
    ]);
  });

  test.each(["agent.id", "agent.name", "ip", "token.tool", "token.user", "token.id"])(
    "cannot tell where it asks for %s, which was not said",
    async (what) => {
      const policy = { name: "p", effect: "deny", condition: `${what} == "x"` };
      const { body } = await tried({ policies: [policy], calls: [REFUND] });
      expect(body.calls[0]).toMatchObject({ draft: { verdict: "undecidable" }, changed: null });
      expect(body.undecidable).toBe(1);
    },
  );

  test("cannot tell of a connection that there is not what its secret's tier is", async () => {
    const policy = { name: "p", effect: "deny", condition: 'secret.tier == "critical"' };
    const { body } = await tried({ policies: [policy], calls: [{ url: "/proxy/nothing/x" }] });
    expect(body.calls[0].draft.verdict).toBe("undecidable");
  });

  test.each([
    [
      "a condition that is none",
      { policies: [{ name: "p", effect: "deny", condition: "request.nope" }] },
      "policies.0.condition",
    ],
    ["a policy on tokens", { policies: [{ name: "p", effect: "deny", on: "tokens" }] }, "policies.0.on"],
    ["a parameter that is none", { policies: [{ ...LIMIT, parameters: {} }] }, "policies.0.parameters.max"],
    ["an agent that there is not", { calls: [{ ...REFUND, agent: newId("agent") }] }, "calls.0"],
    ["a path with dots", { calls: [{ url: "/proxy/stripe/a/../b" }] }, "calls.0"],
    [
      "a body with one key twice",
      {
        calls: [
          {
            ...REFUND,
            json: undefined,
            headers: { "content-type": "application/json" },
            body: '{"a":1,"a":2}',
          },
        ],
      },
      "calls.0",
    ],
    ["a header that cannot be sent", { calls: [{ ...REFUND, headers: { "a b": "c" } }] }, "calls.0"],
    ["a URL of somebody else's", { calls: [{ url: "https://api.stripe.com/v1" }] }, "calls.0.url"],
  ])("is refused with %s", async (_, body, path) => {
    const answer = await tried({ calls: [REFUND], ...body });
    expect(answer.status).toBe(400);
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toContain(path);
  });

  test("is refused where it takes too many steps", async () => {
    const nested = "request.body.all(a, request.body.exists(b, a == b))";
    const drafts = Array.from({ length: 20 }, (_, index) => ({
      ...{ name: `p${index}`, effect: "deny", condition: `${nested} && ${index} > 0` },
    }));
    const json = Array.from({ length: 2_000 }, (_, index) => index);
    const answer = await tried({
      policies: drafts,
      calls: Array.from({ length: 50 }, () => ({ ...REFUND, json })),
    });
    expect([answer.status, answer.body.detail]).toEqual([400, expect.stringContaining("too many steps")]);
  });

  test("writes nothing", async () => {
    await outboxEmpty();
    const before = await countRows();
    await tried({ policies: [LIMIT], calls: [REFUND] });
    expect(await countRows()).toEqual(before);
  });
});

describe("a draft on recorded calls", () => {
  const record = (of: object): AuditEvent => ({
    id: newId("event"),
    ...{ event_type: "connection.called", resource_type: "connection", resource: "stripe" },
    ...{ actor: `agent:${agentId}`, ip_address: "203.0.113.9", user_agent: null, outcome: "success" },
    timestamp: "2026-01-01T00:00:00.000Z",
    context: { method: "POST", path: "/v1/refunds", host: "api.stripe.com", token_id: newId("token"), ...of },
  });
  const replayed = (body: object, credential = team.auditor) =>
    send("POST", "/v1/policies/test/recorded", { credential, body });

  beforeAll(async () => {
    await new AuditLog(bindings.AUDIT_LEDGER, bindings.ENVIRONMENT).record(team.tenantId, [
      record({ path: "/v1/charges" }),
      record({}),
      {
        ...record({ method: "DELETE", path: "/v1/customers/1" }),
        event_type: "connection.denied",
        outcome: "denied",
      },
      { ...record({}), event_type: "connection.completed" },
      record({ path: `/${"x".repeat(511)}` }),
      record({ method: undefined }),
    ]);
  });

  test("tells what is certain, and that the rest cannot be told from the record", async () => {
    const { status, body } = await replayed({ policies: [LIMIT] });
    expect(status).toBe(200);
    const by = Object.fromEntries(body.calls.map((call: { path: string }) => [call.path, call]));
    // Whatever its body was.
    expect(by["/v1/charges"]).toMatchObject({ draft: { verdict: "default" }, changed: false });
    expect(by["/v1/refunds"]).toMatchObject({
      ...{ now: { verdict: "default" }, draft: { verdict: "undecidable" }, changed: null },
    });
    expect(by["/v1/refunds"].draft.policies[0]).toMatchObject({ name: "limit", outcome: "undecidable" });
    // Denied, whatever another policy would say.
    expect(by["/v1/customers/1"]).toMatchObject({ now: { verdict: "deny" }, draft: { verdict: "deny" } });
    // The path is cut.
    expect(by["null"].draft.verdict).toBe("undecidable");
    expect(body.calls.length).toBe(4);
    expect(by["/v1/refunds"].event_id).toMatch(/^evt_/);
    expect(by["/v1/refunds"].at).toBe("2026-01-01T00:00:00.000Z");
  });

  test("is held against the last so many", async () => {
    const { body } = await replayed({ last: 2 });
    expect(body.calls.length).toBeLessThanOrEqual(2);
    expect(body.changed).toBe(0);
  });

  test.each([
    ["request.body", "request.body == null"],
    ["has() of the body", "has(request.body.amount)"],
    ["the query", 'request.query.a == "b"'],
    ["the headers", '"a" in request.headers'],
    ["the size", "request.size > 0"],
    ["the token's scopes", '"a" in token.scopes'],
    ["the token's age", "token.issued_at < time"],
  ])("never guesses at %s", async (_, condition) => {
    const policies = [
      { name: "p", effect: "deny", condition },
      { name: "q", effect: "require_approval", condition: `!(${condition})` },
    ];
    const { body } = await replayed({ policies });
    const [call] = body.calls.filter(({ path }: { path: string }) => path === "/v1/refunds");
    expect(call.draft.verdict).toBe("undecidable");
  });

  test.each([
    ["the address", 'ip == "203.0.113.9"'],
    ["the agent", 'agent.trust_tier == "untrusted"'],
    ["the time", "time.getFullYear() == 2026"],
    ["that there is no tool", "has(token.tool) == false"],
  ])("knows %s", async (_, condition) => {
    const { body } = await replayed({ policies: [{ name: "p", effect: "deny", condition }] });
    const [call] = body.calls.filter(({ path }: { path: string }) => path === "/v1/refunds");
    expect(call).toMatchObject({ draft: { verdict: "deny" }, changed: true });
  });

  test("is for those who may read the trail", async () => {
    expect((await replayed({}, team.editor)).status).toBe(403);
    expect((await replayed({}, team.admin)).status).toBe(200);
  });
});
