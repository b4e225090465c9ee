import { env } from "cloudflare:workers";
import { createExecutionContext } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AuditLog } from "../../../src/audit/audit.ts";
import { openDatabase } from "../../../src/base/database.ts";
import { Credentials } from "../../../src/credentials/obtain.ts";
import { proxy } from "../../../src/gateway/proxy.ts";
import { type GateObject, LEASE_MS, Leases } from "../../../src/identity/leases.ts";
import { GatedChanges } from "../../../src/identity/tenant-changes.ts";
import { createGateway } from "../../../src/call-path.ts";
import { hostsOf } from "../../../src/isolate.ts";
import { Admission, TokenMemory } from "../../../src/tokens/admission.ts";
import { TokenSigner } from "../../../src/tokens/token.ts";
import { embeddedKeyProvider } from "../../../src/vault/kms/embedded.ts";
import { Vault } from "../../../src/vault/vault.ts";
import { failingEnv } from "../support/failing.ts";
import { CALLER_IP, createTenant, ORIGIN } from "../support/tenant.ts";
import { answerOf, gateOf, jump, tokenObject, watchDepartures } from "./support.ts";

const real = env as Env;
const HOUR_MS = 3_600_000;

/** A tenant's calls on an isolate whose clock is `skew.ms` ahead of everybody else's. */
async function openScene(wanted: Record<string, unknown> = {}) {
  const tenant = await createTenant();
  const token = await tenant.token(wanted);
  const { tokenId, expiresAt } = await tenant.services.tokenUses.identify(token);
  const { bindings, calls, faults } = failingEnv();
  const skew = { ms: 0 };
  const clock = () => Date.now() + skew.ms;
  const db = openDatabase(bindings);
  const leases = new Leases({
    gate: (id) => bindings.TENANT_GATE.get(real.TENANT_GATE.idFromName(id)),
    clock,
  });
  const memory = new TokenMemory();
  const signer = new TokenSigner(real.TOKEN_SIGNING_KEYS);
  return {
    tenant,
    tokenId,
    expiresAt,
    calls,
    faults,
    skew,
    uses: async () => (await tokenObject(tokenId).state()).uses,
    async send() {
      const context = createExecutionContext();
      const waitUntil = (promise: Promise<unknown>) => context.waitUntil(promise);
      const url = `${ORIGIN}/proxy/up/v1/x`;
      const read = hostsOf(bindings).read(url);
      if (read === null) throw new Error("not a call");
      const keys = embeddedKeyProvider(real.ROOT_KEYS ?? "");
      const { changes } = tenant.services;
      const vault = new Vault({ db, keys, changes, clock, waitUntil, onEvents: () => undefined });
      const object = (id: string) => bindings.SCOPED_TOKEN.get(real.SCOPED_TOKEN.idFromName(id));
      const request = new Request(url, { headers: { authorization: `Bearer ${token}` } });
      const client = { address: CALLER_IP, shared: false };
      return answerOf(
        await proxy(request, read.target, read.addressed, client, {
          ...createGateway(bindings, read.target.host, waitUntil),
          admission: new Admission({ db, signer, memory, object, clock, waitUntil }),
          credentials: new Credentials({ vault }),
          vault,
          leases,
          clock,
        }),
      );
    },
  };
}

let departures: ReturnType<typeof watchDepartures>;
beforeEach(() => {
  departures = watchDepartures();
});
afterEach(() => {
  departures.stop();
  vi.useRealTimers();
});

