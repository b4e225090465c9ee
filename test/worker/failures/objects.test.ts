import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { never, Overloaded } from "../support/failing.ts";
import { gateOf, jump, openScene, tokenObject, watchDepartures } from "./support.ts";

let departures: ReturnType<typeof watchDepartures>;
beforeEach(() => {
  departures = watchDepartures();
});
afterEach(() => {
  departures.stop();
  vi.useRealTimers();
});

const gone = () => Promise.reject(new Error("Network connection lost."));

async function crash(tokenId: string): Promise<void> {
  const killed = runInDurableObject(tokenObject(tokenId), (_object, state) =>
    state.abort("killed by a test"),
  );
  await killed.catch(() => undefined);
}

describe("a token's object", () => {
  it("evicted between calls forgets no use and loses no event", async () => {
    const { send, tokenId, uses, events } = await openScene({ max_uses: 3 });
    const statuses: number[] = [];
    for (let n = 0; n < 4; n++) {
      statuses.push((await send()).status);
      await evictDurableObject(tokenObject(tokenId));
    }
    expect(statuses).toEqual([200, 200, 200, 403]);
    expect(await uses()).toBe(3);
    expect((await events()).filter(({ event_type }) => event_type === "connection.called")).toHaveLength(3);
  });

  it("restarted while it charges: asked again with the same id, the call is charged and made once", async () => {
    const { send, faults, tokenId, uses, events } = await openScene({ max_uses: 2 });
    let answers = 0;
    faults.object = async (called, pass) => {
      const answer = await pass();
      if (called !== "SCOPED_TOKEN.charge" || answers++ > 0) return answer;
      // It is written, and then the answer is lost with the object.
      await crash(tokenId);
      return gone();
    };
    expect((await send()).status).toBe(200);
    expect(answers).toBe(2);
    expect(departures.count()).toBe(1);
    expect(await uses()).toBe(1);
    expect((await events()).filter(({ event_type }) => event_type === "connection.called")).toHaveLength(1);
  });

  it.each([
    { how: "is gone before it charges", charged: 0, asked: 3, fault: gone },
    {
      how: "charges and its answers get lost",
      charged: 1,
      asked: 3,
      fault: async (pass: () => Promise<unknown>) => {
        await pass();
        return gone();
      },
    },
    { how: "is overloaded", charged: 0, asked: 1, fault: () => Promise.reject(new Overloaded("busy")) },
    { how: "never answers", charged: 0, asked: 1, fault: never },
  ])(
    "that $how: 503 after $asked ask(s), nothing leaves, $charged use(s) spent and recorded",
    async ({ fault, charged, asked }) => {
      const { send, faults, heal, calls, uses, events } = await openScene({ max_uses: 2 });
      faults.object = (called, pass) => (called === "SCOPED_TOKEN.charge" ? fault(pass) : pass());
      const refused = await send();
      expect([refused.status, refused.code, refused.retryAfter]).toEqual([503, "UNAVAILABLE", "2"]);
      expect(refused.text).toContain("may have cost one use");
      expect(calls.filter((called) => called === "SCOPED_TOKEN.charge")).toHaveLength(asked);
      expect(departures.count()).toBe(0);
      expect(await uses()).toBe(charged);
      expect(await events()).toHaveLength(charged);
      heal();
      expect((await send()).status).toBe(200);
    },
    15_000,
  );

  it("away when a call is refused: the refusal's reason is not told to a token that may be revoked", async () => {
    const { send, faults, tenant } = await openScene({ allow: [{ connection: "up", methods: ["POST"] }] });
    expect((await send()).code).toBe("SCOPE_DENIED");
    faults.object = (called, pass) => (called.startsWith("SCOPED_TOKEN.") ? gone() : pass());
    const refused = await send();
    expect([refused.status, refused.code, refused.retryAfter]).toEqual([503, "UNAVAILABLE", "2"]);
    await tenant.settled();
  });
});

