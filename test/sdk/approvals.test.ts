import OpenAI from "openai";
import Stripe from "stripe";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { header } from "../../local/upstream.ts";
import { type Approver, changed, startPeople } from "../support/approver.ts";
import { newCredential, type Stage, setStage } from "../support/upstreams/stage.ts";
import { stripeEmulation } from "../support/upstreams/stripe.ts";

const credential = newCredential("sk_live_");
let stage: Stage;
let people: Awaited<ReturnType<typeof startPeople>>;
let ada: Approver;

beforeAll(async () => {
  stage = await setStage({
    credential,
    place: { header: "authorization", value: `Bearer ${credential}` },
    connections: { stripe: { provider: "stripe", emulation: stripeEmulation(credential), ownHost: true } },
  });
  people = await startPeople(stage.tenant);
  ada = await people.person("admin");
  await changed(stage.tenant.admin, "POST", "/v1/policies", {
    ...{ name: "refunds", effect: "require_approval", connections: ["stripe"] },
    condition: 'request.method == "POST" && request.path == "/v1/refunds"',
    message: "Somebody from finance looks at refunds.",
  });
});
afterEach(() => stage.expectSealed());
afterAll(async () => {
  await people?.stop();
  await stage?.close();
});

/** stripe-node as an agent sets it up, with the retries that it has by default. */
async function agentClient() {
  const { token } = await stage.tenant.issue(["connections:call:stripe"]);
  const port = stage.ports["stripe"] ?? 0;
  return new Stripe(token, { host: "127.0.0.1", port, protocol: "http", telemetry: true });
}

async function refusalOf(call: Promise<unknown>): Promise<Stripe.errors.StripePermissionError> {
  const error: unknown = await call.then(
    () => new Error("it went through"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof Stripe.errors.StripePermissionError) return error;
  throw new Error("no permission error", { cause: error });
}

/** The approval's id, where an SDK's user finds it: in the error itself, and in a header. */
function approvalOf(error: Stripe.errors.StripePermissionError): string {
  const raw = error.raw as { readonly code: string; readonly approval_id: string };
  expect(raw.code).toBe("APPROVAL_REQUIRED");
  expect(error.headers?.["x-valetkey-approval"]).toBe(raw.approval_id);
  return raw.approval_id;
}

const REFUND = { charge: "ch_1", amount: 1250, metadata: { ticket: "ä&=1" } } as const;

test("attack 75: a refund waits for a person, goes through byte-identical once, and with one byte changed does not", async () => {
  const stripe = await agentClient();
  const error = await refusalOf(stripe.refunds.create(REFUND));
  expect(error.message).toBe("A person has to approve this call before it is made.");
  const approvalId = approvalOf(error);
  expect(stage.requests()).toEqual([]);

  const { body: seen } = await ada.call("GET", `/v1/approvals/${approvalId}`);
  expect(seen.shown.title).toBe("Refund 1250 (in the currency's smallest unit) of ch_1");
  const { text, sha256 } = seen.shown.body;
  await ada.approve(approvalId);

  const larger = await refusalOf(stripe.refunds.create({ ...REFUND, amount: 1251 }));
  expect(approvalOf(larger)).not.toBe(approvalId);
  const other = await refusalOf(stripe.refunds.create(REFUND, { stripeAccount: "acct_1032D82eZvKYlo2C" }));
  expect(approvalOf(other)).not.toBe(approvalId);
  expect(stage.requests()).toEqual([]);

  // Another attempt of the SDK's, with another idempotency key: the same call.
  const refund = await stripe.refunds.create(REFUND);
  expect(refund).toMatchObject({ object: "refund", amount: 1250, charge: "ch_1" });
  expect(refund.lastResponse.headers["x-valetkey-approval"]).toBe(approvalId);
  const [arrived, ...more] = stage.requests();
  expect(more).toEqual([]);
  expect(arrived?.body.toString()).toBe(text);
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(arrived?.body ?? []));
  expect(Buffer.from(digest).toString("hex")).toBe(sha256);
  expect(arrived && header(arrived, "idempotency-key")).toMatch(/^stripe-node-retry-/);

  expect(approvalOf(await refusalOf(stripe.refunds.create(REFUND)))).not.toBe(approvalId);
  expect(stage.requests()).toHaveLength(1);
});

test("SDKs that repeat refusals by themselves do not repeat these", async () => {
  const { token, tokenId } = await stage.tenant.issue(["connections:call:stripe"]);
  let attempts = 0;
  const counted: typeof fetch = (...asked) => {
    attempts++;
    return fetch(...asked);
  };
  const port = stage.ports["stripe"] ?? 0;
  const stripe = new Stripe(token, {
    ...{ host: "127.0.0.1", port, protocol: "http", maxNetworkRetries: 3 },
    httpClient: Stripe.createFetchHttpClient(counted),
  });
  await refusalOf(stripe.refunds.create({ charge: "ch_2" }));
  expect(attempts).toBe(1);
  const baseURL = `${stage.url}/proxy/stripe/v1`;
  const openai = new OpenAI({ apiKey: token, baseURL, maxRetries: 3, fetch: counted });
  await expect(openai.post("/refunds", { body: { charge: "ch_3" } })).rejects.toMatchObject({
    status: 403,
    error: { code: "APPROVAL_REQUIRED", approval_id: expect.stringMatching(/^apr_/) },
  });
  expect(attempts).toBe(2);
  expect(await stage.tenant.uses(tokenId)).toBe(0);
});

test("held open, a call returns what the provider answers once a person has approved", async () => {
  const { token } = await stage.tenant.issue(["connections:call:stripe"]);
  const send = (prefer: string) =>
    fetch(`${stage.url}/proxy/stripe/v1/refunds`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "x-valetkey-prefer": prefer },
      body: new URLSearchParams({ charge: "ch_held" }),
    });
  const accepted = await send("respond-async");
  expect(accepted.status).toBe(202);
  const { approval_id: approvalId, status_url: statusUrl } = (await accepted.json()) as {
    approval_id: string;
    status_url: string;
  };
  const held = send("wait=30");
  await ada.approve(approvalId);
  const passed = await held;
  expect(passed.status).toBe(200);
  expect(await passed.json()).toMatchObject({ object: "refund", charge: "ch_held" });
  const state = await stage.tenant.as(token).call("GET", statusUrl);
  expect(state.body.status).toBe("consumed");
});
