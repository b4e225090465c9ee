import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import type { ChargeRequest } from "../../../src/tokens/charge.ts";
import { call, createTenant, type Tenant } from "../support/tenant.ts";

const CALLS = 500;

function objectOf(tokenId: string) {
  const { SCOPED_TOKEN } = env as Env;
  return SCOPED_TOKEN.get(SCOPED_TOKEN.idFromName(tokenId));
}

async function kill(tokenId: string): Promise<void> {
  await runInDurableObject(objectOf(tokenId), (_instance, state) => state.abort("killed by a test")).catch(
    () => undefined,
  );
}

describe("max uses k", () => {
  let tenant: Tenant;
  beforeAll(async () => {
    tenant = await createTenant();
  });

  const statuses = async (token: string, count: number): Promise<Map<number, number>> => {
    const counted = new Map<number, number>();
    const answers = await Promise.all(
      Array.from({ length: count }, async () => {
        const { response } = await call("/proxy/up/v1/x", token);
        await response.text();
        return response.status;
      }),
    );
    for (const status of answers) counted.set(status, (counted.get(status) ?? 0) + 1);
    return counted;
  };

  it.each([1, 7, 100])(
    "attack 63: of 500 parallel calls on a token with %i uses, exactly so many succeed",
    async (k) => {
      const token = await tenant.token({ max_uses: k });
      const counted = await statuses(token, CALLS);
      expect(Object.fromEntries(counted)).toEqual({ 200: k, 403: CALLS - k });
    },
    60_000,
  );

  it.each([1, 7, 100])(
    "attack 63: the same with the object killed in between, for %i uses",
    async (k) => {
      const token = await tenant.token({ max_uses: k });
      const { tokenId } = await tenant.services.tokenUses.identify(token);
      let succeeded = 0;
      for (let round = 0; round < 10; round++) {
        const counted = await statuses(token, CALLS / 10);
        succeeded += counted.get(200) ?? 0;
        await kill(tokenId);
      }
      expect(succeeded).toBe(k);
      expect((await objectOf(tokenId).state()).uses).toBe(k);
    },
    60_000,
  );

  const request = (tokenId: string, callId: string): ChargeRequest => ({
    callId,
    tokenId,
    tenantId: tenant.tenantId,
    epoch: 1,
    ip: "203.0.113.7",
    ipAllowlist: [],
    maxUses: 2,
    rate: null,
    expiresAt: Date.now() + 600_000,
    event: {
      event_type: "connection.called",
      resource_type: "connection",
      resource: "up",
      actor: "agent:test",
      ip_address: null,
      user_agent: null,
      outcome: "success",
      context: {},
    },
  });

  it("attack 65: one call id is charged once, however often the runtime repeats it", async () => {
    const object = objectOf("tok_repeat");
    const verdicts = await Promise.all(
      Array.from({ length: 20 }, () => object.charge(request("tok_repeat", "call_1"))),
    );
    expect(new Set(verdicts.map((verdict) => JSON.stringify(verdict))).size).toBe(1);
    expect((await object.state()).uses).toBe(1);
  });

  it("attack 64: killed after the charge, the use is spent and the repeated call gets the recorded verdict", async () => {
    const tokenId = "tok_killed";
    expect(await objectOf(tokenId).charge(request(tokenId, "call_1"))).toMatchObject({
      kind: "allowed",
      uses: 1,
    });
    await kill(tokenId);
    expect(await objectOf(tokenId).charge(request(tokenId, "call_1"))).toMatchObject({
      kind: "allowed",
      uses: 1,
    });
    expect(await objectOf(tokenId).charge(request(tokenId, "call_2"))).toMatchObject({
      kind: "allowed",
      uses: 2,
    });
    expect(await objectOf(tokenId).charge(request(tokenId, "call_3"))).toEqual({
      kind: "denied",
      reason: "uses",
    });
  });

  it("decisions of a token never go back in time: an older epoch is stale and writes nothing", async () => {
    const object = objectOf("tok_epoch");
    await object.charge({ ...request("tok_epoch", "call_1"), epoch: 7 });
    expect(await object.charge({ ...request("tok_epoch", "call_2"), epoch: 6 })).toEqual({
      kind: "stale",
      epoch: 7,
    });
    expect((await object.state()).uses).toBe(1);
  });

  it("attack 65: a client's Idempotency-Key passes through and never buys a second call for one charge", async () => {
    const token = await tenant.token({ max_uses: 1 });
    const headers = { "idempotency-key": "same" };
    const first = await call("/proxy/up/v1/x", token, { method: "POST", body: "a=1", headers });
    expect(
      ((await first.response.json()) as { headers: Record<string, string> }).headers["idempotency-key"],
    ).toBe("same");
    const second = await call("/proxy/up/v1/x", token, { method: "POST", body: "a=1", headers });
    expect(second.response.status).toBe(403);
    await second.response.text();
  });

  it("a rate is exact within its window and says when to come back", async () => {
    const token = await tenant.token({ rate: { count: 5, windowSeconds: 3600 } });
    const counted = await statuses(token, 20);
    expect(Object.fromEntries(counted)).toEqual({ 200: 5, 429: 15 });
    const { response } = await call("/proxy/up/v1/x", token);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(3500);
    await response.text();
  });
});
