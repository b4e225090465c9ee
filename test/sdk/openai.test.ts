import { createHash, randomBytes } from "node:crypto";
import OpenAI, { toFile } from "openai";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { header } from "../../local/upstream.ts";
import { openAiEmulation, openAiError, REQUEST_ID } from "../support/upstreams/openai.ts";
import { masked, newCredential, type Stage, setStage } from "../support/upstreams/stage.ts";

const credential = newCredential("sk-proj-");
const api = openAiEmulation(credential);
let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    credential,
    place: { header: "authorization", value: `Bearer ${credential}` },
    connections: { openai: { provider: "openai", emulation: api } },
  });
});
afterEach(() => stage.expectSealed());
afterAll(() => stage.close());

const model = "gpt-4.1";
const answer = `You said hello. Your header is Bearer ${masked(credential)}.`;

/** openai-node as an agent sets it up: another base URL, the scoped token for a key. */
async function agentClient(maxRetries = 0) {
  const { token, tokenId } = await stage.tenant.issue(["connections:call:openai"]);
  const baseURL = `${stage.url}/proxy/openai/v1`;
  return {
    openai: new OpenAI({ apiKey: token, baseURL, maxRetries }),
    uses: () => stage.tenant.uses(tokenId),
  };
}

test("a chat completion is made, and what it repeats of the key is masked", async () => {
  const { openai, uses } = await agentClient();
  const completion = await openai.chat.completions.create({
    model,
    messages: [{ role: "user", content: "hello" }],
  });
  expect(completion.choices[0]?.message.content).toBe(answer);
  expect(completion.usage?.total_tokens).toBe(21);
  expect(await uses()).toBe(1);
});

test("a chat completion streams: its first chunk is there before the upstream sends the second", async () => {
  const { openai } = await agentClient();
  const release = api.pause.hold();
  const stream = await openai.chat.completions.create({
    model,
    stream: true,
    messages: [{ role: "user", content: "hello" }],
  });
  const chunks = stream[Symbol.asyncIterator]();
  const first = await chunks.next();
  expect(first.value.choices[0]?.delta).toEqual({ role: "assistant", content: "" });
  release();
  let text = "";
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
    text += next.value.choices[0]?.delta.content ?? "";
  }
  expect(text).toBe(answer);
});

test("the responses API answers whole and as a stream of typed events", async () => {
  const { openai, uses } = await agentClient();
  const whole = await openai.responses.create({ model, input: "hello" });
  expect(whole.output_text).toBe(answer);

  const release = api.pause.hold();
  const types: string[] = [];
  const stream = openai.responses.stream({ model, input: "hello" });
  stream.on("event", (event) => {
    types.push(event.type);
    release();
  });
  const final = await stream.finalResponse();
  expect(types[0]).toBe("response.created");
  expect(types.filter((type) => type === "response.output_text.delta")).toHaveLength(5);
  expect(final.output_text).toBe(answer);
  expect(await uses()).toBe(2);
});

test("an answer that the upstream sends in br is searched and comes out plain", async () => {
  const { openai } = await agentClient();
  const { data, response } = await openai.models.retrieve("gpt-4.1").withResponse();
  expect(response.headers.get("x-sent-encoding")).toBe("br");
  expect(response.headers.get("content-encoding")).toBeNull();
  expect(data).toMatchObject({ id: "gpt-4.1", received_credential: `Bearer ${masked(credential)}` });
});

test("the provider's request id, which its support asks for, comes through beside the gateway's", async () => {
  const { openai } = await agentClient();
  const { request_id, response } = await openai.models.retrieve("gpt-4.1").withResponse();
  expect(request_id).toBe(REQUEST_ID);
  expect(response.headers.get("x-valetkey-request-id")).toMatch(/^req_/);
});

test("models are listed", async () => {
  const { openai } = await agentClient();
  const models = [];
  for await (const listed of openai.models.list()) models.push([listed.id, listed.owned_by]);
  const owner = `Bearer ${masked(credential)}`;
  expect(models).toEqual([
    ["gpt-4.1", owner],
    ["gpt-4o-mini", owner],
  ]);
});

