import { eq } from "drizzle-orm";
import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { reachOf } from "../../../src/approvals/reach.ts";
import { members } from "../../../src/identity/tables.ts";
import { strictWatermarks } from "../../../src/vault/stricter.ts";
import { type Answer, bindings, db, newTenant, send } from "../api/door.ts";
import { signedIn } from "../support/signed-in.ts";
import { call, isolate } from "../support/tenant.ts";
import { codeOf, deny, type Desk, later, openDesk } from "./fixtures.ts";

let at: Desk;
let { tenant, agent, newAgent, put, connect, ask, own, trail } = {} as Desk;
beforeEach(async () => {
  at = await openDesk();
  ({ tenant, agent, newAgent, put, connect, ask, own, trail } = at);
});
afterEach(() => void vi.useRealTimers());

const HOUR = 3_600_000;

/** What the desk has, newest first. */
const cases = () => at.desk().list({ status: null, kind: null, before: null, limit: 100 });

describe("a token request that reaches secrets above the standard tier", () => {
  test.each([
    ["reads one", ["secrets:read:app/sensitive/KEY"], "sensitive"],
    ["uses one", ["secrets:use:app/sensitive/*"], "sensitive"],
    ["writes one", ["secrets:write:app/sensitive/KEY"], "sensitive"],
    ["deletes one", ["secrets:delete:app/sensitive/KEY"], "sensitive"],
    ["may do all with one", ["secrets:*:app/critical/KEY"], "critical"],
    ["has a wildcard that matches one", ["namespaces:read", "secrets:read:*"], "critical"],
    ["calls through a connection that uses one", ["connections:call:strict"], "critical"],
    ["calls through any connection", ["connections:call:*"], "critical"],
  ])("waits for people: it %s", async (_, scopes, tier) => {
    await connect("strict", "app/critical/KEY");
    const answer = await ask(scopes);
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({
      requires_approval: true,
      approval_id: expect.stringMatching(/^apr_/),
    });
    expect(answer.body.token).toBeUndefined();
    expect((await cases()).map((one) => one.tier)).toEqual([tier]);
  });

  test.each([
    ["what is of the standard tier", ["secrets:read:app/standard/*"]],
    ["nothing of secrets", ["namespaces:read"]],
    ["a name that only begins alike", ["secrets:read:app/sensitive/KEY2"]],
    ["connections that use none", ["connections:call:mild"]],
  ])("does not where it reaches %s", async (_, scopes) => {
    await connect("mild", "app/standard/KEY");
    await connect("strict", "app/critical/KEY");
    expect((await ask(scopes)).status).toBe(201);
    expect(await cases()).toEqual([]);
  });

  test("is judged within the agent's bounds first: outside them nothing is written down", async () => {
    const body = { name: "narrow", allowed_scopes: ["secrets:read:app/standard/*"] };
    const narrow = (await send("POST", "/v1/agents", { credential: tenant.admin, body })).body;
    expect(codeOf(await ask(["secrets:read:app/critical/KEY"], {}, narrow.api_key))).toEqual([
      403,
      "SCOPE_DENIED",
    ]);
    expect(await cases()).toEqual([]);
  });

  test("follows the agent's trust: trusted ones ask less, untrusted ones for whatever they reach", async () => {
    const trusted = await newAgent("trusted", await signedIn(tenant.tenantId, "admin"));
    expect((await ask(["secrets:read:app/sensitive/KEY"], {}, trusted.api_key)).status).toBe(201);
    expect((await ask(["secrets:read:app/critical/KEY"], {}, trusted.api_key)).status).toBe(202);
    const untrusted = await newAgent("untrusted");
    expect((await ask(["secrets:read:app/standard/KEY"], {}, untrusted.api_key)).status).toBe(202);
    expect((await ask(["connections:call:not-there-yet"], {}, untrusted.api_key)).status).toBe(202);
    expect((await ask(["namespaces:read"], {}, untrusted.api_key)).status).toBe(201);
  });

  test("is one, however often and however many at once ask the same, and other ones are others", async () => {
    const same = await Promise.all([1, 2, 3, 4].map(() => ask(["secrets:read:app/sensitive/KEY"])));
    expect(new Set(same.map(({ body }) => body.approval_id)).size).toBe(1);
    const other = await ask(["secrets:read:app/sensitive/KEY"], { max_uses: 1 });
    const reason = await ask(["secrets:read:app/sensitive/KEY"], { context: { reason: "another" } });
    const stranger = await ask(["secrets:read:app/sensitive/KEY"], {}, (await newAgent()).api_key);
    const ids = [same[0], other, reason, stranger].map((answer) => answer?.body.approval_id);
    expect(new Set(ids).size).toBe(4);
    expect(await trail("approval.requested")).toHaveLength(4);
  });

  test("with the same Idempotency-Key is asked anew, since its answer changes", async () => {
    const headers = { "idempotency-key": "one-for-this-token" };
    const body = { scopes: ["secrets:read:app/sensitive/KEY"], ttl: "10m" };
    const sent = { credential: agent.api_key, headers, body };
    const [first, second] = [await send("POST", "/v1/tokens", sent), await send("POST", "/v1/tokens", sent)];
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(second.body.approval_id).toBe(first.body.approval_id);
    expect(second.headers.get("idempotency-replayed")).toBeNull();
  });

  test("floods nobody: an agent has 20 open at most", async () => {
    for (let count = 1; count <= 20; count += 1) {
      expect((await ask(["secrets:read:app/sensitive/KEY"], { max_uses: count })).status).toBe(202);
    }
    expect(codeOf(await ask(["secrets:read:app/sensitive/KEY"], { max_uses: 21 }))).toEqual([
      409,
      "CONFLICT",
    ]);
    expect((await ask(["secrets:read:app/sensitive/KEY"], { max_uses: 1 })).status).toBe(202);
    expect((await ask(["secrets:read:app/standard/KEY"])).status).toBe(201);
  }, 20_000);

  test("is in the trail with what it reaches and how many have to approve, without a value", async () => {
    const { body } = await ask(["secrets:read:app/*"], { context: { reason: "a report" } });
    const [line] = await trail("approval.requested");
    expect(line).toMatchObject({
      resource_type: "approval",
      resource: body.approval_id,
      actor: `agent:${agent.id}`,
      context: { tier: "critical", approvals_needed: 2, delay_seconds: 300, secrets: 2, reason: "a report" },
    });
    expect(JSON.stringify(line)).not.toContain("value-of");
  });
});

