import { eq } from "drizzle-orm";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { webhooks } from "../../../src/notifications/tables.ts";
import { bindings, countRows, db, newTenant, outboxEmpty, send } from "../api/door.ts";
import { signedIn } from "../support/signed-in.ts";

const URL_OK = "https://hooks.example.org/valetkey?key=hush-0123456789";
const GOOD = { kind: "webhook", url: URL_OK, events: ["approval.*"] };

let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeAll(async () => {
  tenant = await newTenant();
  const value = { value: "xoxb-a-slack-credential-0001", allowed_hosts: ["slack.com"] };
  await send("PUT", "/v1/secrets/production/slack/KEY", { credential: tenant.editor, body: value });
  for (const [slug, provider] of [
    ["chat", "slack"],
    ["ai", "openai"],
  ]) {
    const secret = "production/slack/KEY";
    const own = { slug, provider, secret, base_url: "https://slack.com" };
    expect((await as("POST", "/v1/connections", own)).status).toBe(201);
  }
});
beforeEach(async () => {
  await db.delete(webhooks).where(eq(webhooks.tenantId, tenant.tenantId));
});

const as = (method: string, path: string, body?: unknown, credential = tenant.editor) =>
  send(method, path, { credential, ...(body === undefined ? {} : { body }) });
const create = (over: object = {}) => as("POST", "/v1/webhooks", { ...GOOD, ...over });