describe("clocks that differ", () => {
  it.each([-12 * HOUR_MS, -3_000, 3_000, 12 * HOUR_MS])(
    "an isolate %i ms ahead of the objects passes calls of a token that both take for live",
    async (ms) => {
      const { send, skew, calls } = await openScene({ ttl: 86_400 });
      skew.ms = ms;
      for (let n = 0; n < 3; n++) expect((await send()).status).toBe(200);
      expect(calls.filter((called) => called === "TENANT_GATE.lease")).toHaveLength(1);
    },
  );

  it("a token ends by the clock that is ahead: by the isolate's without any I/O", async () => {
    const { send, skew, calls, expiresAt } = await openScene({ ttl: 300 });
    skew.ms = expiresAt - Date.now() + 1;
    expect((await send()).status).toBe(401);
    expect(calls).toEqual([]);
  });

  it("a token ends by the clock that is ahead: by its object's before anything leaves", async () => {
    const { send, skew, expiresAt, uses } = await openScene({ ttl: 300 });
    expect((await send()).status).toBe(200);
    skew.ms = -HOUR_MS;
    jump(expiresAt - Date.now());
    expect((await send()).status).toBe(401);
    expect(departures.count()).toBe(1);
    expect(await uses()).toBe(1);
  });

  it("a token lives to the last millisecond of its expiry's second, and no longer", async () => {
    const { send, expiresAt } = await openScene({ ttl: 300 });
    expect(expiresAt % 1_000).toBe(0);
    vi.useFakeTimers({ now: expiresAt - 1, toFake: ["Date"] });
    expect((await send()).status).toBe(200);
    vi.useFakeTimers({ now: expiresAt, toFake: ["Date"] });
    expect((await send()).status).toBe(401);
  });

  it("a change is told as effective by the maker's clock, whatever the gate's says", async () => {
    const tenant = await createTenant();
    const gate = gateOf(tenant.tenantId);
    await gate.lease(tenant.tenantId);
    const context = createExecutionContext();
    const changes = new GatedChanges({
      db: openDatabase(real),
      audit: new AuditLog(real.AUDIT_LEDGER),
      waitUntil: (promise) => context.waitUntil(promise),
      gate: () =>
        ({
          prepare: (...args) => gate.prepare(...args),
          abort: (...args) => gate.abort(...args),
          lease: (...args) => gate.lease(...args),
          commit: async (...args) => {
            const committed = await gate.commit(...args);
            return { ...committed, effectiveAt: committed.effectiveAt - HOUR_MS };
          },
        }) satisfies GateObject,
    });
    const before = Date.now();
    const { effectiveAt } = await changes.apply(tenant.tenantId, { statements: [], events: [] });
    expect(effectiveAt).toBeGreaterThan(before + LEASE_MS - 2_000);
    expect(effectiveAt).toBeLessThanOrEqual(Date.now() + LEASE_MS);
  });
});

describe("a clock that jumps", () => {
  it("makes, going back, no lease live longer: the next call asks anew, and finds the tenant frozen", async () => {
    const { send, skew, tenant } = await openScene({ ttl: 86_400 });
    expect((await send()).status).toBe(200);
    await tenant.services.tenants.freeze(tenant.admin, true, "a test");
    skew.ms = -HOUR_MS;
    const refused = await send();
    expect([refused.status, refused.code]).toEqual([403, "TENANT_FROZEN"]);
    expect(departures.count()).toBe(1);
  });

  it.each([
    { what: "goes back", ms: -HOUR_MS, warm: false },
    { what: "goes back", ms: -HOUR_MS, warm: true },
    { what: "passes the end of the lease", ms: LEASE_MS, warm: false },
    { what: "passes the end of the lease", ms: LEASE_MS, warm: true },
  ])(
    "$what while a call is decided (charged already: $warm): the call is decided anew before it leaves",
    async ({ ms, warm }) => {
      const { send, skew, tenant, faults } = await openScene({ ttl: 86_400 });
      if (warm) {
        expect((await send()).status).toBe(200);
        // Charged under the lapsed lease, the call finds a change, and has to read the connection again.
        await tenant.services.connections.update(tenant.admin, "up", { websockets: true } as never);
        jump(60_000);
      }
      let isFirst = true;
      faults.database = async (sql) => {
        if (!isFirst || !sql.includes(`from "connections"`)) return;
        isFirst = false;
        await tenant.services.tenants.freeze(tenant.admin, true, "a test");
        skew.ms = ms;
      };
      const refused = await send();
      expect(isFirst).toBe(false);
      expect([refused.status, refused.code]).toEqual([403, "TENANT_FROZEN"]);
      expect(departures.count()).toBe(warm ? 1 : 0);
    },
  );

  it("keeps, going back, no data key and no credential beyond their life", async () => {
    const unwraps = vi.spyOn(crypto.subtle, "unwrapKey");
    const { send, skew } = await openScene({ ttl: 86_400 });
    skew.ms = HOUR_MS;
    expect((await send()).status).toBe(200);
    expect(unwraps).toHaveBeenCalledTimes(1);
    skew.ms = 0;
    expect((await send()).status).toBe(200);
    expect(unwraps).toHaveBeenCalledTimes(2);
    unwraps.mockRestore();
  });

  it("opens, going back, no new window for a rate", async () => {
    const { send } = await openScene({ ttl: 86_400, rate: { count: 2, windowSeconds: 60 } });
    expect([(await send()).status, (await send()).status, (await send()).status]).toEqual([200, 200, 429]);
    jump(-600_000);
    const refused = await send();
    expect(refused.status).toBe(429);
    expect(Number(refused.retryAfter)).toBeGreaterThan(60);
  });
});