describe("what was issued before something became stricter", () => {
  const issue = async (scopes: readonly string[]): Promise<string> => {
    const { status, body } = await ask(scopes);
    expect(status).toBe(201);
    return body.token;
  };
  // In another isolate each time: it has no lease from before.
  const read = async (path: string, credential: string) => {
    const init = { headers: { "cf-connecting-ip": "192.0.2.1" } };
    const { response, settled } = await call(path, credential, init, isolate());
    await response.text();
    await settled();
    return response.status;
  };

  test("does not reach it: a secret whose tier was raised", async () => {
    const token = await issue(["secrets:read:app/standard/*"]);
    await put("app/standard/OTHER", "standard");
    expect(await read("/v1/secrets/app/standard/KEY", token)).toBe(200);
    await send("PUT", "/v1/secrets/app/standard/KEY", {
      credential: tenant.admin,
      body: { access_tier: "sensitive" },
    });
    expect(await read("/v1/secrets/app/standard/KEY", token)).toBe(401);
    expect(await read("/v1/secrets/app/standard/OTHER", token)).toBe(200);
    expect((await ask(["secrets:read:app/standard/*"])).status).toBe(202);
  });

  test("does not reach it: a secret that was made, or brought back, above the standard tier", async () => {
    const token = await issue(["secrets:read:new/*"]);
    await send("PUT", "/v1/secrets/new/KEY", {
      credential: tenant.admin,
      body: { value: "a-value-of-some-length", access_tier: "critical", reveal: "allow" },
    });
    expect(await read("/v1/secrets/new/KEY", token)).toBe(401);
    const admin = { credential: tenant.admin };
    await send("DELETE", "/v1/secrets/new/KEY", admin);
    const later = await issue(["secrets:read:new/*"]);
    expect((await send("POST", "/v1/secrets/new/KEY/restore", { ...admin, body: {} })).status).toBe(200);
    expect(await read("/v1/secrets/new/KEY", later)).toBe(401);
  });

  test("does not call through a connection that came to use one", async () => {
    await connect("moved", "app/standard/KEY");
    const token = await issue(["connections:call:moved"]);
    const body = { secret: "app/sensitive/KEY" };
    const admin = { credential: tenant.admin };
    expect((await send("PATCH", "/v1/connections/moved", { ...admin, body })).status).toBe(200);
    expect(await read("/proxy/moved/x", token)).toBe(401);
  });

  test("is one secret's matter, or where many come at once their tier's", () => {
    const change = (index: number) => ({ path: `many/${index}`, before: null, after: "sensitive" as const });
    expect(strictWatermarks([change(1), { path: "x", before: "critical", after: "sensitive" }])).toEqual([
      { kind: "secret", key: "many/1" },
    ]);
    expect(strictWatermarks([{ path: "x", before: null, after: "standard" }])).toEqual([]);
    expect(strictWatermarks([{ path: "x", before: "sensitive", after: "critical" }])).toHaveLength(1);
    const many = strictWatermarks(Array.from({ length: 11 }, (_, index) => change(index)));
    expect(many).toEqual([{ kind: "class", key: "sensitive" }]);
  });
});

