import { eq } from "drizzle-orm";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { sweep } from "../../../src/sweep.ts";
import { members } from "../../../src/identity/tables.ts";
import { CALL, json, type Office, openOffice, REFUND, WANTED } from "../permissions/fixtures.ts";
import { signedIn } from "../support/signed-in.ts";
import { bindings, db, send } from "./door.ts";

let at: Office;
beforeEach(async () => {
  at = await openOffice();
});
afterEach(() => void vi.useRealTimers());

const MINUTE = 60_000;
const later = (milliseconds: number): void =>
  void vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + milliseconds });
const deny = (id: string, reason: string) =>
  send("POST", `/v1/approvals/${id}/deny`, { headers: at.editor.headers, body: { reason } });
const seen = (id: string) => send("GET", `/v1/permissions/${id}`, { credential: at.tenant.viewer });
const revoke = (id: string, credential: string) =>
  send("POST", `/v1/permissions/${id}/revoke`, { credential });

describe("a permission that waits for people", () => {
  test("is handed out once when they agree, to its agent alone; the same request meanwhile is the same one", async () => {
    const asked = await at.ask();
    expect([asked.status, asked.body]).toEqual([
      202,
      expect.objectContaining({
        ...{ status: "pending", action: "payment.refund", resource: "ch_1", scope: WANTED.scope },
        ...{ narrowed: false, token_id: null, approvals_needed: 1, uses_left: null },
      }),
    ]);
    const { id, approval_id } = asked.body;
    const again = await at.ask();
    expect([again.status, again.body.id]).toEqual([202, id]);
    expect((await at.approve(approval_id)).status).toBe(200);
    const other = await at.newAgent();
    expect((await at.look(id, "", other.api_key)).status).toBe(404);
    expect((await seen(id)).body).toMatchObject({ status: "approved", token_id: null });
    expect((await seen(id)).body.token).toBeUndefined();
    const collected = await at.look(id);
    expect(collected.body).toMatchObject({
      status: "approved",
      token: expect.stringMatching(/^vkt_/),
      uses_left: 1,
    });
    expect((await at.look(id)).body.token).toBeUndefined();
    const next = await at.ask();
    expect([next.status, next.body.id === id]).toEqual([202, false]);
  });

  test("attack 63: collected 20 times at once, is handed out once", async () => {
    const { body } = await at.ask();
    await at.approve(body.approval_id);
    const all = await Promise.all([
      ...Array.from({ length: 10 }, () => at.look(body.id)),
      ...Array.from({ length: 10 }, () => at.ask()),
    ]);
    expect(all.filter((answer) => answer.body.token !== undefined)).toHaveLength(1);
  });

  test("tells people all of what they approve, and whose call it is", async () => {
    const { body } = await at.ask({ ...WANTED, context: { ...WANTED.context, user_id: "user_7" } });
    const shown = await send("GET", `/v1/approvals/${body.approval_id}`, { headers: at.editor.headers });
    expect(shown.body).toMatchObject({
      kind: "permission",
      connection: "up",
      on_behalf_of: ["user_7"],
      permission: {
        ...{ action: "payment.refund", description: "Give money back", resource: "ch_1", max_uses: 1 },
        ...{ scope: WANTED.scope, ttl_seconds: 300, context: { reason: "the parcel was lost" } },
        calls: { connection: "up", methods: ["POST"], paths: ["/v1/refunds"] },
      },
    });
  });

  test("attack 82: shows people what an agent would hide in what it says", async () => {
    const { body } = await at.ask({ ...WANTED, context: { reason: "for \u202eyadot", list: ["a\u200b"] } });
    const shown = await send("GET", `/v1/approvals/${body.approval_id}`, { headers: at.editor.headers });
    expect(shown.body.permission.context).toEqual({ reason: "for \\u202eyadot", list: ["a\\u200b"] });
  });

  test("is answered as soon as they have where the agent waits for it", async () => {
    const { body } = await at.ask();
    const waiting = at.ask({ ...WANTED, wait_for_approval: 20 });
    await at.approve(body.approval_id);
    const answer = await waiting;
    expect([answer.status, answer.body.id, typeof answer.body.token]).toEqual([201, body.id, "string"]);
  });

  test("is denied with their reason, which the same request gets as well until it may be asked again", async () => {
    const { body } = await at.ask();
    await deny(body.approval_id, "not this customer");
    expect((await seen(body.id)).body.status).toBe("denied");
    const denied = { status: "denied", reason: "not this customer" };
    expect((await at.look(body.id)).body).toMatchObject(denied);
    const again = await at.ask();
    expect([again.status, again.body]).toEqual([200, expect.objectContaining({ id: body.id, ...denied })]);
    expect(await at.line("permission.denied", body.id)).toMatchObject({
      outcome: "denied",
      context: { reason: "not this customer" },
    });
  });

  test("expires where nobody answers, and is then another request", async () => {
    const { body } = await at.ask();
    later(61 * MINUTE);
    expect((await at.look(body.id)).body.status).toBe("expired");
    expect((await at.ask()).body.id).not.toBe(body.id);
  });

  test("waits as long as its delay, whoever looks meanwhile, and is collected after it", async () => {
    await at.made("POST", "/v1/policies", {
      ...{ name: "slowly", on: "permissions", effect: "require_approval", delay_seconds: 7_200 },
    });
    const { body } = await at.ask();
    later(50 * MINUTE);
    await at.editor.age(-50 * MINUTE);
    expect((await at.approve(body.approval_id)).status).toBe(200);
    later(60 * MINUTE);
    await sweep(bindings, () => undefined);
    expect((await seen(body.id)).body.status).toBe("approved");
    expect((await at.ask()).body).toMatchObject({ id: body.id, token_id: null });
    later(65 * MINUTE);
    expect(typeof (await at.look(body.id)).body.token).toBe("string");
  });

  test("attack 80: is approved by no agent, token or viewer", async () => {
    const { body } = await at.ask();
    const viewer = await signedIn(at.tenantId, "viewer");
    const path = `/v1/approvals/${body.approval_id}/approve`;
    const { api_key: credential } = at.agent;
    expect((await send("POST", path, { credential, body: {} })).status).toBe(403);
    expect((await send("POST", path, { headers: viewer.headers, body: {} })).status).toBe(403);
    expect((await at.look(body.id)).body.status).toBe("pending");
  });

  test.each([
    [
      "its action",
      () =>
        send("PATCH", "/v1/actions/payment.refund", { credential: at.tenant.admin, body: { max_uses: 2 } }),
    ],
    [
      "its action, deleted and declared again",
      async () => {
        await send("DELETE", "/v1/actions/payment.refund", { headers: at.editor.headers });
        return at.made("POST", "/v1/actions", REFUND);
      },
    ],
    [
      "its agent",
      () =>
        send("PATCH", `/v1/agents/${at.agent.id}`, { headers: at.editor.headers, body: {} }).then(
          async () => {
            const admin = await signedIn(at.tenantId, "admin");
            return send("PATCH", `/v1/agents/${at.agent.id}`, {
              headers: admin.headers,
              body: { trust_tier: "untrusted" },
            });
          },
        ),
    ],
    [
      "a policy",
      () =>
        at.made("POST", "/v1/policies", {
          name: "two",
          on: "permissions",
          effect: "require_approval",
          approvals: 2,
        }),
    ],
    [
      "its secret",
      () =>
        at.made("PUT", "/v1/secrets/test/up/KEY", {
          value: "another-value-0123456789",
          access_tier: "sensitive",
          allowed_hosts: ["127.0.0.1:9"],
        }),
    ],
    [
      "where its connection leads",
      () =>
        send("PATCH", "/v1/connections/up", {
          credential: at.tenant.admin,
          body: { base_url: "http://127.0.0.1:9/elsewhere" },
        }),
    ],
    [
      "its connection, deleted and made again",
      async () => {
        await send("DELETE", "/v1/connections/up", { credential: at.tenant.admin });
        return at.connect("up");
      },
    ],
  ])("attack 79: is void where %s is changed after people have agreed", async (_, change) => {
    const { body } = await at.ask();
    await at.approve(body.approval_id);
    expect((await change()).status).toBeLessThan(300);
    const looked = await at.look(body.id);
    expect([looked.body.status, looked.body.token]).toEqual(["denied", undefined]);
  });

  test("attack 79: is not approved by one who may not approve any more", async () => {
    const { body } = await at.ask();
    await at.approve(body.approval_id);
    await db.update(members).set({ role: "viewer" }).where(eq(members.id, at.editor.memberId));
    expect((await at.look(body.id)).body).toMatchObject({ status: "pending" });
  });
});

