import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { eq } from "drizzle-orm";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { StoredEvent } from "../../../src/audit/event.ts";
import { openDatabase } from "../../../src/base/database.ts";
import { newId } from "../../../src/base/ids.ts";
import type { BoundConstraint } from "../../../src/tokens/permission.ts";
import { tokens } from "../../../src/tokens/tables.ts";
import { holderOf, makeBudget } from "../budgets/fixtures.ts";
import { call, CANARY, createTenant, isolate, type Tenant } from "../support/tenant.ts";

let tenant: Tenant;

async function connect(slug: string): Promise<void> {
  await tenant.services.connections.create(tenant.admin, {
    ...{ slug, base_url: "http://127.0.0.1:9/base", credential: { kind: "bearer" }, secret: "test/up/KEY" },
  } as never);
}

async function policy(slug: string, name: string, effect: string, condition: string | null) {
  const made = { name, connections: [slug], effect, condition };
  return (await tenant.services.policies.create(tenant.admin, made as never)).policy;
}

/** Calls, one after the other, and what the trail then tells of those that were refused. */
async function refusedCalls(
  token: string,
  ...asked: readonly (readonly [path: string, init?: RequestInit])[]
): Promise<readonly StoredEvent[]> {
  const bindings = isolate();
  for (const [path, init] of asked) {
    const { response, settled } = await call(`/proxy/${path}`, token, init, bindings);
    await response.text();
    await settled();
  }
  const { tokenId } = await tenant.services.tokenUses.identify(token);
  await runInDurableObject(holderOf(tokenId), (instance) => instance.alarm());
  const filter = { event_type: "connection.denied" } as const;
  const { events } = await tenant.services.audit.query(tenant.tenantId, filter, { limit: 100 });
  return events.filter(({ context }) => context["token_id"] === tokenId).toReversed();
}

const post = (body: string): RequestInit => ({
  method: "POST",
  body,
  headers: { "content-type": "application/json" },
});

/** A token whose permission has these constraints, as `requestPermission` would issue it. */
async function permitted(constraints: readonly BoundConstraint[]): Promise<string> {
  const token = await tenant.token({ scopes: ["connections:call:*"] });
  const { tokenId } = await tenant.services.tokenUses.identify(token);
  const permission = {
    ...{ permissionId: newId("permission"), action: "refund", resource: null, constraints },
    calls: { connection: "paid", methods: ["POST"], paths: ["/refunds"] },
    agreed: { approvals: 1, delaySeconds: 0 },
  };
  await openDatabase(env as Env)
    .of(tenant.tenantId)
    .update(tokens)
    .set({ permission })
    .where(eq(tokens.id, tokenId));
  return token;
}

beforeAll(async () => {
  tenant = await createTenant();
  for (const slug of ["ruled", "asked", "paid", "priced"]) await connect(slug);
});

