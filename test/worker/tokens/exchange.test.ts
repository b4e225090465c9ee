import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { createServices } from "../../../src/services.ts";
import { bindings, send } from "../api/door.ts";
import { signedIn } from "../support/signed-in.ts";
import { AUDIENCE, exchangeAs, Issuer, openTrusting, type Trusting } from "./workload.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** The tenant's events of a type, newest last. */
async function eventsOf({ tenant }: Trusting, type: string) {
  const answer = await send("GET", `/v1/audit?event_type=${type}&limit=100`, { credential: tenant.auditor });
  expect(answer.status).toBe(200);
  return answer.body.events as { context: Record<string, unknown>; actor: string; resource: string }[];
}

describe("a workload without a stored secret", () => {
  let ci: Trusting;
  beforeAll(async () => {
    ci = await openTrusting();
    expect((await ci.trust({ max_ttl: "15m", claims: { ref: "main" } })).status).toBe(201);
  });

  test("gets a token of the agent that trusts it, as narrow as it asks for", async () => {
    const subject = await ci.issuer.token({ ref: "main" });
    const answer = await ci.exchange(subject, {
      ttl: "5m",
      max_uses: "3",
      allow: JSON.stringify([{ connection: "up", methods: ["GET"] }]),
      ip_allowlist: '["192.0.2.0/24"]',
      context: '{"reason": "deploy"}',
    });
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.body).toMatchObject({
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
      token_type: "Bearer",
      scope: "connections:call:up",
    });
    expect(answer.body.expires_in).toBeLessThanOrEqual(301);
    const token = await send("GET", `/v1/tokens/${answer.body.token_id}`, { credential: ci.tenant.admin });
    expect(token.body).toMatchObject({
      agent_id: ci.agentId,
      scopes: ["connections:call:up"],
      max_uses: 3,
      ip_allowlist: ["192.0.2.0/24"],
      allow: [{ connection: "up", methods: ["GET"] }],
      context: { reason: "deploy" },
    });
    expect((await send("GET", "/v1/me", { credential: answer.body.access_token })).status).toBe(200);
  });

  test("its token ends with the rule's `max_ttl`, and never after its own", async () => {
    const seconds = async (claims: object, form: Record<string, string> = {}) => {
      const answer = await ci.exchange(await ci.issuer.token({ ref: "main", ...claims }), form);
      expect(answer.status).toBe(200);
      return Date.parse(answer.body.expires_at) / 1000 - Date.now() / 1000;
    };
    const now = Math.floor(Date.now() / 1000);
    expect(await seconds({ exp: now + 7200 }, { ttl: "1h" })).toBeLessThanOrEqual(901);
    const exp = now + 120;
    const answer = await ci.exchange(await ci.issuer.token({ ref: "main", exp }), { ttl: "15m" });
    expect(Date.parse(answer.body.expires_at) / 1000).toBeLessThanOrEqual(exp);
    const fraction = await ci.exchange(await ci.issuer.token({ ref: "main", exp: exp + 0.5 }));
    expect(Date.parse(fraction.body.expires_at) / 1000).toBeLessThanOrEqual(exp);
  });

  test("what issued it, by which rule and for whom, stands in the trail", async () => {
    const answer = await ci.exchange(await ci.issuer.token({ ref: "main" }));
    const { body } = await send("GET", `/v1/agents/${ci.agentId}/trust`, { credential: ci.tenant.viewer });
    await expect
      .poll(async () => {
        const events = await eventsOf(ci, "token.issued");
        return events.find(({ resource }) => resource === answer.body.token_id)?.context;
      })
      .toMatchObject({
        grant: "token-exchange",
        trust_rule: body.rules[0].id,
        issuer: ci.issuer.url,
        subject: "workload-1",
        claims: { ref: "main" },
      });
  });

  test("gets nothing outside the rule's scopes or the agent's, and nothing by default", async () => {
    const narrow = await openTrusting();
    await narrow.trust({ allowed_scopes: ["connections:call:stripe"] });
    const subject = await narrow.issuer.token();
    const outcome = async (scope: string | undefined) => {
      const { status, body } = await narrow.exchange(subject, { scope });
      return [status, body.error, body.code];
    };
    expect(await outcome("connections:call:stripe")).toEqual([200, undefined, undefined]);
    const refused = [400, "invalid_scope", "SCOPE_DENIED"];
    expect(await outcome("connections:call:up")).toEqual(refused);
    expect(await outcome("connections:call:stripe connections:call:*")).toEqual(refused);
    const invalid = [400, "invalid_scope", "VALIDATION_ERROR"];
    for (const scope of [undefined, "", " ", "openid"]) expect(await outcome(scope)).toEqual(invalid);
    const wide = await openTrusting({ allowed_scopes: ["connections:call:up"] });
    await wide.trust({ allowed_scopes: ["connections:call:*", "secrets:*:*"] });
    const answer = await wide.exchange(await wide.issuer.token(), { scope: "secrets:read:production/*" });
    expect(answer.body).toMatchObject({ error: "invalid_scope" });
  });

  test("answers as RFC 6749 and 8693 have it, and says what was wrong with the request", async () => {
    const subject = await ci.issuer.token({ ref: "main" });
    const error = async (form: Record<string, string | undefined>) => {
      const { status, body, headers } = await ci.exchange(subject, form);
      expect(headers.get("cache-control")).toBe("no-store");
      expect(body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
      expect(body.request_id).toMatch(/^req_/);
      return [status, body.error];
    };
    expect(await error({ grant_type: "client_credentials" })).toEqual([400, "unsupported_grant_type"]);
    expect(await error({ grant_type: undefined })).toEqual([400, "invalid_request"]);
    expect(await error({ subject_token: undefined })).toEqual([400, "invalid_request"]);
    expect(await error({ subject_token_type: "urn:x" })).toEqual([400, "invalid_request"]);
    expect(await error({ actor_token: "x" })).toEqual([400, "invalid_request"]);
    expect(await error({ max_use: "1" })).toEqual([400, "invalid_request"]);
    expect(await error({ allow: "[" })).toEqual([400, "invalid_request"]);
    expect(await error({ allow: '[{"conection": "up"}]' })).toEqual([400, "invalid_request"]);
    expect(await error({ audience: "https://elsewhere.example.com" })).toEqual([400, "invalid_target"]);
    expect((await ci.exchange(subject, { resource: "http://localhost" })).status).toBe(200);
  });

  test("who is not known, not trusted or not good hears one answer", async () => {
    const untrusting = await openTrusting();
    const genuine = await ci.issuer.token({ ref: "main" });
    const impostor = await Issuer.open();
    const answers = await Promise.all([
      exchangeAs("agt_000000000000000000000000", genuine),
      untrusting.exchange(genuine),
      ci.exchange(await ci.issuer.token({ ref: "other" })),
      ci.exchange(await ci.issuer.token({ ref: "main", aud: "https://other.example.com" })),
      ci.exchange(await impostor.token({ ref: "main" })),
      ci.exchange("nonsense"),
      ci.exchange(ci.apiKey),
    ]);
    const seen = answers.map(({ status, headers, body: { request_id: _id, ...body } }) =>
      JSON.stringify([status, body, [...headers.keys()]]),
    );
    expect(new Set(seen).size).toBe(1);
    expect(answers[0]).toMatchObject({
      status: 400,
      body: { error: "invalid_request", code: "EXCHANGE_REFUSED" },
    });
  });

  test("a refusal stands in the agent's trail, repeated ones as one", async () => {
    const flooded = await openTrusting();
    await flooded.trust();
    vi.useFakeTimers({ now: Date.UTC(2026, 10, 22, 12, 0, 10), toFake: ["Date"] });
    const subject = await flooded.issuer.token({ sub: "workload-2" });
    for (let n = 0; n < 20; n++) expect((await flooded.exchange(subject)).status).toBe(400);
    const denials = () => eventsOf(flooded, "token.denied");
    await expect.poll(async () => (await denials()).length).toBe(1);
    expect((await denials())[0]).toMatchObject({
      actor: "system",
      resource: flooded.agentId,
      context: { reason: "no_match", claimed_issuer: flooded.issuer.url },
    });
    vi.setSystemTime(Date.now() + 60_000);
    await flooded.exchange(subject);
    await expect
      .poll(
        async () =>
          (await denials()).at(0)?.context["repeated_before"] ??
          (await denials()).at(-1)?.context["repeated_before"],
      )
      .toBe(19);
    expect(await denials()).toHaveLength(2);
  });

  test("a policy that denies the request is named in the agent's trail, and no two are told as one", async () => {
    const policed = await openTrusting();
    await policed.trust();
    const ids: string[] = [];
    for (const tool of ["a", "b"]) {
      const body = { name: `no ${tool}`, effect: "deny", on: "tokens", condition: `asked.tool == "${tool}"` };
      const made = await send("POST", "/v1/policies", { credential: policed.tenant.admin, body });
      expect(made.status, JSON.stringify(made.body)).toBe(201);
      ids.push(made.body.id);
    }
    vi.useFakeTimers({ now: Date.UTC(2026, 10, 22, 12, 0, 10), toFake: ["Date"] });
    const subject = await policed.issuer.token();
    for (const tool of ["a", "b", "a"]) {
      expect((await policed.exchange(subject, { tool })).body.code).toBe("POLICY_DENIED");
    }
    const told = async () =>
      (await eventsOf(policed, "token.denied")).map(({ context }) => [
        ...[context["reason"], context["policy_id"], context["policy_name"], context["policy_version"]],
      ]);
    await expect.poll(async () => (await told()).length).toBe(2);
    expect(await told()).toEqual(
      expect.arrayContaining([
        ["POLICY_DENIED", ids[0], "no a", 1],
        ["POLICY_DENIED", ids[1], "no b", 1],
      ]),
    );
  });

  test("an agent that is disabled, deleted, frozen or elsewhere gives nothing away", async () => {
    const codeOf = async (trusting: Trusting) => {
      const answer = await trusting.exchange(await trusting.issuer.token());
      return answer.status === 200 ? 200 : answer.body.code;
    };
    const agent = await openTrusting();
    await agent.trust();
    const { admin } = agent.tenant;
    expect(await codeOf(agent)).toBe(200);
    const path = `/v1/agents/${agent.agentId}`;
    await send("PATCH", path, { credential: admin, body: { ip_allowlist: ["203.0.113.1"] } });
    expect(await codeOf(agent)).toBe("ADDRESS_DENIED");
    await send("PATCH", path, { credential: admin, body: { ip_allowlist: [], disabled: true } });
    expect(await codeOf(agent)).toBe("EXCHANGE_REFUSED");
    await send("PATCH", path, { credential: admin, body: { disabled: false } });
    expect(await codeOf(agent)).toBe(200);
    const freeze = { frozen: true, reason: "drill" };
    await send("POST", "/v1/freeze", { credential: admin, body: freeze, headers: { prefer: "wait" } });
    expect(await codeOf(agent)).toBe("TENANT_FROZEN");
    await send("POST", "/v1/freeze", { credential: admin, body: { ...freeze, frozen: false } });
    await send("DELETE", path, { credential: admin });
    expect(await codeOf(agent)).toBe("EXCHANGE_REFUSED");
  }, 20_000);

  test("an issuer that is away is a 503, and no verdict", async () => {
    const away = await openTrusting();
    await away.trust();
    away.issuer.documents.instead = () => Promise.reject(new Error("away"));
    const answer = await away.exchange(await away.issuer.token());
    expect([answer.status, answer.body.error]).toEqual([503, "temporarily_unavailable"]);
    expect(answer.headers.get("retry-after")).toBe("5");
  });
});

