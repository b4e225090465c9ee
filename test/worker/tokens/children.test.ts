import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Redacted } from "../../../src/base/redacted.ts";
import { endedBy } from "../../../src/gateway/open-streams.ts";
import type { Watermark } from "../../../src/identity/changes.ts";
import type { Grant } from "../../../src/tokens/grant.ts";
import { leaseOf } from "../api/door.ts";
import { addChildren, askForChild, callStatus, mint } from "../support/children.ts";
import { createTenant, isolate, type Tenant } from "../support/tenant.ts";

let tenant: Tenant;
beforeAll(async () => {
  tenant = await createTenant();
});

const granted = (token: string): Promise<Grant> => tenant.services.tokenUses.identify(token);

async function revoke(token: string): Promise<void> {
  const { tokenId } = await granted(token);
  await tenant.services.tokens.revoke(tenant.admin, tokenId);
}

async function family() {
  const root = await tenant.token();
  const child = await mint(root);
  const [grandchild, sibling] = await Promise.all([mint(child), mint(root)]);
  return { root, child, grandchild, sibling };
}
type Family = Awaited<ReturnType<typeof family>>;

async function statusesOf(tokens: Family, where?: () => Env): Promise<Record<string, number>> {
  const told: Record<string, number> = {};
  for (const [name, token] of Object.entries(tokens)) told[name] = await callStatus(token, where?.());
  return told;
}

describe("a token's revocation reaches what descends from it, and nothing else", () => {
  it.each([
    ["root", { root: 401, child: 401, grandchild: 401, sibling: 401 }],
    ["child", { root: 200, child: 401, grandchild: 401, sibling: 200 }],
    ["grandchild", { root: 200, child: 200, grandchild: 401, sibling: 200 }],
  ] as const)("attack 57: the %s's, at the next call, on every isolate", async (which, told) => {
    const tokens = await family();
    expect(await statusesOf(tokens)).toEqual({ root: 200, child: 200, grandchild: 200, sibling: 200 });
    await revoke(tokens[which]);
    expect(await statusesOf(tokens)).toEqual(told);
    expect(await statusesOf(tokens, isolate)).toEqual(told);
  });

  it("attack 57: also of a child that was never used", async () => {
    const { root, child } = await family();
    await revoke(child);
    expect([await callStatus(child), await callStatus(root)]).toEqual([401, 200]);
  });

  it("attack 57: a token that was revoked makes no child, nor does one whose parent was", async () => {
    const { root, child } = await family();
    await revoke(root);
    for (const token of [root, child]) {
      const { status, body } = await askForChild(token);
      expect([status, body.error.code]).toEqual([401, "UNAUTHORIZED"]);
    }
  });

  it("lists tell of whom a child is, and that it was revoked with its parent", async () => {
    const tokens = await family();
    const [root, child, grandchild, sibling] = await Promise.all(Object.values(tokens).map(granted));
    await revoke(tokens.child);
    const listed = await tenant.services.tokens.list(tenant.tenantId, null, { limit: 200 });
    const at = (grant: Grant | undefined) => listed.tokens.find(({ tokenId }) => tokenId === grant?.tokenId);
    expect([root, sibling].map((grant) => at(grant)?.revokedAt)).toEqual([null, null]);
    expect([child, grandchild].map((grant) => typeof at(grant)?.revokedAt)).toEqual(["number", "number"]);
    expect(at(grandchild)?.ancestors.map(({ tokenId }) => tokenId)).toEqual([root?.tokenId, child?.tokenId]);
  });

  it("attack 66: the open streams of a child are cut when the child or anything above it is revoked", async () => {
    const tokens = await family();
    const grants = await Promise.all(Object.values(tokens).map(granted));
    await revoke(tokens.child);
    const lease = await leaseOf(tenant.tenantId);
    const targets = { connection: "up", secrets: ["test/up/KEY"], classes: [] };
    const ends = grants.map((grant) => endedBy(lease, grant, targets));
    expect(ends).toEqual([null, "REVOKED_MIDWAY", "REVOKED_MIDWAY", null]);
    // Where too many were revoked to be named, the time counts at which the root was issued.
    const [root, , grandchild] = grants;
    if (root === undefined || grandchild === undefined) throw new Error("not granted");
    const folded = { ...lease, revoked: [], revokedUntil: { [root.agentId]: root.issuedAt } };
    const later = { ...grandchild, issuedAt: root.issuedAt + 60_000 };
    expect(endedBy(folded, later, targets)).toBe("REVOKED_MIDWAY");
  });
});