beforeEach(() => {
  // No minute ends within a test: it ends what is counted together.
  vi.useFakeTimers({ now: Math.ceil(Date.now() / 60_000) * 60_000 + 1_000, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the trail's line of a refused call", () => {
  it("names the policy that denied it, its version, and whether it matched or could not be evaluated", async () => {
    const deletes = await policy("ruled", "never delete", "deny", 'request.method == "DELETE"');
    const large = await policy("ruled", "nothing large", "deny", "request.body.amount > 100");
    const token = await tenant.token({ scopes: ["connections:call:*"] });
    const denied = await refusedCalls(
      token,
      ["ruled/x", { ...post(`{"amount":1,"note":"${CANARY}"}`), method: "DELETE" }],
      ["ruled/x", post(`{"amount":"${CANARY}"}`)],
    );
    expect(denied.map(({ context }) => context)).toMatchObject([
      {
        ...{ reason: "POLICY_DENIED", policy_id: deletes.id, policy_name: "never delete" },
        ...{ policy_version: 1, policy_cause: "matched" },
      },
      { reason: "POLICY_DENIED", policy_id: large.id, policy_name: "nothing large", policy_cause: "error" },
    ]);
    expect(JSON.stringify(denied)).not.toContain(CANARY);
  });

  it("tells two policies' refusals apart, and counts each one's repeats for itself", async () => {
    const slug = "twice";
    await connect(slug);
    const first = await policy(slug, "no a", "deny", 'request.path == "/a"');
    const second = await policy(slug, "no b", "deny", 'request.path == "/b"');
    const token = await tenant.token({ scopes: ["connections:call:*"] });
    const denied = await refusedCalls(
      token,
      ...["a", "b", "a", "b", "b"].map((path) => [`${slug}/${path}`] as const),
    );
    const told = denied.map(({ context }) => [context["policy_id"], context["repeated"]]);
    expect(told).toEqual([
      [first.id, undefined],
      [second.id, undefined],
      [first.id, 1],
      [second.id, 2],
    ]);
  });

  it("names the policy that wants people to approve what nobody can", async () => {
    const asks = await policy("asked", "people look", "require_approval", null);
    await tenant.services.connections.update(tenant.admin, "asked", { websockets: true } as never);
    const token = await tenant.token({ scopes: ["connections:call:*"] });
    const upgrade = { headers: { upgrade: "websocket" } };
    const [denied] = await refusedCalls(token, ["asked/x", upgrade]);
    expect(denied?.context).toMatchObject({ reason: "POLICY_DENIED", policy_id: asks.id, policy_version: 1 });
  });

  it("names the constraint of the permission that was not met, in one call and over all of them", async () => {
    const token = await permitted([
      { name: "max_amount", kind: "max_amount", field: "body.amount", value: 100 },
      { name: "in_all", kind: "max_total", field: "body.amount", value: 150 },
    ]);
    const denied = await refusedCalls(
      token,
      ["paid/refunds", post('{"amount":101}')],
      ["paid/other", post('{"amount":1}')],
      ["paid/refunds", post('{"amount":100}')],
      ["paid/refunds", post('{"amount":51}')],
    );
    expect(denied.map(({ context }) => [context["reason"], context["constraint"]])).toEqual([
      ["PERMISSION_DENIED", "max_amount"],
      ["PERMISSION_DENIED", "calls"],
      ["tally", "in_all"],
    ]);
  });

  it("names the budget that has too little left before people are asked", async () => {
    await connect("scarce");
    await policy("scarce", "people look here", "require_approval", null);
    const none = await makeBudget(tenant, { name: "none", scope: { connection: "scarce" }, limit: 0 });
    const [denied] = await refusedCalls(await tenant.token({ scopes: ["connections:call:*"] }), ["scarce/x"]);
    expect(denied?.context).toMatchObject({ reason: "budget", budget_id: none.id, budget_name: "none" });
  });

  it("names the budget that has too little left, or no price", async () => {
    const few = await makeBudget(tenant, { name: "few", scope: { connection: "up" }, limit: 1 });
    const prices = [
      { connection: "priced", methods: ["GET"], per_call: "0" },
      {
        ...{ connection: "priced", methods: ["POST"], paths: ["/charges"] },
        request: { field: "body.amount", per_unit: "0.01" },
      },
    ];
    const priced = await makeBudget(tenant, {
      ...{ name: "priced", scope: { tenant: true }, measure: "money", currency: "USD", limit: "5", prices },
    });
    const token = await tenant.token({ scopes: ["connections:call:*"] });
    const denied = await refusedCalls(
      token,
      ["up/x"],
      ["up/x"],
      ["priced/other", post("{}")],
      ["priced/charges", post('{"amount":"many"}')],
    );
    const told = denied.map(({ context }) => [
      context["reason"],
      context["budget_id"],
      context["budget_name"],
    ]);
    expect(told.slice(0, 2)).toEqual([
      ["budget", few.id, "few"],
      ["BUDGET_EXCEEDED", priced.id, "priced"],
    ]);
    // The same budget refused both, for the same reason.
    expect(denied[2]?.context).toMatchObject({
      repeated: 1,
      repeats_of: denied[1]?.id,
      budget_id: priced.id,
    });
  });
});
