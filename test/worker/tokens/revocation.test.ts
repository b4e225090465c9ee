import { beforeEach, describe, expect, it } from "vitest";
import { Redacted } from "../../../src/base/redacted.ts";
import type { Watermark } from "../../../src/identity/changes.ts";
import { call, createTenant, isolate, type Tenant } from "../support/tenant.ts";

/** Calls on an isolate that has no lease yet, so that what it sees is what holds now. */
async function status(token: string): Promise<number> {
  const { response } = await call("/proxy/up/v1/x", token, {}, isolate());
  await response.text();
  return response.status;
}

describe("bulk revocation is one write", () => {
  let tenant: Tenant;
  beforeEach(async () => {
    tenant = await createTenant();
  });

  const targets: readonly [what: string, watermark: (tenant: Tenant) => Watermark][] = [
    ["its agent", ({ agentId }) => ({ kind: "agent", key: agentId })],
    ["its connection", () => ({ kind: "connection", key: "up" })],
    ["the connection's secret", () => ({ kind: "secret", key: "test/up/KEY" })],
    ["the secret's tier", () => ({ kind: "class", key: "standard" })],
    ["the secret's type", () => ({ kind: "class", key: "custom" })],
    ["the whole tenant", () => ({ kind: "tenant", key: "*" })],
  ];

  it.each(targets)(
    "every token issued before is refused by %s, one issued after is not",
    async (_what, watermark) => {
      const old = await tenant.token();
      expect(await status(old)).toBe(200);
      await tenant.services.tokens.revokeAll(tenant.admin, watermark(tenant));
      expect(await status(old)).toBe(401);
      expect(await status(await tenant.token())).toBe(200);
    },
  );

  it.each([
    ["another agent", { kind: "agent", key: "agt_000000000000000000000000" }],
    ["another connection", { kind: "connection", key: "up2" }],
    ["another secret", { kind: "secret", key: "test/up/KEY2" }],
    ["another class", { kind: "class", key: "critical" }],
  ] satisfies [string, Watermark][])("a token is not touched by %s", async (_what, watermark) => {
    const token = await tenant.token();
    await tenant.services.tokens.revokeAll(tenant.admin, watermark);
    expect(await status(token)).toBe(200);
  });

  it("a rotation refuses tokens that could have read the old value, and calls go on with the new one", async () => {
    const reader = await tenant.token({ scopes: ["connections:call:up", "secrets:read:test/*"] });
    const user = await tenant.token({ scopes: ["connections:call:up", "secrets:use:test/*"] });
    await tenant.services.vault.changes.rotate(
      tenant.admin,
      "test/up/KEY",
      new Redacted("the-new-value-3f9c"),
      0,
    );
    expect(await status(reader)).toBe(401);
    expect(await status(user)).toBe(200);
  });

  it("revoked in bulk looks like any other token that is not valid", async () => {
    const token = await tenant.token();
    await tenant.services.tokens.revokeAll(tenant.admin, { kind: "tenant", key: "*" });
    const revoked = await call("/proxy/up/v1/x", token, {}, isolate());
    const malformed = await call("/proxy/up/v1/x", "vkt_x", {}, isolate());
    const bodies = await Promise.all(
      [revoked, malformed].map(async ({ response }) => {
        const {
          request_id: _id,
          instance: _instance,
          ...rest
        } = (await response.json()) as Record<string, unknown>;
        return { status: response.status, rest };
      }),
    );
    expect(bodies[0]).toEqual(bodies[1]);
  });
});