describe("what refuses a token in bulk refuses its children, those too that were made afterwards", () => {
  beforeEach(async () => {
    tenant = await createTenant();
  });

  const targets: readonly [what: string, watermark: (tenant: Tenant) => Watermark][] = [
    ["its agent", ({ agentId }) => ({ kind: "agent", key: agentId })],
    ["its connection", () => ({ kind: "connection", key: "up" })],
    ["the connection's secret", () => ({ kind: "secret", key: "test/up/KEY" })],
    ["the whole tenant", () => ({ kind: "tenant", key: "*" })],
  ];
  it.each(targets)("attack 57: %s", async (_what, watermark) => {
    const root = await tenant.token();
    const before = await mint(root);
    expect(await callStatus(before)).toBe(200);
    await tenant.services.tokens.revokeAll(tenant.admin, watermark(tenant));
    // An isolate whose lease is not over yet may still make one: it is as old as its parent.
    const late = await askForChild(root);
    expect(await callStatus(before, isolate())).toBe(401);
    if (late.status === 201) expect(await callStatus(late.body.token, isolate())).toBe(401);
    else expect(late.body.error.code).toBe("UNAUTHORIZED");
  });

  it("a rotation refuses the children of a token that could have read the old value", async () => {
    const reader = await tenant.token({ scopes: ["connections:call:up", "secrets:read:test/*"] });
    const user = await tenant.token({ scopes: ["connections:call:up", "secrets:use:test/*"] });
    const [ofReader, ofUser] = await Promise.all([mint(reader), mint(user)]);
    const { changes } = tenant.services.vault;
    await changes.rotate(tenant.admin, "test/up/KEY", new Redacted("a-new-value-77c1"), 0);
    expect(await callStatus(ofReader, isolate())).toBe(401);
    expect(await callStatus(ofUser, isolate())).toBe(200);
  });
});

describe("making a child", () => {
  it("costs no use, and says whose it is", async () => {
    const root = await tenant.token({ max_uses: 1 });
    const parent = await granted(root);
    const { body } = await askForChild(root, { ttl: "1m", max_uses: 1 });
    expect(body.parent_id).toBe(parent.tokenId);
    expect((await tenant.services.tokens.uses(parent)).uses).toBe(0);
    expect([await callStatus(body.token), await callStatus(root)]).toEqual([200, 403]);
  });

  it("attack 59: takes an address from which the parent may be used", async () => {
    const root = await tenant.token({ ip_allowlist: ["198.51.100.0/24"] });
    const { status, body } = await askForChild(root);
    expect([status, body.error.code]).toEqual([403, "ADDRESS_DENIED"]);
  });

  it("is refused while the tenant is frozen", async () => {
    const other = await createTenant();
    const root = await other.token();
    await other.services.tenants.freeze(other.admin, true, "a drill");
    await expect
      .poll(async () => (await askForChild(root)).body.error?.code, { timeout: 8_000 })
      .toBe("TENANT_FROZEN");
  });

  it("a line has at most five tokens", async () => {
    let token = await tenant.token();
    for (let length = 2; length <= 5; length++) token = await mint(token);
    expect(await callStatus(token)).toBe(200);
    const { status, body } = await askForChild(token);
    expect([status, body.error.code]).toEqual([409, "CONFLICT"]);
  });

  it("attack 63: a token has at most 1,000 children at a time, however many are asked for at once", async () => {
    const token = await tenant.token();
    const root = await granted(token);
    await addChildren(tenant.tenantId, root, 997);
    const answers = await Promise.all(Array.from({ length: 8 }, () => askForChild(token)));
    const counted = Map.groupBy(answers, ({ status }) => status);
    expect([counted.get(201)?.length, counted.get(409)?.length]).toEqual([3, 5]);
  });
});
