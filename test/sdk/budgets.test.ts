import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openAiEmulation } from "../support/upstreams/openai.ts";
import type { TestAgent } from "../support/tenant.ts";
import { newCredential, type Stage, setStage } from "../support/upstreams/stage.ts";

const credential = newCredential("sk-proj-");
const api = openAiEmulation(credential);
const PRICES = { input: "2.00 per 1M", cached_input: "0.50 per 1M", output: "8.00 per 1M" };

type Made = Awaited<ReturnType<typeof agentWith>>;

let stage: Stage;
/** Made before the first call, so that none has to wait until they hold. */
let roomy: readonly Made[];
let tight: Made;

beforeAll(async () => {
  stage = await setStage({
    credential,
    place: { header: "authorization", value: `Bearer ${credential}` },
    connections: { openai: { provider: "openai", emulation: api } },
  });
  roomy = await Promise.all(Array.from({ length: 5 }, () => agentWith("0.05")));
  tight = await agentWith("0.0101");
});
afterEach(() => stage.expectSealed());
afterAll(() => stage.close());

const model = "gpt-4.1-2025-04-14";
const ask = { model, messages: [{ role: "user" as const, content: "hello" }] };

/** An agent with a budget of its own: 9 tokens in and 12 out, of which each call here tells, cost 0.000114. */
async function agentWith(limit: string): Promise<{ readonly agent: TestAgent; readonly id: string }> {
  const agent = await stage.tenant.agent();
  const { id } = await stage.tenant.admin.must("POST", "/v1/budgets", {
    ...{ name: `of ${agent.id}`, scope: { agent: agent.id }, period: "total" },
    ...{ measure: "money", currency: "USD", limit },
    prices: [
      { methods: ["GET"], per_call: "0" },
      { connection: "openai", reserve: "0.01", response: { models: { "gpt-4.1*": PRICES } } },
    ],
  });
  return { agent, id };
}

async function withBudget(made: Made) {
  const { agent, id } = made;
  const token = await agent.token(["connections:call:openai"]);
  return {
    id,
    openai: new OpenAI({ apiKey: token, baseURL: `${stage.url}/proxy/openai/v1`, maxRetries: 2 }),
    state: () => stage.tenant.admin.must("GET", `/v1/budgets/${id}/state`),
  };
}

async function readAll(stream: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of stream) count++;
  return count;
}

test("a chat completion costs what its answer says, whole or streamed", async () => {
  const { openai, state } = await withBudget(roomy[0]!);
  await openai.chat.completions.create(ask);
  await expect.poll(state).toMatchObject({ used: "0.000114", reserved: "0.00", left: "0.049886" });
  await readAll(
    await openai.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } }),
  );
  await expect.poll(state).toMatchObject({ used: "0.000228", reserved: "0.00" });
});

test("a stream that does not tell what it came to costs what was reserved", async () => {
  const { openai, state } = await withBudget(roomy[1]!);
  await readAll(await openai.chat.completions.create({ ...ask, stream: true }));
  await expect.poll(state).toMatchObject({ used: "0.01", reserved: "0.00" });
});

test("the responses API tells it below `response`, cached tokens at their own price", async () => {
  const { openai, state } = await withBudget(roomy[2]!);
  await openai.responses.create({ model, input: "hello" });
  // 5 at 2.00, 4 at 0.50 and 12 at 8.00.
  await expect.poll(state).toMatchObject({ used: "0.000108", reserved: "0.00" });
  await readAll(await openai.responses.create({ model, input: "hello", stream: true }));
  await expect.poll(state).toMatchObject({ used: "0.000216", reserved: "0.00" });
});

test("a model without a price costs what was reserved; an error costs nothing", async () => {
  const { openai, state } = await withBudget(roomy[3]!);
  await openai.chat.completions.create({ ...ask, model: "o9" });
  await expect.poll(state).toMatchObject({ used: "0.01" });
  api.faults.push({ status: 404 });
  await expect(openai.chat.completions.create(ask)).rejects.toMatchObject({ status: 404 });
  await expect.poll(state).toMatchObject({ used: "0.01", reserved: "0.00" });
});

test("what does not fit any more is refused once, and says when it refills", async () => {
  const { openai, id, state } = await withBudget(tight);
  await openai.chat.completions.create(ask);
  await expect.poll(state).toMatchObject({ reserved: "0.00" });
  const before = stage.requests().length;
  const refused = openai.chat.completions.create(ask);
  await expect(refused).rejects.toMatchObject({ status: 429 });
  const error = await refused.catch((thrown: InstanceType<typeof OpenAI.APIError>) => thrown);
  expect(error).toBeInstanceOf(OpenAI.RateLimitError);
  expect((error as InstanceType<typeof OpenAI.APIError>).headers?.get("x-valetkey-error")).toBe(
    "BUDGET_EXCEEDED",
  );
  expect(stage.requests().length).toBe(before);
  expect(await state()).toMatchObject({ used: "0.000114", left: "0.009986", refills_at: null });
  // An editor can raise it.
  const headers = { prefer: "wait" };
  await stage.tenant.admin.call("PATCH", `/v1/budgets/${id}`, { body: { limit: "0.02" }, headers });
  await openai.chat.completions.create(ask);
});

test("calls under way hold what they reserve: five of a hundredth fit into 0.05, and no sixth", async () => {
  const { openai, state } = await withBudget(roomy[4]!);
  const release = api.pause.hold();
  const streams = await Promise.all(
    Array.from({ length: 5 }, () =>
      openai.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } }),
    ),
  );
  expect(await state()).toMatchObject({ used: "0.00", reserved: "0.05", left: "0.00" });
  await expect(openai.chat.completions.create(ask)).rejects.toMatchObject({ status: 429 });
  release();
  await Promise.all(streams.map(readAll));
  await expect.poll(state).toMatchObject({ used: "0.00057", reserved: "0.00" });
  await openai.chat.completions.create(ask);
});
