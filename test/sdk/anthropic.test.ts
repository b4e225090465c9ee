import { createHash, randomBytes } from "node:crypto";
import Anthropic, { toFile } from "@anthropic-ai/sdk";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { header } from "../../local/upstream.ts";
import { anthropicEmulation, anthropicError, MODELS } from "../support/upstreams/anthropic.ts";
import { masked, newCredential, type Stage, setStage } from "../support/upstreams/stage.ts";

const credential = newCredential("sk-ant-api03-");
const api = anthropicEmulation(credential);
let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    credential,
    place: { header: "x-api-key", value: credential },
    connections: { anthropic: { provider: "anthropic", emulation: api } },
  });
});
afterEach(() => stage.expectSealed());
afterAll(() => stage.close());

const model = "claude-opus-4-6";
const hello = { model, max_tokens: 64, messages: [{ role: "user" as const, content: "hello" }] };
const answer = `You said hello. Your header is ${masked(credential)}.`;

/** The SDK as an agent sets it up: another base URL, the scoped token for a key. */
async function agentClient(options: { maxRetries?: number; asBearer?: boolean } = {}) {
  const { token, tokenId } = await stage.tenant.issue(["connections:call:anthropic"]);
  const anthropic = new Anthropic({
    baseURL: `${stage.url}/proxy/anthropic`,
    maxRetries: options.maxRetries ?? 0,
    ...(options.asBearer === true ? { apiKey: null, authToken: token } : { apiKey: token, authToken: null }),
  });
  return { anthropic, uses: () => stage.tenant.uses(tokenId) };
}

test("a message is created, with the version header that the SDK was told to send", async () => {
  const { anthropic, uses } = await agentClient();
  const message = await anthropic.messages.create(hello, { headers: { "anthropic-version": "2023-01-01" } });
  expect(message.content).toMatchObject([{ type: "text", text: answer }]);
  expect(message.stop_reason).toBe("end_turn");
  const [request] = stage.requests();
  expect(request && header(request, "anthropic-version")).toBe("2023-01-01");
  expect(await uses()).toBe(1);
});

test("a token given as authToken (a bearer token) works too, and the credential still goes where keys belong", async () => {
  const { anthropic } = await agentClient({ asBearer: true });
  const message = await anthropic.messages.create(hello);
  expect(message.content).toMatchObject([{ text: answer }]);
  const [request] = stage.requests();
  expect(request && header(request, "authorization")).toBeUndefined();
});

test("a message streams: its first event is there before the upstream sends the second", async () => {
  const { anthropic } = await agentClient();
  const release = api.pause.hold();
  const types: string[] = [];
  const stream = anthropic.messages.stream(hello);
  stream.on("streamEvent", ({ type }) => {
    types.push(type);
    release();
  });
  const message = await stream.finalMessage();
  expect(types.at(0)).toBe("message_start");
  expect(types.at(-1)).toBe("message_stop");
  expect(types.filter((type) => type === "content_block_delta")).toHaveLength(5);
  expect(message.content).toMatchObject([{ type: "text", text: answer }]);
});

test("models are listed page by page, one use of the token a page", async () => {
  const { anthropic, uses } = await agentClient();
  const listed = [];
  for await (const { id, display_name } of anthropic.models.list({ limit: 2 })) {
    expect(display_name).toBe(masked(credential));
    listed.push(id);
  }
  expect(listed).toEqual(MODELS);
  expect(await uses()).toBe(3);
});

test("a file is uploaded byte for byte and downloaded again", async () => {
  const { anthropic } = await agentClient();
  const bytes = randomBytes(500_000);
  const uploaded = await anthropic.files.upload({
    file: await toFile(bytes, "report.pdf", { type: "application/pdf" }),
  });
  expect(uploaded).toMatchObject({
    filename: "report.pdf",
    mime_type: "application/pdf",
    size_bytes: bytes.length,
  });
  expect(api.digests.get(uploaded.id)).toBe(createHash("sha256").update(bytes).digest("hex"));
  const download = await anthropic.files.download(uploaded.id);
  expect(Buffer.from(await download.arrayBuffer()).equals(bytes)).toBe(true);
});

test("the SDK retries after 529 and 429, each try is a use of the token", async () => {
  const { anthropic, uses } = await agentClient({ maxRetries: 2 });
  api.faults.push(
    {
      status: 529,
      headers: { "retry-after-ms": "20" },
      body: anthropicError("overloaded_error", "Overloaded"),
    },
    {
      status: 429,
      headers: { "x-should-retry": "true", "retry-after-ms": "20" },
      body: anthropicError("rate_limit_error", "Slow"),
    },
  );
  const message = await anthropic.messages.create(hello);
  expect(message.content).toMatchObject([{ text: answer }]);
  expect(stage.requests().map((request) => header(request, "x-stainless-retry-count"))).toEqual([
    "0",
    "1",
    "2",
  ]);
  expect(await uses()).toBe(3);
});

test("a stream refused by an overloaded upstream is the SDK's error, with the key masked in it", async () => {
  const { anthropic } = await agentClient();
  api.faults.push({ status: 529, body: anthropicError("overloaded_error", `Overloaded, ${credential}`) });
  const error: unknown = await anthropic.messages
    .stream(hello)
    .finalMessage()
    .catch((thrown: unknown) => thrown);
  if (!(error instanceof Anthropic.APIError)) throw new Error("no APIError");
  expect(error.status).toBe(529);
  expect(error.error).toMatchObject({ error: { message: `Overloaded, ${masked(credential)}` } });
});

test("a bad request is the SDK's BadRequestError with the provider's words", async () => {
  const { anthropic } = await agentClient();
  api.faults.push({ status: 400, body: anthropicError("invalid_request_error", "max_tokens: required") });
  const error: unknown = await anthropic.messages.create(hello).catch((thrown: unknown) => thrown);
  if (!(error instanceof Anthropic.BadRequestError)) throw new Error("no BadRequestError");
  expect(error.error).toMatchObject({
    error: { type: "invalid_request_error", message: "max_tokens: required" },
  });
});