test("files are uploaded byte for byte, listed page by page and downloaded again", async () => {
  const { openai, uses } = await agentClient();
  const contents = [randomBytes(400_000), randomBytes(10), randomBytes(1_000)];
  const ids = [];
  for (const [index, bytes] of contents.entries()) {
    const file = await toFile(bytes, `part-${index}.jsonl`);
    const uploaded = await openai.files.create({ file, purpose: "batch" });
    expect(uploaded).toMatchObject({
      bytes: bytes.length,
      filename: `part-${index}.jsonl`,
      purpose: "batch",
    });
    expect(api.digests.get(uploaded.id)).toBe(createHash("sha256").update(bytes).digest("hex"));
    ids.push(uploaded.id);
  }
  const listed = [];
  for await (const file of openai.files.list({ limit: 2 })) listed.push(file.id);
  expect(listed).toEqual(ids);

  const download = await openai.files.content(ids[0] ?? "");
  expect(Buffer.from(await download.arrayBuffer()).equals(contents[0] ?? Buffer.alloc(0))).toBe(true);
  expect(await uses()).toBe(3 + 2 + 1);
});

test("a wrong key upstream is the SDK's AuthenticationError, without the key that it names", async () => {
  const { openai } = await agentClient(2);
  api.faults.push({
    status: 401,
    body: openAiError(`Incorrect API key provided: ${credential}.`, "invalid_api_key"),
  });
  const error: unknown = await openai.models.list().catch((thrown: unknown) => thrown);
  if (!(error instanceof OpenAI.AuthenticationError)) throw new Error("no AuthenticationError");
  expect(error.code).toBe("invalid_api_key");
  expect(error.message).toContain(masked(credential));
  expect(error.headers.get("x-valetkey-error")).toBeNull();
  expect(stage.requests()).toHaveLength(1);
});

test.each([429, 500])(
  "the SDK retries after two answers of %i, each try is a use of the token",
  async (status) => {
    const { openai, uses } = await agentClient(2);
    const fault = {
      status,
      headers: { "retry-after-ms": "20" },
      body: openAiError("not now", null, "requests"),
    };
    api.faults.push(fault, fault);
    const startedAt = performance.now();
    const response = await openai.responses.create({ model, input: "hello" });
    expect(response.output_text).toBe(answer);
    // The SDK's own back-off would be half a second: the provider's hint has come through.
    expect(performance.now() - startedAt).toBeLessThan(450);
    expect(stage.requests().map((request) => header(request, "x-stainless-retry-count"))).toEqual([
      "0",
      "1",
      "2",
    ]);
    expect(await uses()).toBe(3);
  },
);

test("a token with one use makes one call: the second is the gateway's refusal and never leaves", async () => {
  const { token } = await stage.tenant.issue(["connections:call:openai"], { max_uses: 1 });
  const openai = new OpenAI({ apiKey: token, baseURL: `${stage.url}/proxy/openai/v1`, maxRetries: 2 });
  await openai.models.list();
  const error: unknown = await openai.models.list().catch((thrown: unknown) => thrown);
  if (!(error instanceof OpenAI.PermissionDeniedError)) throw new Error("no PermissionDeniedError");
  expect(error.headers.get("x-valetkey-error")).toBe("USES_EXHAUSTED");
  expect(error.code).toBe("USES_EXHAUSTED");
  expect(stage.requests()).toHaveLength(1);
});

test("an answer that the gateway cannot pass on is not asked for again: the call was carried out", async () => {
  const { openai, uses } = await agentClient(2);
  api.faults.push({ status: 200, headers: { "content-encoding": "zstd" }, body: {} });
  const error: unknown = await openai.responses
    .create({ model, input: "hello" })
    .catch((thrown: unknown) => thrown);
  if (!(error instanceof OpenAI.InternalServerError)) throw new Error("no InternalServerError");
  expect(error.status).toBe(502);
  expect(error.headers.get("x-valetkey-error")).toBe("UPSTREAM_REFUSED");
  expect(stage.requests()).toHaveLength(1);
  expect(await uses()).toBe(1);
  // Nothing of that answer came through, so it has no echo to be found.
  stage.upstreams["openai"]?.requests.splice(0);
});
