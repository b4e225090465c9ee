import { beforeAll, describe, expect, test } from "vitest";
import { send } from "../api/door.ts";
import { json, type Office, openOffice } from "./fixtures.ts";

const PAYOUT = {
  name: "payment.payout",
  calls: { connection: "up", methods: ["POST"], paths: ["/v1/payouts"] },
  constraints: {
    max_total: { kind: "max_total", field: "body.amount" },
    max_recipients: { kind: "max_count", field: "body.to[]", required: false },
    max_payouts: { kind: "max_count", required: false },
  },
  max_uses: 100,
};

let at: Office;
beforeAll(async () => {
  at = await openOffice([PAYOUT]);
});

let unique = 0;
const granted = (over: object) =>
  at.granted({ action: "payment.payout", max_uses: 100, context: { n: unique++ }, ...over });
const pay = (token: string, amount: number, to?: unknown) =>
  at.make(token, "up/v1/payouts", json({ amount, ...(to === undefined ? {} : { to }) }));

describe("a permission for so much in all", () => {
  test("attack 63: of 50 calls of 30 at the same time lets 3 of 100 through, exactly", async () => {
    const { token } = await granted({ scope: { max_total: 100 } });
    const all = await Promise.all(Array.from({ length: 50 }, () => pay(token, 30)));
    expect(all.filter(({ code }) => code === null)).toHaveLength(3);
    expect(new Set(all.map(({ code }) => code))).toEqual(new Set([null, "PERMISSION_DENIED"]));
    expect((await pay(token, 10.000001)).code).toBe("PERMISSION_DENIED");
    expect((await pay(token, 10)).code).toBeNull();
    expect((await pay(token, 0.000001)).code).toBe("PERMISSION_DENIED");
  });

  test("adds decimals exactly: ten times 0.1 is 1", async () => {
    const { token } = await granted({ scope: { max_total: 1 } });
    const codes = [];
    for (let at = 0; at < 11; at++) codes.push((await pay(token, 0.1)).code);
    expect(codes).toEqual([...Array(10).fill(null), "PERMISSION_DENIED"]);
  });

  test("a refusal costs neither uses nor the total", async () => {
    const { token } = await granted({ scope: { max_total: 100 }, max_uses: 2 });
    for (const amount of [101, -1, 1e15]) expect((await pay(token, amount)).code).toBe("PERMISSION_DENIED");
    expect([(await pay(token, 50)).code, (await pay(token, 50)).code]).toEqual([null, null]);
  });

  test("is shared by what descends from its token", async () => {
    const { token } = await granted({ scope: { max_total: 100 } });
    const made = await send("POST", "/v1/tokens/child", {
      credential: token,
      body: { scopes: ["connections:call:up"] },
    });
    const child = made.body.token as string;
    expect((await pay(child, 60)).code).toBeNull();
    expect((await pay(token, 60)).code).toBe("PERMISSION_DENIED");
    expect((await pay(token, 40)).code).toBeNull();
    expect((await pay(child, 1)).code).toBe("PERMISSION_DENIED");
  });
});

describe("a permission for so many", () => {
  test("items counts them over all calls", async () => {
    const { token } = await granted({ scope: { max_total: 100, max_recipients: 3 } });
    expect((await pay(token, 1, ["a", "b"])).code).toBeNull();
    expect((await pay(token, 1, ["c", "d"])).code).toBe("PERMISSION_DENIED");
    expect((await pay(token, 1, "c")).code).toBeNull();
    expect((await pay(token, 1, "d")).code).toBe("PERMISSION_DENIED");
  });

  test("calls has as many uses", async () => {
    const { token, max_uses, scope } = await granted({
      scope: { max_total: 100, max_payouts: 2 },
      max_uses: undefined,
    });
    expect([max_uses, scope.max_payouts]).toEqual([2, 2]);
    const codes = await Promise.all(Array.from({ length: 10 }, async () => (await pay(token, 1)).code));
    expect(codes.filter((code) => code === null)).toHaveLength(2);
  });
});
