import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { serveAs } from "../attacks/support.ts";
import { watchSecret } from "../support/canary.ts";
import { resendApi, slackApi, telegramApi, type Emulator } from "../support/channel-emulators.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import {
  type HostileUpstream,
  type Received,
  reply,
  startHostileUpstream,
} from "../support/hostile-upstream.ts";
import { createTenant, type TestTenant } from "../support/tenant.ts";

const SLACK_KEY = "xoxb-9917-notifications-canary-7Hq2";
const TELEGRAM_KEY = "77310:AAcanary-of-notifications-Zk19x";
const RESEND_KEY = "re_canary_of_notifications_40aB1";

let gateway: Gateway;
let tenant: TestTenant;
let upstream: HostileUpstream;
let elsewhere: HostileUpstream;
const made: string[] = [];

beforeAll(async () => {
  [gateway, upstream, elsewhere] = await Promise.all([
    startGateway(),
    startHostileUpstream(),
    startHostileUpstream(),
  ]);
  tenant = await createTenant(gateway);
  const base_url = upstream.url;
  await tenant.connect("chat", { provider: "slack", base_url, value: SLACK_KEY });
  await tenant.connect("bot", { provider: "telegram", base_url, value: TELEGRAM_KEY });
  await tenant.connect("mail", { provider: "resend", base_url, value: RESEND_KEY });
});
afterEach(async () => {
  for (const id of made.splice(0)) await tenant.admin.call("DELETE", `/v1/webhooks/${id}`);
  upstream.requests.length = 0;
  elsewhere.requests.length = 0;
  upstream.answer = () => reply("200 OK");
});
afterAll(async () => {
  await Promise.all([gateway.stop(), upstream.close(), elsewhere.close()]);
});

interface Receiver {
  id: string;
  secret: string;
}

async function receiver(over: object = {}): Promise<Receiver> {
  const webhook = await tenant.admin.must("POST", "/v1/webhooks", {
    ...{ kind: "webhook", url: `${upstream.url}/hook?key=of-the-url`, events: ["*"] },
    ...over,
  });
  made.push(webhook.id);
  if (webhook.secret !== null) watchSecret(webhook.secret.slice(6));
  return { id: webhook.id, secret: webhook.secret };
}

const sendTest = ({ id }: Receiver) => tenant.admin.must("POST", `/v1/webhooks/${id}/test`);
const deliveriesOf = async ({ id }: Receiver, query = "") =>
  (await tenant.admin.must("GET", `/v1/webhooks/${id}/deliveries${query}`)).deliveries;

async function until<T>(what: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (let tries = 0; tries < 200; tries += 1) {
    const found = await what();
    if (found !== undefined && found !== false) return found;
    await sleep(75);
  }
  throw new Error("it never came");
}

const ended = (one: Receiver, status: string) =>
  until(async () =>
    (await deliveriesOf(one)).find((delivery: { status: string }) => delivery.status === status),
  );

function headersOf(request: Received): Record<string, string> {
  return Object.fromEntries(request.headers.map(([name, value]) => [name.toLowerCase(), value]));
}

/** What a receiver that follows the specification makes of it: its body; throws where it would refuse it. */
// oxlint-disable-next-line typescript/no-explicit-any -- a body has no type
const verified = (secret: string, request: Received): any =>
  new Webhook(secret).verify(request.body.toString(), headersOf(request));

test("a delivery is one that Standard Webhooks' own library takes, and none with a byte changed", async () => {
  const hook = await receiver();
  const { id, event_id } = await sendTest(hook);
  const delivery = await ended(hook, "delivered");
  expect(delivery).toMatchObject({ id, attempts: 1, last_status: 200, last_error: null });
  expect(upstream.requests).toHaveLength(1);
  const request = upstream.last();
  expect([request.method, request.target]).toEqual(["POST", "/hook?key=of-the-url"]);
  expect(headersOf(request)).toMatchObject({ "content-type": "application/json", "webhook-id": event_id });
  const { type, timestamp, data } = verified(hook.secret, request);
  expect(type).toBe("webhook.test");
  expect(Date.parse(timestamp)).toBeGreaterThan(Date.now() - 60_000);
  expect(data).toEqual({ message: "This is a test. Nothing has happened." });
  const changed = { ...request, body: Buffer.from(request.body.toString().replace("test", "tent")) };
  expect(() => verified(hook.secret, changed)).toThrow("No matching signature");
  expect(headersOf(request)).not.toHaveProperty("authorization");
});

