import { createHash, randomBytes } from "node:crypto";
import Stripe from "stripe";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { header } from "../../local/upstream.ts";
import { masked, newCredential, type Stage, setStage } from "../support/upstreams/stage.ts";
import { failure, stripeEmulation } from "../support/upstreams/stripe.ts";

const credential = newCredential("sk_live_");
const api = stripeEmulation(credential);
const files = stripeEmulation(credential);
let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    credential,
    place: { header: "authorization", value: `Bearer ${credential}` },
    connections: {
      stripe: { provider: "stripe", emulation: api, ownHost: true },
      "stripe-files": { provider: "stripe", emulation: files, ownHost: true },
    },
  });
});
afterEach(() => stage.expectSealed());
afterAll(() => stage.close());

/** stripe-node as an agent sets it up: host and port of the gateway, the scoped token for a key. */
async function agentClient(slug = "stripe", options: Record<string, number> = {}) {
  const { token, tokenId } = await stage.tenant.issue([`connections:call:${slug}`]);
  const port = stage.ports[slug] ?? 0;
  const stripe = new Stripe(token, {
    host: "127.0.0.1",
    port,
    protocol: "http",
    maxNetworkRetries: 0,
    ...options,
  });
  return { stripe, uses: () => stage.tenant.uses(tokenId) };
}

test("a customer is created, its idempotency key passes unchanged, a replay is the provider's", async () => {
  const { stripe, uses } = await agentClient();
  const params = { email: "ada@example.com", metadata: { order: "6735/ä&=" } };
  const idempotencyKey = "order 6735 / attempt=1";
  const first = await stripe.customers.create(params, { idempotencyKey });
  const second = await stripe.customers.create(params, { idempotencyKey });

  expect(first).toMatchObject({ object: "customer", ...params });
  expect(second.id).toBe(first.id);
  expect(first.lastResponse.idempotencyKey).toBe(idempotencyKey);
  expect(second.lastResponse.headers["idempotent-replayed"]).toBe("true");
  expect(stage.requests().map((request) => header(request, "idempotency-key"))).toEqual([
    idempotencyKey,
    idempotencyKey,
  ]);
  expect(await uses()).toBe(2);
});

test("what the provider tells of the credential reaches the SDK masked, in headers and in fields", async () => {
  const { stripe } = await agentClient();
  const customer = await stripe.customers.create({ email: "eve@example.com" });
  expect(customer.description).toBe(`made with Bearer ${masked(credential)}`);
  expect(customer.lastResponse.headers["x-received-credential"]).toBe(`Bearer ${masked(credential)}`);
});

