import { env } from "cloudflare:workers";
import { createExecutionContext, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newCredential } from "../../../src/identity/credential.ts";
import worker from "../../../src/index.ts";
import { D1_DOWN, failingEnv, never } from "../support/failing.ts";
import { ORIGIN } from "../support/tenant.ts";
import { gateOf, jump, openScene, watchDepartures } from "./support.ts";

let departures: ReturnType<typeof watchDepartures>;
beforeEach(() => {
  departures = watchDepartures();
});
afterEach(() => {
  departures.stop();
  vi.useRealTimers();
});

const down = () => Promise.reject(D1_DOWN);
/** What an answer would tell of the database. Nothing that hexadecimal ids could hold. */
const TELLS = /D1_|sqlite|select|network/i;
const THINGS = ["tokens", "connections", "secrets"];

describe("the database is away", () => {
  it.each([
    { how: "throws", fault: down },
    { how: "never answers", fault: never },
  ])(
    "attack 68: it $how: warm calls go on, lease after lease, and each is in the ledger",
    async ({ fault }) => {
      const { send, faults, reads, uses, events } = await openScene();
      expect((await send()).status).toBe(200);
      faults.database = fault;
      reads.length = 0;
      for (let lease = 0; lease < 3; lease++) {
        jump(4 * 60_000 * lease);
        for (let n = 0; n < 5; n++) expect((await send()).status).toBe(200);
        vi.useRealTimers();
      }
      expect(reads).toEqual([]);
      expect(await uses()).toBe(16);
      expect((await events()).filter(({ event_type }) => event_type === "connection.called")).toHaveLength(
        16,
      );
    },
    30_000,
  );

  it.each([
    { how: "throws", fault: down },
    { how: "never answers", fault: never },
  ])(
    "attack 68: it $how: what is not at hand is refused, nothing leaves, no use is spent, and after it the call passes",
    async ({ fault }) => {
      await Promise.all(
        THINGS.map(async (table) => {
          const { send, faults, heal, uses, events } = await openScene({ max_uses: 1 });
          faults.database = (sql) => (sql.includes(`from "${table}"`) ? fault() : Promise.resolve());
          const refused = await send();
          expect([refused.status, refused.code, refused.retryAfter]).toEqual([503, "UNAVAILABLE", "2"]);
          expect(refused.text).not.toMatch(TELLS);
          expect(departures.count()).toBe(0);
          expect(await uses()).toBe(0);
          // Refused before anybody knew whose token it is, or on the record.
          const told = (await events()).map(({ event_type, outcome }) => [event_type, outcome]);
          expect(told).toEqual(table === "tokens" ? [] : [["connection.denied", "denied"]]);
          heal();
        }),
      );
      const { send, faults, heal } = await openScene({ max_uses: 1 });
      faults.database = fault === never ? down : fault;
      expect((await send()).status).toBe(503);
      heal();
      expect((await send()).status).toBe(200);
    },
    30_000,
  );

  it("attack 68: what has changed is not decided on what was before, though nobody can tell what is now", async () => {
    const { send, faults, heal, tenant, uses } = await openScene();
    expect((await send()).status).toBe(200);
    const moved = { base_url: "http://127.0.0.1:9/moved" };
    await tenant.services.connections.update(tenant.admin, "up", moved as never);
    jump(60_000);
    faults.database = down;
    for (let n = 0; n < 3; n++) {
      const refused = await send();
      expect([refused.status, refused.code]).toEqual([503, "UNAVAILABLE"]);
    }
    expect(departures.count()).toBe(1);
    // The first was charged beside asking for the lease that told of the change; no other was.
    expect(await uses()).toBe(2);
    heal();
    expect((await send()).text).toContain("/moved/v1/x");
  });

  it("is slow: calls wait for it, at most 5 s", async () => {
    const { send, faults } = await openScene();
    faults.database = () => scheduler.wait(500);
    expect((await send()).status).toBe(200);
  }, 15_000);

  it("attack 68: the control plane answers UNAVAILABLE and tells nothing of the database", async () => {
    const { bindings, faults } = failingEnv();
    faults.database = down;
    const context = createExecutionContext();
    const request = new Request(`${ORIGIN}/v1/agents`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${newCredential("vkm").reveal()}`,
        "content-type": "application/json",
        "cf-connecting-ip": "203.0.113.7",
      },
      body: JSON.stringify({ name: "half-made" }),
    });
    const response = await worker.fetch(request as never, bindings, context);
    const text = await response.text();
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "2"]);
    expect(JSON.parse(text).error.code).toBe("UNAVAILABLE");
    expect(text).not.toMatch(TELLS);
  });
});

describe("a change whose fate the database alone knows", () => {
  it("stops new leases until the database answers: warm calls go on for the rest of theirs, then nothing leaves", async () => {
    const { send, heal, faults, bindings, tenant, uses } = await openScene();
    expect((await send()).status).toBe(200);
    const gate = gateOf(tenant.tenantId);
    await runInDurableObject(
      gate,
      (instance) => void Object.defineProperty(instance, "env", { value: bindings }),
    );
    await gate.prepare(tenant.tenantId, "change_lost", {
      watermarks: [{ kind: "agent", key: tenant.agentId }],
    });
    expect((await send()).status).toBe(200);
    faults.database = down;
    jump(10_000);
    for (let n = 0; n < 5; n++) {
      const refused = await send();
      expect([refused.status, refused.code, refused.retryAfter]).toEqual([503, "UNAVAILABLE", "1"]);
    }
    expect(departures.count()).toBe(2);
    // The first of them was charged beside asking; no other was.
    expect(await uses()).toBe(3);
    heal();
    // The change had landed.
    await (env as Env).DB.batch([
      (env as Env).DB.prepare("UPDATE tenants SET epoch = epoch + 1 WHERE id = ?").bind(tenant.tenantId),
      (env as Env).DB.prepare(
        "INSERT INTO gate_changes (id, tenant_id, epoch, at) SELECT 'change_lost', id, epoch, 0 FROM tenants WHERE id = ?",
      ).bind(tenant.tenantId),
    ]);
    expect((await send()).status).toBe(401);
    expect(departures.count()).toBe(2);
  }, 30_000);
});