describe("the asking agent", () => {
  const held = () => at.held();

  test("asks what became of it, and gets its answer as soon as there is one", async () => {
    const id = await held();
    expect((await own(id)).body).toMatchObject({ approval_id: id, status: "pending", decided_at: null });
    expect((await own(id, "?wait=1")).body.status).toBe("pending");
    const waiting = own(id, "?wait=60");
    expect((await deny(await signedIn(tenant.tenantId, "editor"), id)).status).toBe(200);
    expect((await waiting).body).toMatchObject({ status: "denied", reason: "not now" });
  });

  test.each(["61", "-1", "1.5", "x", ""])("does not wait %o seconds", async (wait) => {
    expect(codeOf(await own(await held(), `?wait=${wait}`))).toEqual([400, "VALIDATION_ERROR"]);
  });

  test("attack 73: sees no other agent's, and no other tenant's", async () => {
    const id = await held();
    expect(codeOf(await own(id, "", (await newAgent()).api_key))).toEqual([404, "NOT_FOUND"]);
    tenant = await newTenant();
    expect(codeOf(await own(id, "", (await newAgent()).api_key))).toEqual([404, "NOT_FOUND"]);
  });

  test("asks with a token of its own as well, which is not charged; a stranger's sees nothing", async () => {
    const id = await held();
    const scopes = ["secrets:read:app/standard/*"];
    const { token, token_id } = (await ask(scopes)).body;
    expect((await own(id, "", token)).body.status).toBe("pending");
    expect((await send("GET", `/v1/tokens/${token_id}`, { credential: agent.api_key })).body.uses).toBe(0);
    const other = (await ask(scopes, {}, (await newAgent()).api_key)).body.token;
    expect(codeOf(await own(id, "", other))).toEqual([404, "NOT_FOUND"]);
  });

  test("attack 80: takes it back with its key, as nobody else's agent does, and with a token only what that asked", async () => {
    const id = await held();
    const take = (credential: string) =>
      send("POST", `/v1/approvals/agent/${id}/cancel`, { credential, body: { reason: "never mind" } });
    expect(codeOf(await take((await newAgent()).api_key))).toEqual([404, "NOT_FOUND"]);
    const { token } = (await ask(["secrets:read:app/standard/*"])).body;
    expect(codeOf(await take(token))).toEqual([404, "NOT_FOUND"]);
    expect((await take(agent.api_key)).body).toMatchObject({ status: "cancelled", reason: "never mind" });
    expect((await take(agent.api_key)).status).toBe(200);
    expect(await held()).not.toBe(id);
    const [line] = await trail("approval.cancelled");
    expect(line).toMatchObject({ resource: id, actor: `agent:${agent.id}` });
  });

  test("hears that it was too late after an hour, and may ask again; the trail has it once", async () => {
    const id = await held();
    const open = await held();
    expect(open).toBe(id);
    later(HOUR);
    expect((await own(id, "?wait=60")).body.status).toBe("expired");
    const again = await held();
    expect(again).not.toBe(id);
    later(HOUR);
    const desk = bindings.APPROVAL_DESK.get(bindings.APPROVAL_DESK.idFromName(tenant.tenantId));
    for (const _ of [1, 2]) await runDurableObjectAlarm(desk);
    expect((await cases()).map(({ status }) => status)).toEqual(["expired", "expired"]);
    await held();
    const late = await trail("approval.timed_out");
    expect(late.map(({ resource }) => resource).toSorted()).toEqual([id, again].toSorted());
  });
});

