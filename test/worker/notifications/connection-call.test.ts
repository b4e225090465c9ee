import { afterEach, beforeAll, beforeEach, expect, type MockInstance, test, vi } from "vitest";
import { newId } from "../../../src/base/ids.ts";
import type { Receipt } from "../../../src/notifications/sender.ts";
import { createNotifier } from "../../../src/notifier.ts";
import { newTenant, send } from "../api/door.ts";
import { failingEnv, type FailingEnv, never } from "../support/failing.ts";

/* The outside is real, and answers with 200 what Slack would not. */

let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeAll(async () => {
  tenant = await newTenant();
  await must("PUT", "/v1/secrets/test/chat/KEY", secretFor("slack.com"));
  await must("POST", "/v1/connections", { slug: "chat", provider: "slack", secret: "test/chat/KEY" });
  const hook = { kind: "slack", connection: "chat", channel: "#ops", events: ["*"] };
  await must("POST", "/v1/webhooks", hook);
});

/** Watches what leaves, and lets it. */
let left: MockInstance<typeof fetch>;
beforeEach(() => {
  left = vi.spyOn(globalThis, "fetch");
});
afterEach(() => left.mockRestore());

const secretFor = (host: string) => ({ value: "xoxb-a-slack-credential-0003", allowed_hosts: [host] });

async function must(method: string, path: string, body: object): Promise<void> {
  const answer = await send(method, path, { credential: tenant.admin, body });
  if (answer.status >= 300) throw new Error(answer.text);
}

/** One try, in an isolate that knows nothing yet, so that every change holds. */
async function tryOnce(failing: FailingEnv = failingEnv()): Promise<Receipt> {
  const background: Promise<unknown>[] = [];
  const notifier = createNotifier(failing.bindings, (promise) => void background.push(promise));
  const [receiver] = await notifier.receivers(tenant.tenantId);
  if (receiver === undefined) throw new Error("there is a receiver");
  const notice = { id: newId("event"), type: "approval.requested", at: Date.now(), data: {} };
  const given = { tenantId: tenant.tenantId, deliveryId: newId("delivery"), attempt: 1, notice };
  left.mockClear();
  const receipt = await notifier.sender.send(given, receiver);
  expect(left).toHaveBeenCalledTimes(receipt.kind === "failed" && receipt.status === null ? 0 : 1);
  await Promise.allSettled(background);
  return receipt;
}

const REACHED = { kind: "failed", status: 200, reason: "refused" };
const notSent = (reason: string) => ({ kind: "failed", status: null, reason });

test("a message goes out through the connection", async () => {
  expect(await tryOnce()).toMatchObject(REACHED);
});

test("nothing leaves that the ledger does not have", async () => {
  const failing = failingEnv();
  failing.faults.object = async (called, pass) => {
    if (called === "AUDIT_LEDGER.append") throw new Error("away");
    return pass();
  };
  expect(await tryOnce(failing)).toMatchObject(notSent("unavailable"));
  expect(failing.calls).toContain("AUDIT_LEDGER.append");
});

test("nothing leaves while the tenant's gate does not say what holds", async () => {
  const failing = failingEnv();
  failing.faults.object = (called, pass) => (called === "TENANT_GATE.lease" ? never() : pass());
  expect(await tryOnce(failing)).toMatchObject(notSent("unavailable"));
});

test("the secret goes nowhere that it does not allow itself", async () => {
  await must("PUT", "/v1/secrets/test/chat/KEY", secretFor("api.example.org"));
  expect(await tryOnce()).toMatchObject(notSent("destination_denied"));
  await must("PUT", "/v1/secrets/test/chat/KEY", secretFor("slack.com"));
  expect(await tryOnce()).toMatchObject(REACHED);
});

test("the connection's `allow` bounds it", async () => {
  await must("PATCH", "/v1/connections/chat", { allow: [{ paths: ["/api/users.*"] }] });
  expect(await tryOnce()).toMatchObject(notSent("scope_denied"));
  await must("PATCH", "/v1/connections/chat", { allow: [{ methods: ["POST"], paths: ["/api/chat.*"] }] });
  expect(await tryOnce()).toMatchObject(REACHED);
});

test("a freeze stops it", async () => {
  await must("POST", "/v1/freeze", { frozen: true, reason: "a test" });
  expect(await tryOnce()).toMatchObject(notSent("tenant_frozen"));
  await must("POST", "/v1/freeze", { frozen: false, reason: "a test" });
  expect(await tryOnce()).toMatchObject(REACHED);
});

test("a connection that is gone, or leads elsewhere by now, is not used", async () => {
  await send("DELETE", "/v1/connections/chat", { credential: tenant.admin });
  expect(await tryOnce()).toMatchObject(notSent("not_found"));
  await must("POST", "/v1/connections", {
    ...{ slug: "chat", provider: "openai", base_url: "https://slack.com", secret: "test/chat/KEY" },
  });
  expect(await tryOnce()).toMatchObject(notSent("validation_error"));
});