describe("what is granted", () => {
  test("is never more than the action's cap, and says where it is less", async () => {
    const { body } = await at.ask({
      ...WANTED,
      scope: { ...WANTED.scope, max_amount: 10_000 },
      ttl: "24h",
      max_uses: 5,
    });
    expect(body).toMatchObject({
      ...{ scope: { max_amount: 500, allowed_recipients: ["cus_1"] }, max_uses: 1, ttl_seconds: 3_600 },
      requested_scope: { max_amount: 10_000 },
      ...{ narrowed: true, narrowed_fields: ["max_amount", "ttl", "max_uses"] },
    });
  });

  test("is what an approver leaves of it, and its token is held to that", async () => {
    const { body } = await at.ask();
    const less = { granted: { scope: { max_amount: 40 }, ttl: "1m" } };
    expect((await at.approve(body.approval_id, less)).status).toBe(200);
    const { body: granted } = await at.look(body.id);
    expect(granted).toMatchObject({
      ...{ scope: { max_amount: 40, allowed_recipients: ["cus_1"] }, ttl_seconds: 60 },
      ...{ narrowed: true, narrowed_fields: ["max_amount", "ttl"] },
    });
    expect((await at.refund(granted.token, { ...CALL, amount: 41 })).code).toBe("PERMISSION_DENIED");
    expect((await at.refund(granted.token, { ...CALL, amount: 40 })).code).toBeNull();
  });

  test("attack 75: is what every approver left of it: of patterns, all of them", async () => {
    await at.made("POST", "/v1/actions", {
      ...{ name: "mail.send", calls: REFUND.calls, approvals: 2 },
      constraints: { subject: { kind: "pattern", field: "body.subject", cap: "^[A-Z].*$" } },
    });
    const second = await signedIn(at.tenantId, "editor");
    const { body } = await at.ask({ action: "mail.send", max_uses: 1 });
    const leave = (subject: string) => ({ granted: { scope: { subject } } });
    expect((await at.approve(body.approval_id, leave("^Invoice .*$"))).status).toBe(200);
    expect((await at.approve(body.approval_id, leave("^.*$"), second)).status).toBe(200);
    const { token } = (await at.look(body.id)).body;
    expect((await at.refund(token, { subject: "Anything" })).code).toBe("PERMISSION_DENIED");
    expect((await at.refund(token, { subject: "Invoice 1" })).code).toBeNull();
  });

  test.each([
    { scope: { max_amount: 101 } },
    { scope: { allowed_recipients: ["cus_1", "cus_2"] } },
    { scope: { allowed_recipients: [] } },
    { scope: { max_amount: "40" } },
    { scope: { other: 1 } },
    { ttl: "10m" },
    { max_uses: 2 },
    { approvals: 0 },
    {},
  ])("attack 75: is never more than was asked for, whatever an approver writes: %j", async (granted) => {
    const { body } = await at.ask();
    const answer = await at.approve(body.approval_id, { granted });
    expect([answer.status, answer.body.error?.code]).toEqual([400, "VALIDATION_ERROR"]);
    expect((await at.look(body.id)).body.status).toBe("pending");
  });

  test.each([
    ["a member that the action does not declare", { scope: { ...WANTED.scope, max_everything: 1 } }],
    ["a value of another kind", { scope: { ...WANTED.scope, max_amount: "100" } }],
    ["less than nothing", { scope: { ...WANTED.scope, max_amount: -1 } }],
    ["a fraction of a millionth", { scope: { ...WANTED.scope, max_amount: 0.0000001 } }],
    ["everybody", { scope: { ...WANTED.scope, allowed_recipients: ["*"] } }],
    ["nobody", { scope: { ...WANTED.scope, allowed_recipients: [] } }],
    ["without what is required", { scope: { max_amount: 100 } }],
    ["without its resource", { resource: undefined }],
    ["a template that is none", { template: "huge" }],
    [
      "a recipient that hides what it is",
      { scope: { ...WANTED.scope, allowed_recipients: ["cus_1\u202e"] } },
    ],
    ["a resource that hides what it is", { resource: "ch_1\u200b" }],
    ["too long a context", { context: { reason: "x".repeat(5_000) } }],
    ["too long a wait", { wait_for_approval: 61 }],
  ])("%s is not asked for", async (_, over) => {
    const answer = await at.ask({ ...WANTED, ...over });
    expect([answer.status, answer.body.error?.code]).toEqual([400, "VALIDATION_ERROR"]);
  });

  test("is nothing of an action that is none, and nothing that the agent could not call", async () => {
    expect((await at.ask({ ...WANTED, action: "payment.other" })).status).toBe(404);
    const other = await at.newAgent({ allowed_scopes: ["connections:call:else"] });
    const answer = await at.ask(WANTED, other.api_key);
    expect([answer.status, answer.body.error?.code]).toEqual([403, "SCOPE_DENIED"]);
  });

  test("follows a template that is named, which a request may narrow and not widen", async () => {
    const templates = {
      "small-refund": { scope: { max_amount: 20, allowed_recipients: ["cus_1", "cus_2"] }, ttl: "1m" },
    };
    await send("PATCH", "/v1/actions/payment.refund", { credential: at.tenant.admin, body: { templates } });
    const wanted = { action: "payment.refund", resource: "ch_1", template: "small-refund" };
    const plain = await at.ask({ ...wanted, scope: {} });
    expect(plain.body).toMatchObject({
      scope: templates["small-refund"].scope,
      ttl_seconds: 60,
      narrowed: false,
    });
    const scope = { max_amount: 100, allowed_recipients: ["cus_2", "cus_3"] };
    const less = await at.ask({ ...wanted, scope, ttl: "5m" });
    expect(less.body).toMatchObject({
      ...{ scope: { max_amount: 20, allowed_recipients: ["cus_2"] }, ttl_seconds: 60 },
      narrowed_fields: ["max_amount", "allowed_recipients", "ttl"],
    });
    const none = await at.ask({ ...wanted, scope: { allowed_recipients: ["cus_3"] } });
    expect([none.status, none.body.error?.code]).toEqual([403, "PERMISSION_DENIED"]);
  });
});

