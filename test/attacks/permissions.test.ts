import { setTimeout as sleep } from "node:timers/promises";
import Stripe from "stripe";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { sendRaw } from "../support/raw.ts";
import type { TestAgent } from "../support/tenant.ts";
import { newCredential, type Stage, setStage } from "../support/upstreams/stage.ts";
import { stripeEmulation } from "../support/upstreams/stripe.ts";

const credential = newCredential("sk_live_");
let stage: Stage;
let agent: TestAgent;

const REFUND = { charge: "ch_1", amount: 100 };

beforeAll(async () => {
  stage = await setStage({
    credential,
    place: { header: "authorization", value: `Bearer ${credential}` },
    connections: { stripe: { provider: "stripe", emulation: stripeEmulation(credential), ownHost: true } },
  });
  const { admin } = stage.tenant;
  const policy = { name: "small ones", on: "permissions", effect: "allow" };
  const made = await admin.must("POST", "/v1/policies", policy);
  await admin.must("POST", "/v1/actions", {
    name: "payment.refund",
    calls: {
      connection: "stripe",
      methods: ["POST"],
      paths: ["/v1/refunds"],
      fields: ["body.charge", "body.amount"],
    },
    constraints: { max_amount: { kind: "max_amount", field: "body.amount", cap: 100 } },
    ...{ resource_field: "body.charge", approvals: 0, max_uses: 50 },
  });
  agent = await stage.tenant.agent();
  await sleep(Math.max(0, Date.parse(made.effective_at) - Date.now()) + 5);
});
afterEach(() => stage.expectSealed());
afterAll(() => stage.close());

async function permission(over: object = {}): Promise<{ id: string; token: string }> {
  const body = { action: "payment.refund", resource: "ch_1", scope: { max_amount: 100 }, ...over };
  return agent.must("POST", "/v1/permissions", body);
}

function client(token: string): Stripe {
  const port = stage.ports["stripe"] ?? 0;
  return new Stripe(token, { host: "127.0.0.1", port, protocol: "http", maxNetworkRetries: 0 });
}

const refusalOf = (sent: Promise<unknown>): Promise<string> =>
  sent.then(
    () => "none",
    (error: Stripe.errors.StripeError) => String(error.headers?.["x-valetkey-error"]),
  );

test("attack 75: stripe-node sends the refund that was permitted, and nothing else, whatever it is told to do", async () => {
  const { token } = await permission();
  const stripe = client(token);
  const others: Promise<unknown>[] = [
    stripe.refunds.create({ ...REFUND, amount: 101 }),
    stripe.refunds.create({ ...REFUND, charge: "ch_2" }),
    stripe.refunds.create({ charge: "ch_1" }),
    stripe.refunds.create({ ...REFUND, payment_intent: "pi_1" }),
    stripe.refunds.create({ ...REFUND, reverse_transfer: true }),
    stripe.customers.create({ email: "ada@example.com" }),
    stripe.customers.list(),
    stripe.refunds.list(),
    stripe.payouts.create({ amount: 100, currency: "eur" }),
  ];
  const refusals = await Promise.all(others.map(refusalOf));
  expect(new Set(refusals)).toEqual(new Set(["PERMISSION_DENIED", "SCOPE_DENIED"]));
  expect(stage.requests()).toEqual([]);
  expect((await stripe.refunds.create(REFUND)).object).toBe("refund");
  expect(await refusalOf(stripe.refunds.create(REFUND))).toBe("USES_EXHAUSTED");
  expect(stage.requests()).toHaveLength(1);
});

test("attack 65: an idempotency key buys no second refund of a permission", async () => {
  const { token } = await permission();
  const stripe = client(token);
  const options = { idempotencyKey: "refund-of-ch_1" };
  await stripe.refunds.create(REFUND, options);
  expect(await refusalOf(stripe.refunds.create(REFUND, options))).toBe("USES_EXHAUSTED");
});

const FORM = ["Content-Type: application/x-www-form-urlencoded"];
const LENGTHS = ["charge=ch_1&amount=100", "charge=ch_1&amount=100&amount=9999"];

test.each([
  ["a body that is longer than it says", [...FORM, `Content-Length: ${LENGTHS[0]?.length}`], LENGTHS[1]],
  ["two lengths", [...FORM, "Content-Length: 22", "Content-Length: 34"], LENGTHS[1]],
  ["two types", [...FORM, "Content-Type: application/json"], LENGTHS[0]],
  [
    "a type folded over two lines",
    ["Content-Type: application/json,", " application/x-www-form-urlencoded"],
    LENGTHS[0],
  ],
  ["a compressed body", [...FORM, "Content-Encoding: gzip"], LENGTHS[0]],
  ["a charset", ["Content-Type: application/x-www-form-urlencoded; charset=utf-7"], LENGTHS[0]],
  [
    "a chunk that says it is more",
    [...FORM, "Transfer-Encoding: chunked"],
    `22\r\n${LENGTHS[1]}\r\n0\r\n\r\n`,
  ],
])(
  "attack 75: over a raw socket, %s brings no more than was permitted to the provider",
  async (_, headers, body) => {
    const { token } = await permission();
    const lines = [
      "POST /proxy/stripe/v1/refunds HTTP/1.1",
      "Host: 127.0.0.1",
      `Authorization: Bearer ${token}`,
      ...headers,
    ];
    const length = headers.some((line) => /^(content-length|transfer-encoding)/i.test(line))
      ? []
      : [`Content-Length: ${body?.length}`];
    const bytes = `${[...lines, ...length].join("\r\n")}\r\n\r\n${body}`;
    await sendRaw({ port: Number(new URL(stage.url).port), bytes }).catch(() => null);
    // Nothing, or exactly what was permitted.
    const arrived = stage.requests().map((request) => request.body.toString());
    expect(arrived.filter((each) => each !== LENGTHS[0])).toEqual([]);
  },
);

test("attack 63: 50 calls at the same time on a permission with 5 uses are 5 refunds", async () => {
  const { id, token } = await permission({ max_uses: 5 });
  const stripe = client(token);
  const all = await Promise.all(Array.from({ length: 50 }, () => refusalOf(stripe.refunds.create(REFUND))));
  expect(all.filter((refusal) => refusal === "none")).toHaveLength(5);
  expect(stage.requests()).toHaveLength(5);
  const { status, uses_left } = await agent.must("GET", `/v1/permissions/${id}`);
  expect([status, uses_left]).toEqual(["used", null]);
});