describe("a trust rule", () => {
  test("is no longer one once it was removed, also for an exchange that is under way", async () => {
    const agent = await openTrusting();
    const { body: rule } = await agent.trust();
    const subject = await agent.issuer.token();
    expect((await agent.exchange(subject)).status).toBe(200);
    // Removed between reading the rules and issuing: fetching the keys takes its time.
    const other = await Issuer.open();
    const second = await agent.trust({ issuer: other.url });
    const documents = other.documents;
    const removed = Promise.withResolvers<void>();
    documents.instead = async (url) => {
      await removed.promise;
      documents.instead = null;
      return Response.json(url.endsWith("/keys") ? { keys: documents.keys } : documents.metadata);
    };
    const underWay = agent.exchange(await other.token());
    await vi.waitUntil(() => documents.asked.length > 0);
    const credential = agent.tenant.admin;
    const path = `/v1/agents/${agent.agentId}/trust`;
    expect((await send("DELETE", `${path}/${second.body.id}`, { credential })).status).toBe(204);
    removed.resolve();
    expect((await underWay).body).toMatchObject({ code: "EXCHANGE_REFUSED" });
    expect((await send("DELETE", `${path}/${rule.id}`, { credential })).status).toBe(204);
    expect((await agent.exchange(subject)).body).toMatchObject({ code: "EXCHANGE_REFUSED" });
    expect((await send("DELETE", `${path}/${rule.id}`, { credential })).status).toBe(404);
  });

  test("is shown as it was written, to every member, and each change is in the trail", async () => {
    const agent = await openTrusting();
    const made = await agent.trust({ max_ttl: "15m", claims: { ref: { like: ["refs/heads/*"] } } });
    expect(made.status).toBe(201);
    const path = `/v1/agents/${agent.agentId}/trust`;
    for (const credential of [agent.tenant.auditor, agent.tenant.viewer]) {
      const { body } = await send("GET", path, { credential });
      const { effective_at: _, ...rule } = made.body;
      expect(body).toEqual({ rules: [rule] });
      expect(rule).toMatchObject({ max_ttl: "900s", claims: { ref: { like: ["refs/heads/*"] } } });
    }
    await send("DELETE", `${path}/${made.body.id}`, { credential: agent.tenant.admin });
    await expect
      .poll(async () => (await eventsOf(agent, "agent.updated")).map(({ context }) => Object.keys(context)))
      .toEqual(
        expect.arrayContaining([
          expect.arrayContaining(["trust_rule_added"]),
          expect.arrayContaining(["trust_rule_removed"]),
        ]),
      );
  });

  test("takes a person who has just signed in, or a credential for scripts", async () => {
    const agent = await openTrusting();
    const { body: rule } = await agent.trust();
    const { tenantId } = agent.tenant;
    const path = `/v1/agents/${agent.agentId}/trust`;
    const stale = await signedIn(tenantId, "admin", { authenticatedAt: Date.now() - 6 * 60_000 });
    const fresh = await signedIn(tenantId, "admin");
    const answers = async ({ headers }: typeof fresh) => {
      const made = await send("POST", path, { headers, body: { name: "x" } });
      const removed = await send("DELETE", `${path}/${rule.id}`, { headers });
      return [made.body.error.code, removed.body.error?.code];
    };
    expect(await answers(stale)).toEqual(["STEP_UP_REQUIRED", "STEP_UP_REQUIRED"]);
    expect(await answers(fresh)).toEqual(["VALIDATION_ERROR", undefined]);
  });

  test("cannot be another tenant's, and an agent has at most 20", async () => {
    const [agent, other] = [await openTrusting(), await openTrusting()];
    const credential = other.tenant.admin;
    const rule = { name: "n", issuer: agent.issuer.url, audience: AUDIENCE, subject: "workload-1" };
    const path = `/v1/agents/${agent.agentId}/trust`;
    expect((await send("POST", path, { credential, body: rule })).status).toBe(404);
    expect((await send("GET", path, { credential })).status).toBe(404);
    const { body } = await agent.trust();
    expect((await send("DELETE", `${path}/${body.id}`, { credential })).status).toBe(404);
    for (let n = 1; n < 20; n++) expect((await agent.trust()).status).toBe(201);
    expect((await agent.trust()).status).toBe(409);
  }, 20_000);

  test("names no issuer or key set that the gateway would not fetch from", async () => {
    const agent = await openTrusting();
    const { PRIVATE_UPSTREAMS: _private, ...rest } = bindings;
    const services = createServices(
      { ...rest, ENVIRONMENT: "production" },
      "gateway.example.com",
      () => undefined,
    );
    const admin = {
      kind: "member" as const,
      tenantId: agent.tenant.tenantId,
      memberId: "mem_000000000000000000000000" as never,
      name: "admin",
      role: "admin" as const,
      script: true,
      actor: "member:test",
      request: { requestId: "req_test", ip: null, userAgent: null },
    };
    const rule = {
      name: "n",
      provider: "generic" as const,
      issuer: "https://issuer.example.com",
      audience: AUDIENCE,
      subject: "workload-1",
      claims: {},
    };
    const add = (over: object) => services.trustRules.add(admin, agent.agentId, { ...rule, ...over });
    for (const over of [
      { issuer: "http://issuer.example.com" },
      { issuer: "https://127.0.0.1" },
      { issuer: "https://metadata.google.internal" },
      { issuer: "https://gateway.example.com" },
      { jwks_uri: "https://169.254.169.254/keys" },
      { jwks_uri: "http://issuer.example.com/keys" },
      { issuer: "http://cluster.local", jwks_uri: "https://issuer.example.com/keys" },
    ]) {
      await expect(add(over), JSON.stringify(over)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    }
    const named = { issuer: "https://kubernetes.default.svc", jwks_uri: "https://issuer.example.com/keys" };
    await expect(add(named)).resolves.toMatchObject({ rule: named });
  });
});

describe("an exchange that reaches what people have to approve", () => {
  test("is one request for them, however often it comes while the subject token runs out, and says which", async () => {
    const ci = await openTrusting();
    await ci.trust({ max_ttl: "15m" });
    const secret = {
      value: "a-value-of-some-length",
      access_tier: "sensitive",
      allowed_hosts: ["api.example.com"],
    };
    await send("PUT", "/v1/secrets/app/KEY", { credential: ci.tenant.admin, body: secret });
    const ask = async (exp: number, ttl?: string) => {
      const subject = await ci.issuer.token({ exp: Math.floor(Date.now() / 1000) + exp });
      const answer = await ci.exchange(subject, { scope: "secrets:use:app/KEY", ttl });
      expect([answer.status, answer.body.error, answer.body.code]).toEqual([
        403,
        "unauthorized_client",
        "APPROVAL_REQUIRED",
      ]);
      return answer.body.approval_id as string;
    };
    const first = await ask(600);
    expect(first).toMatch(/^apr_/);
    for (const exp of [500, 120, 30]) expect(await ask(exp)).toBe(first);
    const another = await ask(600, "5m");
    expect(another).not.toBe(first);
    expect(await ask(60, "5m")).toBe(another);
    const own = await send("GET", `/v1/approvals/agent/${first}`, { credential: ci.apiKey });
    expect(own.body).toMatchObject({ approval_id: first, status: "pending" });
    const person = await signedIn(ci.tenant.tenantId, "editor");
    const { body } = await send("GET", "/v1/approvals?status=pending", { headers: person.headers });
    expect(body.approvals.map(({ requested }: { requested: object }) => requested)).toMatchObject([
      { ttl_seconds: 300 },
      { ttl_seconds: 900 },
    ]);
  });

  test("attack 76: serves the workload that people were shown, and none that the same rule lets in", async () => {
    const ci = await openTrusting();
    const rule = await ci.trust({ max_ttl: "15m", claims: { ref: { like: ["release-*"] } } });
    const secret = { value: "a-value-of-some-length", access_tier: "sensitive" };
    await send("PUT", "/v1/secrets/app/KEY", { credential: ci.tenant.admin, body: secret });
    const ask = async (ref: string) =>
      ci.exchange(await ci.issuer.token({ ref }), { scope: "secrets:use:app/KEY" });
    const id = (await ask("release-1")).body.approval_id as string;
    const { headers } = await signedIn(ci.tenant.tenantId, "editor");
    const shown = (await send("GET", `/v1/approvals/${id}`, { headers })).body.workload;
    expect(shown).toMatchObject({ trust_rule: rule.body.id, claims: { ref: "release-1" } });
    expect((await send("POST", `/v1/approvals/${id}/approve`, { headers, body: {} })).status).toBe(200);
    const other = await ask("release-2");
    expect([other.status, other.body.approval_id === id]).toEqual([403, false]);
    expect((await ask("release-1")).status).toBe(200);
    expect((await ask("release-1")).body.approval_id).not.toBe(id);
  });
});