describe("the tenant's gate", () => {
  it("evicted: the next lease says the same, and what was revoked before stays revoked", async () => {
    const { send, tenant } = await openScene();
    expect((await send()).status).toBe(200);
    await evictDurableObject(gateOf(tenant.tenantId));
    jump(60_000);
    expect((await send()).status).toBe(200);
    await tenant.services.agents.update(tenant.admin, tenant.agentId, { disabled: true });
    await evictDurableObject(gateOf(tenant.tenantId));
    jump(60_000);
    expect((await send()).status).toBe(401);
  });

  it.each([
    { how: "is gone", fault: gone },
    { how: "is overloaded", fault: () => Promise.reject(new Overloaded("busy")) },
    { how: "never answers", fault: never },
  ])(
    "that $how: warm calls go on to the end of the lease, then nothing leaves and at most one use is spent on it",
    async ({ fault }) => {
      const { send, faults, heal, uses } = await openScene({ max_uses: 5 });
      expect((await send()).status).toBe(200);
      faults.object = (called, pass) => (called === "TENANT_GATE.lease" ? fault() : pass());
      expect((await send()).status).toBe(200);
      jump(60_000);
      for (let n = 0; n < 3; n++) {
        const refused = await send();
        expect([refused.status, refused.code, refused.retryAfter]).toEqual([503, "UNAVAILABLE", "1"]);
      }
      expect(departures.count()).toBe(2);
      expect(await uses()).toBeLessThanOrEqual(3);
      heal();
      expect((await send()).status).toBe(200);
    },
    30_000,
  );

  it("away from an isolate that has no lease yet: refused without a use", async () => {
    const { send, faults, heal, uses } = await openScene({ max_uses: 1 });
    faults.object = (called, pass) => (called === "TENANT_GATE.lease" ? gone() : pass());
    expect((await send()).code).toBe("UNAVAILABLE");
    expect(departures.count()).toBe(0);
    expect(await uses()).toBe(0);
    heal();
    expect((await send()).status).toBe(200);
  });
});

describe("the ledger", () => {
  /** The token's object talks to what can be made to fail. */
  const bind = (tokenId: string, bindings: Env) =>
    runInDurableObject(tokenObject(tokenId), (object) => {
      Object.defineProperty(object, "env", { value: bindings });
    });

  it("attack 68: away: calls go on, their events wait with the token through a crash, and arrive once", async () => {
    const { send, faults, bindings, heal, tokenId, events } = await openScene();
    await bind(tokenId, bindings);
    faults.object = (called, pass) => (called === "AUDIT_LEDGER.append" ? gone() : pass());
    for (let n = 0; n < 10; n++) expect((await send()).status).toBe(200);
    expect(await events()).toEqual([]);
    await crash(tokenId);
    await bind(tokenId, bindings);
    for (let n = 0; n < 10; n++) expect((await send()).status).toBe(200);
    expect(await events()).toEqual([]);
    heal();
    const called = (await events()).filter(({ event_type }) => event_type === "connection.called");
    expect(new Set(called.map(({ id }) => id)).size).toBe(20);
    expect(called).toHaveLength(20);
  }, 20_000);

  it("away for too long: what cannot be kept is refused before it is charged", async () => {
    const { send, faults, bindings, heal, tenant, tokenId, uses } = await openScene();
    await bind(tokenId, bindings);
    faults.object = (called, pass) => (called === "AUDIT_LEDGER.append" ? gone() : pass());
    const event = {
      event_type: "connection.called",
      resource_type: "connection",
      resource: "up",
      actor: "agent:test",
      ip_address: null,
      user_agent: null,
      outcome: "success",
      context: { filler: "a".repeat(900_000) },
    } as const;
    const { epoch } = await gateOf(tenant.tenantId).lease(tenant.tenantId);
    for (let n = 0; n < 18; n++) {
      const request = { callId: `call_${n}`, tokenId, tenantId: tenant.tenantId, epoch, ip: null, event };
      const grant = { ipAllowlist: [], maxUses: null, rate: null, expiresAt: Date.now() + 600_000 };
      await tokenObject(tokenId).charge({ ...request, ...grant });
    }
    const refused = await send();
    expect([refused.status, refused.code, refused.retryAfter]).toEqual([503, "UNAVAILABLE", "2"]);
    expect(departures.count()).toBe(0);
    expect(await uses()).toBe(18);
    heal();
  }, 20_000);
});
