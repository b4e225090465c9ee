import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { createTenant, type Tenant } from "../support/tenant.ts";
import { call } from "../support/tenant.ts";
import { freshCaller, makeBudget } from "../budgets/fixtures.ts";
import { bindings, newTenant, outboxEmpty, send } from "./door.ts";

type Team = Awaited<ReturnType<typeof newTenant>>;

const CALLS = { name: "calls a day", scope: { tenant: true }, measure: "calls", limit: 100, period: "day" };
const BYTES = { ...CALLS, name: "bytes", measure: "bytes", limit: 1_000_000, max_bytes_per_call: 5_000 };
const MONEY = {
  ...{ name: "money", scope: { connection: "openai" }, period: "month" },
  ...{ measure: "money", currency: "USD", limit: "12.5" },
  prices: [{ reserve: "0.05", response: { fields: { "usage.total_tokens": "2.50 per 1M" } } }],
};

/** What is wrong, the body, and what the refusal must name. */
const BAD: readonly [what: string, body: object, named: string][] = [
  ["no scope", { ...CALLS, scope: {} }, "scope"],
  ["everything and something", { ...CALLS, scope: { tenant: true, connection: "up" } }, "scope"],
  ["an agent that is none", { ...CALLS, scope: { agent: "everybody" } }, "scope.agent"],
  ["half a call", { ...CALLS, limit: 0.5 }, "limit"],
  ["less than nothing", { ...CALLS, limit: -1 }, "limit"],
  ["a year", { ...CALLS, period: "year" }, "period"],
  ["prices of calls", { ...CALLS, prices: MONEY.prices }, "prices"],
  ["money without a currency", { ...MONEY, currency: undefined }, "currency"],
  ["money as a number", { ...MONEY, limit: 12.5 }, "limit"],
  ["a tenth of a millionth", { ...MONEY, limit: "0.0000001" }, "limit"],
  ["no prices", { ...MONEY, prices: [] }, "prices"],
  ["a price of nothing", { ...MONEY, prices: [{ connection: "openai" }] }, "prices"],
  ["two prices in one", { ...MONEY, prices: [{ ...MONEY.prices[0], per_call: "1" }] }, "prices"],
  ["nothing reserved", { ...MONEY, prices: [{ response: MONEY.prices[0]?.response }] }, "reserve"],
  // What is not held is not settled either: such calls would cost nothing.
  ["a reserve of nothing", { ...MONEY, prices: [{ ...MONEY.prices[0], reserve: "0.00" }] }, "reserve"],
  [
    "a price per dozen",
    { ...MONEY, prices: [{ request: { field: "body.n", per_unit: "1 per 12" } }] },
    "per_unit",
  ],
  ["a header's price", { ...MONEY, prices: [{ request: { field: "header.n", per_unit: "1" } }] }, "field"],
];

describe("/v1/budgets", () => {
  let team: Team;
  beforeAll(async () => {
    team = await newTenant();
  });
  const as = (credential: string) => ({
    make: (body: object) => send("POST", "/v1/budgets", { credential, body }),
    get: (path: string) => send("GET", `/v1/budgets${path}`, { credential }),
    change: (id: string, body: object) => send("PATCH", `/v1/budgets/${id}`, { credential, body }),
    remove: (id: string) => send("DELETE", `/v1/budgets/${id}`, { credential }),
  });

  it.each([CALLS, BYTES, MONEY])("makes, shows, lists, changes and deletes one of $measure", async (body) => {
    const editor = as(team.editor);
    const made = await editor.make(body);
    expect(made.status).toBe(201);
    const { id } = made.body;
    expect(made.body).toMatchObject({ name: body.name, scope: body.scope, enabled: true });
    expect(made.body.limit).toBe(body.measure === "money" ? "12.50" : body.limit);
    const shown = await as(team.viewer).get(`/${id}`);
    const { effective_at: _at, ...rest } = made.body;
    expect(shown.body).toEqual(rest);
    expect((await as(team.viewer).get("")).body.budgets.map(({ name }: { name: string }) => name)).toContain(
      body.name,
    );
    expect((await as(team.viewer).get(`/${id}/state`)).body).toMatchObject({
      reserved: body.measure === "money" ? "0.00" : 0,
      left: made.body.limit,
    });
    const changed = await editor.change(id, { limit: body.measure === "money" ? "7" : 7, enabled: false });
    expect(changed.body).toMatchObject({ limit: body.measure === "money" ? "7.00" : 7, enabled: false });
    expect((await editor.remove(id)).status).toBe(204);
    expect((await editor.get(`/${id}`)).status).toBe(404);
    expect((await editor.remove(id)).status).toBe(404);
  });

  it.each(BAD)("refuses %s, and says what is wrong", async (_what, body, named) => {
    const answer = await as(team.admin).make(body);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(named);
  });

  it("refuses a second one of a name, a change of what it measures, and another tenant's", async () => {
    const editor = as(team.editor);
    const { id } = (await editor.make({ ...CALLS, name: "one of a name" })).body;
    expect((await editor.make({ ...BYTES, name: "one of a name" })).status).toBe(409);
    for (const patch of [
      { limit: "7" },
      { prices: MONEY.prices },
      { max_bytes_per_call: 5 },
      { period: "hour" },
      {},
    ]) {
      expect((await editor.change(id, patch)).status).toBe(400);
    }
    const other = as((await newTenant()).admin);
    expect((await other.get(`/${id}`)).status).toBe(404);
    expect((await other.get(`/${id}/state`)).status).toBe(404);
    expect((await other.change(id, { limit: 1 })).status).toBe(404);
    expect((await other.remove(id)).status).toBe(404);
  });

  it("the state of one that each token has for itself is one token's, of this tenant", async () => {
    const { id } = (await as(team.editor).make({ ...CALLS, name: "each", scope: { token: true } })).body;
    expect((await as(team.viewer).get(`/${id}/state`)).status).toBe(400);
    const strange = await createTenant();
    const { tokenId } = await strange.services.tokenUses.identify(await strange.token());
    expect((await as(team.viewer).get(`/${id}/state?token_id=${tokenId}`)).status).toBe(404);
  });

  it("what was done stands in the trail, with what changed", async () => {
    const own = await newTenant();
    const { id } = (await as(own.editor).make(MONEY)).body;
    await as(own.editor).change(id, { limit: "13" });
    await as(own.editor).remove(id);
    await outboxEmpty();
    const { body } = await send("GET", "/v1/audit?resource_type=budget", { credential: own.auditor });
    const events = body.events.map((event: { event_type: string; context: object }) => [
      event.event_type,
      event.context,
    ]);
    expect(events.toReversed()).toMatchObject([
      ["budget.created", { name: "money", limit: "12.50" }],
      ["budget.updated", { changed: ["limit"], before: { limit: "12.50" }, after: { limit: "13.00" } }],
      ["budget.deleted", { name: "money" }],
    ]);
  });
});

