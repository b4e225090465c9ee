import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Redacted } from "../../../src/base/redacted.ts";
import { jump, watchDepartures } from "../failures/support.ts";
import { call, CANARY, createTenant, isolate } from "../support/tenant.ts";

const PATH = "test/up/KEY";
const HOUR = 3_600_000;

let departures: ReturnType<typeof watchDepartures>;
beforeEach(() => {
  departures = watchDepartures();
});
afterEach(() => {
  departures.stop();
  vi.useRealTimers();
});

async function openCalls() {
  const tenant = await createTenant();
  const token = await tenant.token({ max_uses: 50, ttl: 86_400 });
  let bindings = isolate();
  const { vault } = tenant.services;
  return {
    vault,
    admin: tenant.admin,
    /** The next call is on an isolate that has no lease yet, and so knows of every change. */
    renew: () => (bindings = isolate()),
    async send() {
      const { response, settled } = await call("/proxy/up/v1/x", token, {}, bindings);
      const text = await response.text();
      await settled();
      return { status: response.status, text, code: response.headers.get("x-valetkey-error") };
    },
  };
}

describe("a call through a connection", () => {
  test("is refused from the moment its secret expires, by the clock of the call, whatever was cached", async () => {
    const { admin, renew, send, vault } = await openCalls();
    const live = (expiresAt: number) => vault.changes.patch(admin, PATH, { expiresAt });
    await live(Date.now() + HOUR);
    expect((await send()).status).toBe(200);
    const before = departures.count();
    jump(HOUR);
    const refused = await send();
    expect(refused).toMatchObject({ status: 409, code: "SECRET_UNUSABLE" });
    expect(JSON.parse(refused.text)).toMatchObject({ why: expect.stringContaining("expires_at") });
    expect(refused.text).not.toContain(CANARY);
    expect(departures.count()).toBe(before);
    await live(Date.now() + HOUR);
    renew();
    expect((await send()).status).toBe(200);
  });

  test("is refused once its secret is deleted, goes on once it is restored, and never with what took its path", async () => {
    const { admin, renew, send: sendOn, vault } = await openCalls();
    const send = () => {
      renew();
      return sendOn();
    };
    expect((await send()).status).toBe(200);
    await vault.removal.delete(admin, PATH);
    expect(await send()).toMatchObject({ status: 409, code: "SECRET_UNUSABLE" });
    await vault.removal.restore(admin, PATH, undefined);
    expect((await send()).status).toBe(200);
    await vault.removal.delete(admin, PATH);
    await vault.changes.put(admin, PATH, { value: new Redacted("another-credential-0001") });
    expect(await send()).toMatchObject({ status: 403, code: "DESTINATION_DENIED" });
    await vault.removal.purge(admin, PATH, undefined);
    expect(await send()).toMatchObject({ status: 409, code: "SECRET_UNUSABLE" });
  });
});