describe("people", () => {
  test("attack 80: see it in person: a credential for scripts, and who only views, does not", async () => {
    await db.update(members).set({ script: true }).where(eq(members.tenantId, tenant.tenantId));
    for (const role of ["admin", "editor", "viewer", "auditor"] as const) {
      const answer = await send("GET", "/v1/approvals", { credential: tenant[role] });
      expect(codeOf(answer), role).toEqual([403, "ROLE_DENIED"]);
    }
  });

  test("see what waits for them, with all that is asked for and what it reaches", async () => {
    await connect("strict", "app/critical/KEY");
    const person = await signedIn(tenant.tenantId, "editor");
    await ask(["connections:call:strict"], { max_uses: 3, context: { reason: "a payment" } });
    const { body } = await send("GET", "/v1/approvals?status=pending", person);
    expect(body.approvals).toHaveLength(1);
    expect(body.approvals[0]).toMatchObject({
      status: "pending",
      agent_id: agent.id,
      requested: {
        scopes: ["connections:call:strict"],
        ttl_seconds: 600,
        max_uses: 3,
        context: { reason: "a payment" },
      },
      tier: "critical",
      reach: { secrets: 1, shown: [{ path: "app/critical/KEY", tier: "critical" }], connections: ["strict"] },
      ...{ kind: "token", approvals_needed: 2, delay_seconds: 300, approvals: 0 },
    });
    expect((await send("GET", "/v1/approvals?status=approved", person)).body.approvals).toEqual([]);
  });

  test("page through them, newest first, and an hour later find them among the expired", async () => {
    const person = await signedIn(tenant.tenantId, "admin");
    for (const uses of [1, 2, 3]) await ask(["secrets:read:app/sensitive/KEY"], { max_uses: uses });
    const seen: number[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const query = cursor === "" ? "" : `&cursor=${cursor}`;
      const page: Answer = await send("GET", `/v1/approvals?limit=2${query}`, person);
      seen.push(
        ...page.body.approvals.map((one: { requested: { max_uses: number } }) => one.requested.max_uses),
      );
      cursor = page.body.next_cursor;
    }
    expect(seen.toSorted()).toEqual([1, 2, 3]);
    later(HOUR);
    const counts = [];
    for (const status of ["pending", "expired"]) {
      counts.push((await send("GET", `/v1/approvals?status=${status}`, person)).body.approvals.length);
    }
    expect(counts).toEqual([0, 3]);
  });
});

test("where there is more than can be looked through, a request reaches the strictest", () => {
  expect(reachOf(["secrets:read:a/*"], null, []).tier).toBe("critical");
  expect(reachOf(["connections:call:a"], [], null).tier).toBe("critical");
});