test("the SDK's own headers arrive as it sent them", async () => {
  const { stripe } = await agentClient();
  await stripe.customers.list({ limit: 1 }, { stripeAccount: "acct_1032D82eZvKYlo2C" });
  const [request] = stage.requests();
  expect(request && header(request, "stripe-account")).toBe("acct_1032D82eZvKYlo2C");
  expect(request && header(request, "stripe-version")).toBe(Stripe.API_VERSION);
  expect(request && header(request, "user-agent")).toMatch(/^Stripe\/v1 NodeBindings\//);
  expect(request && header(request, "x-stripe-client-user-agent")).toContain('"lang":"node"');
});

test("auto-pagination walks all pages, one use of the token a page", async () => {
  const { stripe, uses } = await agentClient();
  const made = [];
  for (let n = 0; n < 5; n += 1) made.push((await stripe.customers.create({ email: `${n}@example.com` })).id);
  const seen = [];
  for await (const customer of stripe.customers.list({ limit: 2 })) {
    seen.push(customer.id);
    if (seen.length === made.length) break;
  }
  expect(seen).toEqual(made.toReversed());
  expect(await uses()).toBe(5 + 3);
});

test("a declined card is the SDK's StripeCardError with all its details", async () => {
  const { stripe } = await agentClient();
  const declined = stripe.paymentIntents.create({
    amount: 2000,
    currency: "eur",
    payment_method: "pm_card_chargeDeclined",
    confirm: true,
  });
  const error: unknown = await declined.catch((thrown: unknown) => thrown);
  if (!(error instanceof Stripe.errors.StripeCardError)) throw new Error("no StripeCardError");
  expect(error).toMatchObject({
    statusCode: 402,
    code: "card_declined",
    decline_code: "generic_decline",
    message: "Your card was declined.",
  });
  expect(error.requestId).toMatch(/^req_/);
  expect(error.payment_intent).toMatchObject({ amount: 2000, status: "requires_payment_method" });
});

test("the SDK retries after 500 and 429 with one idempotency key, and each try is a use of the token", async () => {
  const { stripe, uses } = await agentClient("stripe", { maxNetworkRetries: 2 });
  const headers = { "stripe-should-retry": "true" };
  api.faults.push(
    { status: 500, headers, body: failure("api_error", `failed for ${credential}`) },
    { status: 429, headers, body: failure("rate_limit_error", "slow down") },
  );
  const intent = await stripe.paymentIntents.create({ amount: 999, currency: "usd" });
  expect(intent).toMatchObject({ amount: 999, status: "succeeded" });
  const keys = stage.requests().map((request) => header(request, "idempotency-key"));
  expect(keys).toHaveLength(3);
  expect(new Set(keys).size).toBe(1);
  expect(keys[0]).toMatch(/^stripe-node-retry-/);
  expect(await uses()).toBe(3);
});

test("an error that repeats the key does not hand it to the agent", async () => {
  const { stripe } = await agentClient();
  api.faults.push({
    status: 401,
    body: failure("invalid_request_error", `Invalid API Key provided: ${credential}`),
  });
  const error: unknown = await stripe.customers.list().catch((thrown: unknown) => thrown);
  if (!(error instanceof Stripe.errors.StripeAuthenticationError)) throw new Error("no authentication error");
  expect(error.message).toBe(`Invalid API Key provided: ${masked(credential)}`);
});

test("a file arrives byte for byte at the files host", async () => {
  const { stripe } = await agentClient("stripe-files");
  const data = randomBytes(700_001);
  const file = await stripe.files.create({
    purpose: "dispute_evidence",
    file: { data, name: "evidence.bin", type: "application/octet-stream" },
  });
  expect(file).toMatchObject({ object: "file", size: data.length, filename: "evidence.bin" });
  expect(files.digests.get(file.id)).toBe(createHash("sha256").update(data).digest("hex"));
});

test("a PDF streams back byte for byte", async () => {
  const { stripe } = await agentClient("stripe-files");
  const stream = await stripe.quotes.pdf("qt_1");
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  expect(Buffer.concat(chunks).equals(files.pdf)).toBe(true);
});

test("a customer is deleted once; the second time is the provider's 404", async () => {
  const { stripe } = await agentClient();
  const { id } = await stripe.customers.create({});
  expect(await stripe.customers.del(id)).toMatchObject({ id, deleted: true });
  await expect(stripe.customers.del(id)).rejects.toMatchObject({ statusCode: 404, code: "resource_missing" });
});

test("a token as the Basic user, as Stripe's curl examples send keys, works; the credential still goes as a bearer token", async () => {
  const { token } = await stage.tenant.issue(["connections:call:stripe"]);
  const basic = Buffer.from(`${token}:`).toString("base64");
  const response = await fetch(`http://127.0.0.1:${stage.ports["stripe"]}/v1/customers?limit=1`, {
    headers: { authorization: `Basic ${basic}` },
  });
  expect(await response.json()).toMatchObject({ object: "list", url: "/v1/customers" });
});

test("a token for another connection is refused by the gateway before anything leaves", async () => {
  const { token } = await stage.tenant.issue(["connections:call:stripe-files"]);
  const stripe = new Stripe(token, {
    host: "127.0.0.1",
    port: stage.ports["stripe"] ?? 0,
    protocol: "http",
    maxNetworkRetries: 0,
  });
  const error: unknown = await stripe.customers.list().catch((thrown: unknown) => thrown);
  if (!(error instanceof Stripe.errors.StripePermissionError)) throw new Error("no permission error");
  expect(error.statusCode).toBe(403);
  expect(error.headers?.["x-valetkey-error"]).toBe("SCOPE_DENIED");
  expect(stage.requests()).toEqual([]);
});

test("an answer that the gateway cannot pass on is not asked for again: the payment was made", async () => {
  const { stripe, uses } = await agentClient("stripe", { maxNetworkRetries: 2 });
  api.faults.push({ status: 200, headers: { "content-encoding": "zstd" }, body: {} });
  const error: unknown = await stripe.paymentIntents
    .create({ amount: 999, currency: "usd" })
    .catch((thrown: unknown) => thrown);
  if (!(error instanceof Stripe.errors.StripeError)) throw new Error("no StripeError");
  expect(error.headers?.["x-valetkey-error"]).toBe("UPSTREAM_REFUSED");
  expect(stage.requests()).toHaveLength(1);
  expect(await uses()).toBe(1);
  // Nothing of that answer came through, so it has no echo to be found.
  stage.upstreams["stripe"]?.requests.splice(0);
});