describe("who has to agree", () => {
  const free = { ...REFUND, name: "payment.small", approvals: 0 };
  const small = { ...WANTED, action: "payment.small" };
  const policy = (over: object) =>
    at.made("POST", "/v1/policies", { name: `p${Math.random()}`, on: "permissions", ...over });

  test("is nobody only where the action says so and a policy allows it", async () => {
    await at.made("POST", "/v1/actions", free);
    expect((await at.ask(small)).status).toBe(202);
    await policy({
      effect: "allow",
      condition: 'asked.action == "payment.small" && asked.scope.max_amount <= 50.0',
    });
    expect((await at.ask({ ...small, resource: "ch_2" })).status).toBe(202);
    const scope = { ...WANTED.scope, max_amount: 50 };
    const answer = await at.ask({ ...small, scope });
    expect([answer.status, answer.body.status, typeof answer.body.token]).toEqual([
      201,
      "approved",
      "string",
    ]);
    expect((await at.ask({ ...WANTED, scope })).status).toBe(202);
  });

  test.each([
    ["as many", { approvals: 1 }, null],
    ["more of them", { approvals: 2 }, "APPROVAL_REQUIRED"],
    ["as many, and time to object", { approvals: 1, delay_seconds: 300 }, "APPROVAL_REQUIRED"],
  ])("are asked about the call as well where a policy wants %s", async (_, asks, code) => {
    const granted = await at.granted();
    await policy({ on: "calls", effect: "require_approval", ...asks });
    expect((await at.refund(granted.token)).code).toBe(code);
  });

  test("is somebody about the call, at least, where nobody had to agree to the permission", async () => {
    await at.made("POST", "/v1/actions", free);
    await policy({ effect: "allow", condition: 'asked.action == "payment.small"' });
    const { token } = (await at.ask(small)).body;
    await policy({ on: "calls", effect: "require_approval" });
    const asked = await at.make(token, "up/v1/refunds", json(CALL));
    expect(asked.code).toBe("APPROVAL_REQUIRED");
    expect((await at.refund(token, { ...CALL, amount: 101 })).code).toBe("PERMISSION_DENIED");
  });

  test("is nobody, ever, where a policy denies it", async () => {
    await policy({ effect: "deny", condition: "asked.scope.max_amount > 50.0", message: "Ask Ada." });
    const answer = await at.ask();
    expect([answer.status, answer.body.error.code, answer.body.why]).toEqual([
      403,
      "POLICY_DENIED",
      "Ask Ada.",
    ]);
  });

  test("is as many as a policy asks for, and as the secret that is used asks for", async () => {
    await policy({ effect: "require_approval", approvals: 3 });
    expect((await at.ask()).body.approvals_needed).toBe(3);
    const value = { value: "another-value-0123456789", allowed_hosts: ["127.0.0.1:9"] };
    await at.made("PUT", "/v1/secrets/test/critical/KEY", { ...value, access_tier: "critical" });
    await at.connect("strict", { secret: "test/critical/KEY" });
    const calls = { connection: "strict", methods: ["POST"], paths: ["/v1/refunds"] };
    await at.made("POST", "/v1/actions", { ...free, calls });
    await policy({ effect: "allow", condition: 'asked.action == "payment.small"' });
    const { body } = await at.ask(small);
    expect(body.approvals_needed).toBe(3);
    const { body: shown } = await send("GET", `/v1/approvals/${body.approval_id}`, {
      headers: at.editor.headers,
    });
    expect([shown.tier, shown.delay_seconds > 0]).toEqual(["critical", true]);
  });
});