test("a rotated secret signs beside the old one until that has had its time", async () => {
  const hook = await receiver();
  const rotated = await tenant.admin.must("POST", `/v1/webhooks/${hook.id}/rotate-secret`, { overlap: "1h" });
  watchSecret(rotated.secret.slice(6));
  await sendTest(hook);
  await ended(hook, "delivered");
  const first = upstream.last();
  expect(headersOf(first)["webhook-signature"]?.split(" ")).toHaveLength(2);
  for (const secret of [hook.secret, rotated.secret])
    expect(verified(secret, first).type).toBe("webhook.test");
  const again = await tenant.admin.must("POST", `/v1/webhooks/${hook.id}/rotate-secret`, {});
  watchSecret(again.secret.slice(6));
  await sendTest(hook);
  await until(() => upstream.requests.length === 2);
  const second = upstream.last();
  for (const secret of [rotated.secret, again.secret])
    expect(verified(secret, second).type).toBe("webhook.test");
  expect(() => verified(hook.secret, second)).toThrow("No matching signature");
});

test("a receiver that fails is told again with the same id and a signature of its own, and what it answered is not kept", async () => {
  const hook = await receiver();
  upstream.answer = () => reply("500 Oops", [], "answer-that-nobody-keeps");
  const { event_id } = await sendTest(hook);
  await until(async () => (await deliveriesOf(hook))[0]?.last_error === "refused");
  expect((await deliveriesOf(hook))[0]).toMatchObject({ status: "pending", attempts: 1, last_status: 500 });
  upstream.answer = () => reply("200 OK");
  expect(await ended(hook, "delivered")).toMatchObject({ attempts: 2, last_status: 200 });
  expect(upstream.requests.map((request) => headersOf(request)["webhook-id"])).toEqual([event_id, event_id]);
  for (const request of upstream.requests) expect(verified(hook.secret, request).type).toBe("webhook.test");
  expect(JSON.stringify(await deliveriesOf(hook))).not.toContain("answer-that-nobody-keeps");
});

test("410 ends it: the receiver is off and that is in the trail; switched on, its dead letter is replayed", async () => {
  const hook = await receiver();
  upstream.answer = () => reply("410 Gone");
  await sendTest(hook);
  const dead = await ended(hook, "dead");
  expect(dead).toMatchObject({ attempts: 1, last_status: 410, last_error: "gone", next_attempt_at: null });
  const path = `/v1/webhooks/${hook.id}`;
  await until(async () => (await tenant.admin.must("GET", path)).disabled_reason === "gone");
  expect((await tenant.admin.call("POST", `${path}/test`)).status).toBe(409);
  upstream.answer = () => reply("200 OK");
  const patched = await tenant.admin.must("PATCH", path, { enabled: true });
  expect(patched).toMatchObject({ enabled: true, disabled_reason: null });
  await tenant.admin.must("POST", `${path}/deliveries/${dead.id}/replay`);
  expect(await ended(hook, "delivered")).toMatchObject({ id: dead.id, attempts: 1, last_status: 200 });
  const types = await until(async () => {
    const { events } = await tenant.admin.must("GET", "/v1/audit?resource_type=webhook&limit=200");
    const own = events.filter((event: { resource: string }) => event.resource === hook.id);
    return own.length === 4 && own.map((event: { event_type: string }) => event.event_type);
  });
  expect(types.toSorted()).toEqual(
    ["created", "disabled", "replayed", "updated"].map((done) => `webhook.${done}`),
  );
});

test("attack 17: a redirect is not followed, with or without a credential", async () => {
  upstream.answer = () => reply("307 Temporary Redirect", [["Location", `${elsewhere.url}/`]]);
  const hooks = [await receiver(), await receiver({ ...SLACK })];
  for (const hook of hooks) {
    await sendTest(hook);
    const [delivery] = await until(async () => {
      const all = await deliveriesOf(hook);
      return all[0]?.last_error !== null && all;
    });
    expect([delivery.last_status, delivery.status]).toEqual([307, "pending"]);
  }
  expect(elsewhere.requests).toEqual([]);
});

test("a receiver that does not answer holds up nobody else", async () => {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  upstream.answer = async (request) => {
    if (request.target === "/slow") await released;
    return reply("200 OK");
  };
  const slow = await receiver({ url: `${upstream.url}/slow` });
  const quick = await receiver({ url: `${upstream.url}/quick` });
  await sendTest(slow);
  await until(() => upstream.requests.some(({ target }) => target === "/slow"));
  for (let sent = 1; sent <= 3; sent += 1) {
    await sendTest(quick);
    await until(() => upstream.requests.filter(({ target }) => target === "/quick").length === sent);
  }
  expect((await deliveriesOf(slow))[0]).toMatchObject({ status: "pending", last_error: null });
  release();
  await ended(slow, "delivered");
});

const SLACK = { kind: "slack", url: undefined, connection: "chat", channel: "C0123456789" };