describe("a webhook", () => {
  test("is made, listed, changed and deleted; its secret is told once, lies sealed, and is in no event", async () => {
    const made = await create({ name: "Ops" });
    expect(made.status).toBe(201);
    const { secret, ...webhook } = made.body;
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(webhook).toMatchObject({
      ...{ kind: "webhook", name: "Ops", url: URL_OK, events: ["approval.*"], agent_id: null },
      ...{ enabled: true, disabled_reason: null, link_origin: "http://localhost", connection: null },
    });
    const path = `/v1/webhooks/${webhook.id}`;
    expect((await as("GET", "/v1/webhooks")).body.webhooks).toEqual([webhook]);
    expect((await as("GET", path)).body).toEqual(webhook);
    const changed = await as("PATCH", path, { events: ["*"], enabled: false });
    expect(changed.body).toMatchObject({ events: ["*"], enabled: false, url: URL_OK });
    const [row] = await db.select().from(webhooks).where(eq(webhooks.id, webhook.id));
    expect(JSON.stringify(row)).not.toContain(secret.slice(6));
    const rotated = await as("POST", `${path}/rotate-secret`, { overlap: "1h" });
    expect(rotated.body.secret).toMatch(/^whsec_/);
    expect(rotated.body.secret).not.toBe(secret);
    expect(Date.parse(rotated.body.old_secret_until)).toBeGreaterThan(Date.now());
    expect((await as("DELETE", path)).status).toBe(204);
    expect((await as("GET", path)).status).toBe(404);
    await outboxEmpty();
    const trail = await send("GET", "/v1/audit?resource_type=webhook", { credential: tenant.auditor });
    const own = trail.body.events.filter((event: { resource: string }) => event.resource === webhook.id);
    expect(own.map((event: { event_type: string }) => event.event_type).toSorted()).toEqual(
      ["created", "deleted", "updated", "updated"].map((done) => `webhook.${done}`),
    );
    for (const hidden of [secret.slice(6), rotated.body.secret.slice(6), "hush-0123456789"])
      expect(JSON.stringify(own)).not.toContain(hidden);
    expect(own.at(-1).actor).toMatch(/^member:/);
  });

  test.each([
    ["a kind that there is not", { kind: "pager" }],
    ["a pattern of no family", { events: ["secret.read"] }],
    ["no events", { events: [] }],
    ["a member of another kind", { channel: "C0123456789" }],
    ["an agent that is not there", { agent_id: "agt_000000000000000000000000" }],
    [
      "a channel that is a mention",
      { kind: "slack", url: undefined, connection: "chat", channel: "<!channel>" },
    ],
    ["a connection that is not there", { kind: "slack", url: undefined, connection: "no", channel: "#ops" }],
    [
      "a connection to another provider",
      { kind: "slack", url: undefined, connection: "ai", channel: "#ops" },
    ],
    [
      "an email binding that there is not",
      { kind: "email_binding", url: undefined, from: "a@example.com", to: ["b@example.com"] },
    ],
    [
      "a sender that breaks a line",
      {
        kind: "email",
        url: undefined,
        connection: "chat",
        from: "a@example.com\r\nBcc: x@example.com",
        to: ["b@example.com"],
      },
    ],
  ])("with %s is a 400 and writes nothing", async (_, over) => {
    await outboxEmpty();
    const before = await countRows();
    const answer = await create(over);
    expect([answer.status, answer.body.error?.code]).toEqual([400, "VALIDATION_ERROR"]);
    expect(await countRows()).toEqual(before);
  });

  test("keeps its kind: a change cannot give it what belongs to another", async () => {
    const made = await as("POST", "/v1/webhooks", {
      kind: "slack",
      connection: "chat",
      channel: "#ops",
      events: ["*"],
    });
    expect([made.status, made.body.secret, made.body.channel]).toEqual([201, null, "#ops"]);
    const path = `/v1/webhooks/${made.body.id}`;
    expect((await as("PATCH", path, { url: URL_OK })).status).toBe(400);
    expect((await as("PATCH", path, { connection: "ai" })).status).toBe(400);
    expect((await as("PATCH", path, { channel: "#other" })).body.channel).toBe("#other");
    expect((await as("POST", `${path}/rotate-secret`, {})).status).toBe(409);
  });

  test.each([
    "https://user@hooks.example.org/",
    "https://HOOKS.example.org/",
    "https://hooks.example.org/a/../b",
    "https://hooks.example.org/#top",
    "https://hooks.example.org/?key=1#top",
    "https://hooks.example.org/?key=<b>",
    "https://hooks.example.org/a b",
    "http://localhost/v1/webhooks",
    "ftp://hooks.example.org/",
  ])("attack 91: to %s is refused, as a new one and as a change", async (url) => {
    const made = await create({ url });
    expect([made.status, made.body.error.code]).toEqual([403, "DESTINATION_DENIED"]);
    const { id } = (await create()).body;
    const changed = await as("PATCH", `/v1/webhooks/${id}`, { url });
    expect([changed.status, changed.body.error.code]).toEqual([403, "DESTINATION_DENIED"]);
    expect((await as("GET", `/v1/webhooks/${id}`)).body.url).toBe(URL_OK);
  });

  test("is one of 20 at most", async () => {
    for (let made = 0; made < 20; made += 1) expect((await create()).status).toBe(201);
    expect((await create()).status).toBe(409);
  });

  test("attack 73: of another tenant is one that does not exist", async () => {
    const { id } = (await create()).body;
    const other = await newTenant();
    const delivery = "dlv_000000000000000000000000";
    for (const [method, path, body] of [
      ["GET", "", undefined],
      ["PATCH", "", { enabled: false }],
      ["DELETE", "", undefined],
      ["POST", "/rotate-secret", {}],
      ["POST", "/test", undefined],
      ["GET", "/deliveries", undefined],
      ["POST", `/deliveries/${delivery}/replay`, undefined],
    ] as const) {
      const answer = await as(method, `/v1/webhooks/${id}${path}`, body, other.editor);
      expect([answer.status, answer.body.error.code], path).toEqual([404, "NOT_FOUND"]);
    }
    expect((await as("GET", "/v1/webhooks", undefined, other.editor)).body.webhooks).toEqual([]);
    expect((await as("GET", `/v1/webhooks/${id}`)).body.enabled).toBe(true);
  });

  test("may be for one agent of the tenant's", async () => {
    const admin = await signedIn(tenant.tenantId, "admin");
    const agent = await send("POST", "/v1/agents", { headers: admin.headers, body: { name: "a" } });
    expect((await create({ agent_id: agent.body.id })).body.agent_id).toBe(agent.body.id);
  });
});

test("where the operator has set GATEWAY_ORIGIN, messages lead there; a value that is no origin stops the deployment", async () => {
  const { linkOrigin } = await import("../../../src/notifications/link-origin.ts");
  expect(linkOrigin(undefined, "https://a.example.org", "production")).toBe("https://a.example.org");
  expect(linkOrigin("https://b.example.org", "https://a.example.org", "production")).toBe(
    "https://b.example.org",
  );
  for (const bad of [
    "http://b.example.org",
    "https://b.example.org/",
    "https://b.example.org/x",
    "b.example.org",
    "http://localhost",
  ])
    expect(() => linkOrigin(bad, "https://a.example.org", "production")).toThrow("GATEWAY_ORIGIN");
  expect(linkOrigin("http://localhost:8787", "x", "development")).toBe("http://localhost:8787");
  expect(bindings.GATEWAY_ORIGIN).toBeUndefined();
});