describe("how a permission stands", () => {
  test("is told truthfully: approved, used, expired, revoked", async () => {
    const { id, token } = await at.granted();
    expect((await seen(id)).body).toMatchObject({ status: "approved", uses_left: 1 });
    expect((await at.refund(token)).code).toBeNull();
    expect((await seen(id)).body).toMatchObject({ status: "used", uses_left: null });
    const late = await at.granted({ ...WANTED, resource: "ch_2" });
    later(6 * MINUTE);
    expect((await seen(late.id)).body).toMatchObject({ status: "expired" });
    expect((await seen(id)).body).toMatchObject({ status: "used" });
    expect((await at.refund(late.token, { ...CALL, charge: "ch_2" })).code).toBe("UNAUTHORIZED");
    const listed = await send("GET", "/v1/permissions?status=used", { credential: at.tenant.auditor });
    expect(listed.body.permissions.map((each: { id: string }) => each.id)).toEqual([id]);
  });

  test("that it is used up is written down with the last use, without anybody asking", async () => {
    const { id, token } = await at.granted();
    await at.refund(token);
    expect(await at.line("permission.used", id)).toMatchObject({ context: { action: "payment.refund" } });
    const called = await vi.waitUntil(async () =>
      (await at.trail("connection.called")).find(({ context }) => context.permission_id === id),
    );
    expect(called).toMatchObject({ outcome: "success", resource: "up" });
  });

  test("revoked, its token is refused at once, and its agent told so", async () => {
    const { id, token } = await at.granted();
    const other = await at.newAgent();
    expect((await revoke(id, other.api_key)).status).toBe(404);
    expect((await revoke(id, at.tenant.viewer)).status).toBe(403);
    expect((await revoke(id, at.agent.api_key)).body).toMatchObject({ status: "revoked", uses_left: null });
    expect((await at.refund(token)).code).toBe("UNAUTHORIZED");
    expect((await at.look(id)).body.status).toBe("revoked");
    const events = await at.trail("permission.revoked");
    expect(events.map(({ resource }) => resource)).toEqual([id]);
    expect((await revoke(id, at.tenant.admin)).body.status).toBe("revoked");
  });

  test("revoked while it waits, is never handed out, and people are not asked any more", async () => {
    const { body } = await at.ask();
    const gone = await send("DELETE", `/v1/permissions/${body.id}`, { credential: at.tenant.editor });
    expect(gone.status).toBe(204);
    expect((await at.approve(body.approval_id)).status).toBe(409);
    expect((await at.look(body.id)).body).toMatchObject({ status: "revoked" });
  });

  test("attack 63: revoked while it is handed out, is worth nothing", async () => {
    for (let round = 0; round < 3; round++) {
      const { body } = await at.ask({ ...WANTED, resource: `ch_r${round}` });
      await at.approve(body.approval_id);
      const [collected] = await Promise.all([at.look(body.id), revoke(body.id, at.tenant.admin)]);
      const { token } = collected.body;
      if (token !== undefined) expect((await at.refund(token)).code).toBe("UNAUTHORIZED");
      expect((await seen(body.id)).body.status).toBe("revoked");
    }
  });

  test("lists are a member's of all, an agent's of its own", async () => {
    const other = await at.newAgent();
    await at.ask();
    await at.ask(WANTED, other.api_key);
    const count = async (credential: string, query = "") =>
      (await send("GET", `/v1/permissions${query}`, { credential })).body.permissions.length;
    expect(await count(at.tenant.viewer)).toBe(2);
    expect(await count(at.tenant.viewer, `?agent=${other.id}&status=pending`)).toBe(1);
    expect(await count(at.agent.api_key)).toBe(1);
    expect(await count(at.agent.api_key, `?agent=${other.id}`)).toBe(1);
    expect(await count(at.tenant.viewer, "?status=approved")).toBe(0);
  });

  test("a frozen tenant's are neither asked for nor handed out", async () => {
    const { body } = await at.ask();
    await at.approve(body.approval_id);
    await at.made("POST", "/v1/freeze", { frozen: true, reason: "a test" });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 6_000 });
    expect((await at.look(body.id)).body.error.code).toBe("TENANT_FROZEN");
    expect((await at.ask()).body.error.code).toBe("TENANT_FROZEN");
  });

  test("the trail has what was asked for, and what was granted of it", async () => {
    const { id } = await at.granted(WANTED, { granted: { scope: { max_amount: 40 } } });
    expect(await at.line("permission.requested", id)).toMatchObject({
      actor: `agent:${at.agent.id}`,
      context: { action: "payment.refund", resource: "ch_1", scope: WANTED.scope, context: WANTED.context },
    });
    expect(await at.line("permission.granted", id)).toMatchObject({
      context: { scope: { max_amount: 40 }, requested_scope: WANTED.scope, narrowed_fields: ["max_amount"] },
    });
  });
});