const sized = (length: number): RequestInit => ({
  method: "POST",
  headers: { "content-length": String(length) },
  body: "x".repeat(length),
});

describe("a call that does not fit into a budget", () => {
  let tenant: Tenant;
  beforeAll(async () => {
    tenant = await createTenant();
  });

  it("is refused with the budget's name and when it refills, is in the trail, and is announced once", async () => {
    const { id } = await makeBudget(tenant, {
      name: "few",
      scope: { connection: "up" },
      limit: 5,
      period: "hour",
    });
    const token = await tenant.token();
    const ask = freshCaller();
    for (let n = 0; n < 5; n++) expect(await ask(token)).toBe(200);
    for (let n = 0; n < 3; n++) expect(await ask(token)).toBe(429);
    const { response } = await call("/proxy/up/v1/x", token);
    expect(response.status).toBe(429);
    expect(response.headers.get("x-valetkey-error")).toBe("BUDGET_EXCEEDED");
    const end = (Math.floor(Date.now() / 3_600_000) + 1) * 3_600_000;
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await response.json()).toMatchObject({
      budget: { id, name: "few" },
      refills_at: new Date(end).toISOString(),
      error: { code: "BUDGET_EXCEEDED" },
    });
    const typesOf = async (): Promise<readonly string[]> => {
      const { events } = await tenant.services.audit.query(
        tenant.tenantId,
        {} as never,
        { limit: 100 } as never,
      );
      return events.map((event) => `${event.event_type} ${event.context["reason"] ?? event.resource}`);
    };
    await expect
      .poll(typesOf, { timeout: 15_000 })
      .toEqual(
        expect.arrayContaining([
          "connection.denied budget",
          `budget.exceeded ${id}`,
          `budget.threshold ${id}`,
        ]),
      );
    expect((await typesOf()).filter((type) => type.startsWith("budget.exceeded"))).toHaveLength(1);
  });

  it("is explained as one, and explaining reserves nothing", async () => {
    const own = await createTenant();
    const { id } = await makeBudget(own, { scope: { tenant: true }, limit: 1 });
    const token = await own.token();
    const explain = async () => {
      const answer = await send("POST", "/v1/explain", {
        credential: token,
        headers: { "cf-connecting-ip": "203.0.113.7" },
        body: { method: "GET", url: "/proxy/up/v1/x" },
      });
      return answer.body;
    };
    for (let n = 0; n < 3; n++) expect(await explain()).toMatchObject({ outcome: "allowed" });
    expect(await own.services.budgets.state(own.tenantId, id, null)).toMatchObject({ used: 0 });
    expect(await freshCaller()(token)).toBe(200);
    const refused = await explain();
    expect(refused).toMatchObject({ outcome: "refused", code: "BUDGET_EXCEEDED" });
    expect(refused.checks).toContainEqual(expect.objectContaining({ check: "budgets", ok: false }));
  });

  it("bytes are reserved before and settled after, there and back", async () => {
    const own = await createTenant();
    const { id } = await makeBudget(own, {
      ...{ scope: { tenant: true }, measure: "bytes", limit: 10_000, max_bytes_per_call: 6_000 },
    });
    const token = await own.token();
    const { response, settled } = await call("/proxy/up/v1/x", token, sized(1_000));
    const { length } = await response.text();
    await settled();
    const used = 1_000 + length;
    expect(await own.services.budgets.state(own.tenantId, id, null)).toMatchObject({ used, reserved: 0 });
    const ask = freshCaller();
    // More than is left is reserved by what is announced.
    expect(await ask(token, sized(9_500))).toBe(429);
    expect(await ask(token)).toBe(200);
  });

  it("bytes whose number nobody told are counted on their way", async () => {
    const own = await createTenant();
    const { id } = await makeBudget(own, {
      ...{ scope: { tenant: true }, measure: "bytes", limit: 1_000_000, max_bytes_per_call: 1_000 },
    });
    const body = new ReadableStream({
      start(controller) {
        for (let n = 0; n < 50; n++) controller.enqueue(new Uint8Array(1_000).fill(0x61));
        controller.close();
      },
    });
    const { response, settled } = await call("/proxy/up/v1/x", await own.token(), { method: "POST", body });
    const { length } = await response.text();
    await settled();
    expect(await own.services.budgets.state(own.tenantId, id, null)).toMatchObject({ used: 50_000 + length });
  });

  it("a price is not chosen by how a path is spelled", async () => {
    const own = await createTenant();
    const { id } = await makeBudget(own, {
      ...{ scope: { tenant: true }, measure: "money", currency: "EUR", limit: "100" },
      prices: [{ paths: ["/v1/dear"], per_call: "1" }, { per_call: "0" }],
    });
    const token = await own.token();
    for (const [index, path] of ["/v1/dear", "/v1/dear/", "/v1%2Fdear", "/V1/Dear", "/v1/%64ear"].entries()) {
      expect(await freshCaller(`/proxy/up${path}`)(token), path).toBe(200);
      const { used } = await own.services.budgets.state(own.tenantId, id, null);
      expect(used, path).toBe((index + 1) * 1_000_000);
    }
    expect(await freshCaller("/proxy/up/v1/dearest")(token)).toBe(200);
    expect(await own.services.budgets.state(own.tenantId, id, null)).toMatchObject({ used: 5_000_000 });
  });

  it("one that came to more than it reserved blocks the next, also after a crash", async () => {
    const own = await createTenant();
    await makeBudget(own, {
      ...{ scope: { tenant: true }, measure: "bytes", limit: 1_000, max_bytes_per_call: 10 },
    });
    const token = await own.token();
    const { response, settled } = await call("/proxy/up/v1/x", token, sized(990));
    await response.text();
    await settled();
    const { tokenId } = await own.services.tokenUses.identify(token);
    const object = bindings.SCOPED_TOKEN.get(bindings.SCOPED_TOKEN.idFromName(tokenId));
    await runInDurableObject(object, (_instance, state) => state.abort("killed by a test")).catch(
      () => undefined,
    );
    expect(await freshCaller()(token)).toBe(429);
    expect(await freshCaller()(await own.token())).toBe(429);
  });

  it("a call that says what it costs is priced by it; one that does not is refused", async () => {
    const own = await createTenant();
    const { id } = await makeBudget(own, {
      ...{ scope: { tenant: true }, measure: "money", currency: "EUR", limit: "10" },
      prices: [
        { methods: ["GET"], per_call: "0" },
        { paths: ["/v1/charges"], request: { field: "body.amount", per_unit: "0.01" } },
      ],
    });
    const token = await own.token();
    const ask = freshCaller("/proxy/up/v1/charges");
    const charge = (body: unknown): RequestInit => ({
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    expect(await ask(token, charge({ amount: 550 }))).toBe(200);
    expect(await ask(token, charge({ amount: 451 }))).toBe(429);
    for (const body of [
      {},
      { amount: -1 },
      { amount: "1e0" },
      { amount: null },
      { Amount: 1, amount: 0 },
      "amount=1",
      '{"amount": 1, "amount": 0}',
      '{"amount": 1e0}',
      '{"amount": 100e-2}',
      '{"amount": 1E400}',
      '{"amount": +1}',
      '{"amount": 01}',
    ]) {
      // One that could be read in two ways is refused for that.
      expect([400, 429]).toContain(await ask(token, charge(body)));
    }
    expect(await ask(token, charge({ amount: "450" }))).toBe(200);
    expect(await freshCaller("/proxy/up/v1/refunds")(token, charge({ amount: 1 }))).toBe(429);
    expect(await ask(token)).toBe(200);
    expect(await own.services.budgets.state(own.tenantId, id, null)).toMatchObject({ used: 10_000_000 });
  });
});
