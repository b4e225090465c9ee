import { env } from "cloudflare:workers";
import { createExecutionContext } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import type { TenantId } from "../../../src/base/ids.ts";
import { type GateLease, LEASE_MS, Leases } from "../../../src/identity/leases.ts";
import { createTenant } from "../support/tenant.ts";

const bindings = env as Env;

describe("an isolate's leases", () => {
  let tenantId: TenantId;
  beforeEach(async () => {
    ({ tenantId } = await createTenant());
  });

  /** Leases of the real gate; `answers` says what happens to the first asks before their answer arrives. */
  function leasesWith(
    answers: ((answer: () => Promise<GateLease>) => Promise<GateLease>)[],
    clock: () => number = Date.now,
  ) {
    const context = createExecutionContext();
    let asked = 0;
    const leases = new Leases({
      clock,
      gate: (id) => ({
        lease: () => {
          const answer = () => bindings.TENANT_GATE.get(bindings.TENANT_GATE.idFromName(id)).lease(id);
          return (answers[asked++] ?? ((real) => real()))(answer);
        },
      }),
    });
    return {
      ask: () => leases.ask(tenantId, (promise) => context.waitUntil(promise)),
      leases,
      asked: () => asked,
    };
  }

  const never = () => new Promise<never>(() => undefined);

  it("an ask whose request died costs the others 1.5 s and no refusal", async () => {
    const { ask, asked } = leasesWith([never]);
    const dead = ask().catch(() => null);
    const startedAt = Date.now();
    const [lease, other] = await Promise.all([ask(), ask()]);
    expect(lease.epoch).toBeGreaterThan(0);
    expect(other.epoch).toBe(lease.epoch);
    expect(Date.now() - startedAt).toBeLessThan(2_500);
    expect(asked()).toBeLessThanOrEqual(3);
    await dead;
  }, 15_000);

  it("a shared ask that fails is asked again on the own request", async () => {
    const { ask } = leasesWith([() => Promise.reject(new Error("gone"))]);
    const failed = ask().catch((error: unknown) => error);
    expect((await ask()).epoch).toBeGreaterThan(0);
    expect(await failed).toMatchObject({ code: "UNAVAILABLE" });
  });

  it("an answer that took longer than a lease lives is no lease: asked again once", async () => {
    let now = 1_000_000;
    const late = async (answer: () => Promise<GateLease>): Promise<GateLease> => {
      const lease = await answer();
      now += LEASE_MS;
      return lease;
    };
    const { ask, asked } = leasesWith([late], () => now);
    const lease = await ask();
    expect(now - lease.askedAt).toBeLessThan(LEASE_MS);
    expect(asked()).toBe(2);
    const twice = leasesWith([late, late], () => now);
    await expect(twice.ask()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(twice.asked()).toBe(2);
  });

  it("an older answer that arrives last does not replace a fresher one", async () => {
    let release: (lease: GateLease) => void = () => undefined;
    let old: GateLease | undefined;
    const held = async (answer: () => Promise<GateLease>): Promise<GateLease> => {
      old = await answer();
      return new Promise((resolve) => (release = resolve));
    };
    const { ask, leases } = leasesWith([held]);
    const first = ask();
    await scheduler.wait(100);
    await bindings.TENANT_GATE.get(bindings.TENANT_GATE.idFromName(tenantId)).commit(
      "change_x",
      { watermarks: [] },
      old!.epoch + 1,
    );
    const fresh = await ask();
    expect(fresh.version).toBe(old!.version + 1);
    release(old!);
    await first;
    expect(leases.last(tenantId)?.version).toBe(fresh.version);
  }, 15_000);
});
