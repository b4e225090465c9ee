import { beforeAll, describe, expect, it } from "vitest";
import { call, createTenant, ORIGIN, type Tenant } from "../support/tenant.ts";

interface Refusal {
  readonly status: number;
  readonly detail: string;
  readonly why?: string;
  readonly error: { readonly code: string };
}

async function refusal(answer: { response: Response }): Promise<Refusal> {
  return (await answer.response.json()) as Refusal;
}

describe("a scoped token at the gateway's door", () => {
  let tenant: Tenant;
  let other: Tenant;
  beforeAll(async () => {
    [tenant, other] = await Promise.all([createTenant(), createTenant()]);
  });

  it("attack 57: malformed, unknown, revoked, expired and forged tokens answer alike", async () => {
    const revoked = await tenant.token();
    const { tokenId } = await tenant.services.tokenUses.identify(revoked);
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    const good = await tenant.token();
    const expired = await tenant.token({ ttl: 1 });
    await scheduler.wait(2_100);
    const flipped = good.slice(0, 60) + (good[60] === "a" ? "b" : "a") + good.slice(61);
    const attempts = ["vkt_x", "", "sk_live_123", flipped, `${good}x`, good.toUpperCase(), revoked, expired];
    const answers = await Promise.all(attempts.map((token) => call("/proxy/up/v1/x", token)));
    const bodies = await Promise.all(
      answers.map(async ({ response }) => {
        const {
          request_id: _id,
          instance: _instance,
          ...body
        } = (await response.json()) as Record<string, unknown>;
        return JSON.stringify([
          response.status,
          body,
          response.headers.get("www-authenticate"),
          [...response.headers.keys()],
        ]);
      }),
    );
    expect(new Set(bodies).size).toBe(1);
    expect(answers[0]?.response.status).toBe(401);
    const { response } = await call("/proxy/up/v1/x", good);
    expect(response.status).toBe(200);
    await response.text();
  });

  it("refuses the next call once revocation has returned", async () => {
    const token = await tenant.token();
    const before = await call("/proxy/up/v1/x", token);
    expect(before.response.status).toBe(200);
    await before.response.text();
    const { tokenId } = await tenant.services.tokenUses.identify(token);
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    expect((await refusal(await call("/proxy/up/v1/x", token))).error.code).toBe("UNAUTHORIZED");
  });

  it("attack 57: a revoked token, and one at the wrong address, learn nothing of what exists", async () => {
    const scopes = ["connections:call:*", "secrets:use:*"];
    const token = await tenant.token({ scopes });
    await (await call("/proxy/up/v1/x", token)).response.text();
    const { tokenId } = await tenant.services.tokenUses.identify(token);
    await tenant.services.tokens.revoke(tenant.admin, tokenId);
    expect((await refusal(await call("/proxy/no-such/v1/x", token))).error.code).toBe("UNAUTHORIZED");
    const elsewhere = await tenant.token({ scopes, ip_allowlist: ["10.9.8.7/32"] });
    expect((await refusal(await call("/proxy/no-such/v1/x", elsewhere))).error.code).toBe("ADDRESS_DENIED");
  });

  it("attack 50: a token in a URL where the provider does not declare it is refused, and says so", async () => {
    const token = await tenant.token();
    const answer = await refusal(
      await call(`/proxy/up/v1/x?key=${token}`, "-", { headers: { authorization: "" } }),
    );
    expect(answer.error.code).toBe("UNAUTHORIZED");
    expect(answer.detail).toContain("in the URL");
    expect(JSON.stringify(answer)).not.toContain(token);
  });

  it.each(["x-forwarded-for", "true-client-ip", "x-real-ip", "forwarded", "x-client-ip"])(
    "attack 59: %s does not move a caller into the allowlist",
    async (header) => {
      const token = await tenant.token({ ip_allowlist: ["10.9.8.7/32"] });
      const value = header === "forwarded" ? "for=10.9.8.7" : "10.9.8.7";
      expect(
        (await refusal(await call("/proxy/up/v1/x", token, { headers: { [header]: value } }))).error.code,
      ).toBe("ADDRESS_DENIED");
    },
  );

  it.each([
    ["10.1.2.3", ["10.1.2.0/24"], 200],
    ["::ffff:10.1.2.3", ["10.1.2.0/24"], 200],
    ["10.1.3.3", ["10.1.2.0/24"], 403],
    ["2001:db8:0:0::1", ["2001:db8::/64"], 200],
    ["2001:DB8::0001", ["2001:db8::1/128"], 200],
    ["2001:db9::1", ["2001:db8::/32"], 403],
    ["010.1.2.3", ["10.1.2.0/24"], 403],
    ["167837955", ["10.1.2.0/24"], 403],
    ["0x0a010203", ["10.1.2.0/24"], 403],
    ["10.1.2.3, 9.9.9.9", ["10.1.2.0/24"], 403],
  ])("attack 60: from %s with the allowlist %j the call answers %i", async (address, allowlist, status) => {
    const token = await tenant.token({ ip_allowlist: allowlist });
    const { response } = await call("/proxy/up/v1/x", token, { headers: { "cf-connecting-ip": address } });
    await response.text();
    expect(response.status).toBe(status);
  });

  it("attack 61: without an address the call is refused, allowlist or not", async () => {
    for (const wanted of [{}, { ip_allowlist: ["10.1.2.3/32"] }]) {
      const token = await tenant.token(wanted);
      const answer = await call("/proxy/up/v1/x", token, { headers: { "cf-connecting-ip": "none" } });
      expect((await refusal(answer)).error.code).toBe("ADDRESS_DENIED");
    }
  });

  it("attack 62: requests that come from other Workers match no allowlist, not even one that names their address", async () => {
    const token = await tenant.token({ ip_allowlist: ["2a06:98c0:3600::103/128", "203.0.113.7/32"] });
    for (const headers of [{ "cf-connecting-ip": "2a06:98c0:3600::103" }, { "cf-worker": "evil.example" }]) {
      const answer = await call("/proxy/up/v1/x", token, { headers: headers as Record<string, string> });
      expect((await refusal(answer)).error.code).toBe("ADDRESS_DENIED");
    }
  });

  it("outside its scope a connection answers 403 whether it exists or not, inside it 404", async () => {
    const narrow = await tenant.token({ scopes: ["connections:call:other-*"] });
    const there = await refusal(await call("/proxy/up/v1/x", narrow));
    const notThere = await refusal(await call("/proxy/no-such/v1/x", narrow));
    expect([there.error.code, notThere.error.code]).toEqual(["SCOPE_DENIED", "SCOPE_DENIED"]);
    expect(there.why).toContain("connections:call:up");
    expect((await refusal(await call("/proxy/other-1/v1/x", narrow))).error.code).toBe("NOT_FOUND");
  });

  it("a token of another tenant reaches that tenant's connection only", async () => {
    await other.services.connections.remove(other.admin, "up");
    const token = await other.token();
    expect((await refusal(await call("/proxy/up/v1/x", token))).error.code).toBe("NOT_FOUND");
  });

  it("a token narrowed by `allow` passes what is covered and nothing else", async () => {
    const token = await tenant.token({
      allow: [{ connection: "up", methods: ["GET"], paths: ["/v1/charges/*"] }],
    });
    const status = async (path: string, init?: RequestInit): Promise<number> => {
      const { response } = await call(path, token, init);
      await response.text();
      return response.status;
    };
    expect(await status("/proxy/up/v1/charges/ch_1")).toBe(200);
    expect(await status("/proxy/up/v1/charges/ch_1", { method: "DELETE" })).toBe(403);
    expect(await status("/proxy/up/v1/charges-old/x")).toBe(403);
    expect(await status(`${ORIGIN}/proxy/up/v1/charges/%2e%2e/refunds`)).toBe(403);
  });

  it("a refusal of the gateway can be told from the provider's and is recorded once per reason and minute", async () => {
    const token = await tenant.token({ scopes: ["connections:call:elsewhere"] });
    const answers = await Promise.all(Array.from({ length: 30 }, () => call("/proxy/up/v1/x", token)));
    for (const { response, settled } of answers) {
      expect(response.headers.get("x-valetkey-error")).toBe("SCOPE_DENIED");
      await response.text();
      await settled();
    }
    const { tokenId } = await tenant.services.tokenUses.identify(token);
    await expect
      .poll(
        async () => {
          const { events } = await tenant.services.audit.query(
            tenant.tenantId,
            { event_type: "connection.denied" },
            { limit: 100 },
          );
          return events.filter(({ context }) => context["token_id"] === tokenId).length;
        },
        { timeout: 8_000 },
      )
      .toBeGreaterThanOrEqual(1);
    const { events } = await tenant.services.audit.query(
      tenant.tenantId,
      { event_type: "connection.denied" },
      { limit: 100 },
    );
    expect(events.filter(({ context }) => context["token_id"] === tokenId).length).toBeLessThanOrEqual(2);
  }, 15_000);
});