test.each<[string, object, Emulator, string, (request: Received) => string]>([
  ["Slack", SLACK, slackApi, SLACK_KEY, (request) => request.header("authorization")[0] ?? ""],
  [
    "Telegram",
    { kind: "telegram", url: undefined, connection: "bot", chat_id: "-100123" },
    telegramApi,
    TELEGRAM_KEY,
    (request) => request.target,
  ],
  [
    "Resend",
    { kind: "email", url: undefined, connection: "mail", from: "v@example.com", to: ["ada@example.com"] },
    resendApi,
    RESEND_KEY,
    (request) => request.header("authorization")[0] ?? "",
  ],
])(
  "%s is told through a connection: its credential is attached, and that is in the ledger",
  async (...row) => {
    const [, settings, emulator, key, place] = row;
    const shown: string[] = [];
    upstream.answer = (request) => {
      const path = request.target;
      const contentType = request.header("content-type")[0] ?? "";
      shown.push(emulator({ path, contentType, body: request.body.toString() }).text);
      return reply("200 OK", [["Content-Type", "application/json"]], '{"ok":true}');
    };
    const hook = await receiver(settings);
    expect(hook.secret).toBeNull();
    const { id } = await sendTest(hook);
    await ended(hook, "delivered");
    expect(place(upstream.last())).toContain(key);
    expect(upstream.last().body.toString()).not.toContain(key);
    expect(shown[0]).toContain("Webhook test");
    const find = async () => {
      const { events } = await tenant.admin.must("GET", "/v1/audit?resource_type=connection&limit=200");
      const called = events.find(
        (event: { context: { delivery_id?: string } }) => event.context.delivery_id === id,
      );
      const done = events.find(
        (event: { context: { outcome_of?: string } }) => event.context.outcome_of === called?.id,
      );
      return done !== undefined && { called, done };
    };
    const { called, done } = await until(find);
    expect(called).toMatchObject({ event_type: "connection.called", actor: "system:notifications" });
    expect(called.seq).toBeLessThan(done.seq);
    expect(done).toMatchObject({ event_type: "connection.completed", context: { status: 200 } });
  },
);

test("kill -9 loses nothing that waits: after the restart it is delivered", async () => {
  const hook = await receiver();
  upstream.answer = () => reply("503 Busy", [["Retry-After", "1"]]);
  const { event_id } = await sendTest(hook);
  await until(async () => (await deliveriesOf(hook))[0]?.last_status === 503);
  await gateway.kill();
  upstream.answer = () => reply("200 OK");
  await gateway.restart();
  expect(await ended(hook, "delivered")).toMatchObject({ event_id, attempts: 2 });
  expect(verified(hook.secret, upstream.last()).type).toBe("webhook.test");
});

test("attack 91: a URL that development allowed is refused before each delivery, once the gateway is deployed", async () => {
  const own = await startGateway();
  const other = await createTenant(own);
  const body = { kind: "webhook", url: `${elsewhere.url}/`, events: ["*"] };
  const { id, secret } = await other.admin.must("POST", "/v1/webhooks", body);
  watchSecret(secret.slice(6));
  await own.kill();
  const deployed = await serveAs(own, { ENVIRONMENT: "production", MIN_TLS: "terminated" });
  const ask = async (method: string, path: string, sent?: object) => {
    const response = await fetch(deployed.url + path, {
      method,
      headers: { authorization: `Bearer ${other.admin.credential}`, "content-type": "application/json" },
      ...(sent === undefined ? {} : { body: JSON.stringify(sent) }),
    });
    return { status: response.status, body: JSON.parse(await response.text()) };
  };
  try {
    expect((await ask("POST", `/v1/webhooks/${id}/test`)).status).toBe(202);
    const [delivery] = await until(async () => {
      const { deliveries } = (await ask("GET", `/v1/webhooks/${id}/deliveries`)).body;
      return deliveries[0]?.last_error !== null && deliveries;
    });
    expect(delivery).toMatchObject({
      status: "pending",
      last_status: null,
      last_error: "destination_denied",
    });
    for (const url of [
      ...["http://hooks.example.org/", "https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/"],
      ...[
        "https://169.254.169.254/",
        "https://metadata.google.internal/",
        "https://localhost/",
        "https://db.internal/",
      ],
      ...[
        "https://0x7f000001/",
        "https://2130706433/",
        "https://10.0.0.1.nip.io/",
        `https://127.0.0.1:${deployed.port}/`,
      ],
    ]) {
      const answer = await ask("POST", "/v1/webhooks", { ...body, url });
      expect([answer.status, answer.body.error?.code], url).toEqual([403, "DESTINATION_DENIED"]);
    }
    expect(elsewhere.requests).toEqual([]);
  } finally {
    await deployed.stop();
    await own.stop();
  }
});
