import { beforeAll, describe, expect, test } from "vitest";
import { send } from "../api/door.ts";
import { type Office, openOffice, REFUND } from "./fixtures.ts";

const TRANSFER = {
  name: "payment.transfer",
  calls: null,
  constraints: {
    max_amount: { kind: "max_amount", field: "details.amount" },
    max_total: { kind: "max_total", field: "details.amount", required: false },
    allowed_recipients: { kind: "one_of", field: "details.recipient", required: false },
  },
  resource_field: "details.account",
  max_uses: 20,
};

let at: Office;
beforeAll(async () => {
  at = await openOffice([TRANSFER, REFUND]);
});

let unique = 0;
const granted = (over: object = {}) =>
  at.granted({
    ...{ action: "payment.transfer", resource: "acct_1", scope: { max_amount: 100 } },
    context: { n: unique++ },
    ...over,
  });
const post = (id: string, what: "use" | "verify", body: object, key = at.agent.api_key) =>
  send("POST", `/v1/permissions/${id}/${what}`, { credential: key, body });

describe("a permission that is used outside of the gateway", () => {
  test("is verified without a use, used once, and then not valid any more", async () => {
    const { id, token } = await granted();
    const valid = { valid: true, status: "approved", uses_left: 1, scope: { max_amount: 100 } };
    for (let time = 0; time < 2; time++)
      expect((await post(id, "verify", { token })).body).toMatchObject(valid);
    const details = { account: "acct_1", amount: 100 };
    const used = await post(id, "use", { token, details });
    expect([used.status, used.body]).toEqual([200, { id, status: "used", uses_left: 0 }]);
    const again = await post(id, "use", { token, details });
    expect([again.status, again.body.error.code]).toEqual([403, "USES_EXHAUSTED"]);
    expect((await post(id, "verify", { token })).body).toMatchObject({ valid: false, status: "used" });
  });

  test.each([
    ["more", { account: "acct_1", amount: 101 }],
    ["an amount in quotes", { account: "acct_1", amount: "100" }],
    ["no amount", { account: "acct_1" }],
    ["another account", { account: "acct_2", amount: 1 }],
    ["no account", { amount: 1 }],
    ["an amount twice", { account: "acct_1", amount: 1, Amount: 1_000 }],
    ["nothing", {}],
  ])("is not used for %s, and keeps its use", async (_, details) => {
    const { id, token } = await granted();
    const refused = await post(id, "use", { token, details });
    expect([refused.status, refused.body.error.code]).toEqual([403, "PERMISSION_DENIED"]);
    expect((await post(id, "verify", { token })).body.uses_left).toBe(1);
  });

  test("attack 63: used 20 times at once with one use, is used once", async () => {
    const { id, token } = await granted();
    const details = { account: "acct_1", amount: 1 };
    const all = await Promise.all(Array.from({ length: 20 }, () => post(id, "use", { token, details })));
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  test("attack 63: a total is exact at any number of uses at once", async () => {
    const { id, token } = await granted({ scope: { max_amount: 40, max_total: 100 }, max_uses: 20 });
    const details = { account: "acct_1", amount: 30 };
    const all = await Promise.all(Array.from({ length: 20 }, () => post(id, "use", { token, details })));
    expect(all.filter(({ status }) => status === 200)).toHaveLength(3);
  });

  test("its token calls nothing, reads no secret and has no children", async () => {
    const { token } = await granted();
    expect((await at.make(token, "up/v1/refunds", { method: "POST" })).code).toBe("SCOPE_DENIED");
    const read = await send("GET", "/v1/secrets/test/up/KEY", { credential: token });
    expect([read.status, read.body.error.code]).toEqual([403, "SCOPE_DENIED"]);
    const child = await send("POST", "/v1/tokens/child", {
      credential: token,
      body: { scopes: ["connections:call:up"] },
    });
    expect([child.status, child.body.error.code]).toEqual([403, "SCOPE_DENIED"]);
  });

  test("is another's to use who holds its token, and nobody's without", async () => {
    const other = await at.newAgent();
    const [one, two] = [await granted(), await granted()];
    expect((await post(one.id, "verify", { token: one.token }, other.api_key)).body.valid).toBe(true);
    expect((await post(one.id, "verify", { token: two.token }, other.api_key)).status).toBe(404);
    expect((await post(one.id, "verify", { token: two.token })).body).toMatchObject({ valid: false });
    const foreign = { token: two.token, details: { account: "acct_1", amount: 1 } };
    expect((await post(one.id, "use", foreign)).status).toBe(401);
    expect((await post(one.id, "use", { token: "vkt_x", details: {} })).status).toBe(401);
  });

  test("one whose calls the gateway makes is used by them, and by nothing else", async () => {
    const { id, token } = await at.granted();
    const refused = await post(id, "use", { token, details: {} });
    expect([refused.status, refused.body.error.code]).toEqual([409, "CONFLICT"]);
    expect((await post(id, "verify", { token })).body).toMatchObject({ valid: true, uses_left: 1 });
  });

  test("each use is a line of the trail, with what it was for", async () => {
    const { id, token } = await granted();
    await post(id, "use", { token, details: { account: "acct_1", amount: 12.5 } });
    expect(await at.line("permission.used", id)).toMatchObject({
      actor: `agent:${at.agent.id}`,
      context: { action: "payment.transfer", details: { account: "acct_1", amount: 12.5 } },
    });
  });
});
