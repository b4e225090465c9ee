import { createHash, randomBytes } from "node:crypto";
import { ApiError, GoogleGenAI, type LiveServerMessage, Modality } from "@google/genai";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { GEMINI_MODELS, geminiEmulation, geminiError } from "../support/upstreams/gemini.ts";
import { masked, newCredential, type Stage, setStage } from "../support/upstreams/stage.ts";

const credential = newCredential("AIzaSy");
const api = geminiEmulation(credential);
const live = geminiEmulation(credential);
let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    credential,
    place: { header: "x-goog-api-key", value: credential },
    connections: {
      gemini: { provider: "gemini", emulation: api },
      "gemini-live": { provider: "gemini", emulation: live, websockets: true },
    },
  });
});
afterEach(() => stage.expectSealed());
afterAll(() => stage.close());

const hello = { model: "gemini-2.5-flash", contents: "hello" };
const answer = `You said hello. Your header is ${masked(credential)}.`;

/** The SDK as an agent sets it up: another base URL, the scoped token for a key. */
async function agentClient(options: { attempts?: number; slug?: string } = {}) {
  const slug = options.slug ?? "gemini";
  const { token, tokenId } = await stage.tenant.issue([`connections:call:${slug}`]);
  const { attempts } = options;
  const ai = new GoogleGenAI({
    apiKey: token,
    httpOptions: {
      baseUrl: `${stage.url}/proxy/${slug}`,
      ...(attempts === undefined ? {} : { retryOptions: { attempts, initialDelay: 0.02, jitter: 0 } }),
    },
  });
  return { ai, token, uses: () => stage.tenant.uses(tokenId) };
}

test("content is generated, and what it repeats of the key is masked", async () => {
  const { ai, uses } = await agentClient();
  const response = await ai.models.generateContent(hello);
  expect(response.text).toBe(answer);
  expect(response.usageMetadata?.totalTokenCount).toBe(13);
  expect(await uses()).toBe(1);
});

test("content streams: its first chunk is there before the upstream sends the second", async () => {
  const { ai } = await agentClient();
  const release = api.pause.hold();
  const stream = await ai.models.generateContentStream(hello);
  const first = await stream.next();
  expect(first.value?.text).toBe("You said ");
  release();
  let text = first.value?.text ?? "";
  for await (const chunk of stream) {
    expect(chunk.responseId).toBe(masked(credential));
    text += chunk.text ?? "";
  }
  expect(text).toBe(answer);
});

test("models are listed page by page, one use of the token a page", async () => {
  const { ai, uses } = await agentClient();
  const listed = [];
  for await (const model of await ai.models.list({ config: { pageSize: 2 } })) {
    expect(model.displayName).toBe(masked(credential));
    listed.push(model.name);
  }
  expect(listed).toEqual(GEMINI_MODELS.map((name) => `models/${name}`));
  expect(await uses()).toBe(3);
});

test("attack 92: a resumable upload goes on at the gateway, byte for byte, though the upstream named itself", async () => {
  const { ai, uses } = await agentClient();
  // Two of the SDK's chunks of 8 MiB.
  const bytes = randomBytes(9 * 1024 * 1024);
  const blob = new Blob([bytes], { type: "video/mp4" });
  const file = await ai.files.upload({ file: blob, config: { displayName: "clip" } });
  expect(file).toMatchObject({ displayName: "clip", mimeType: "video/mp4", sizeBytes: String(bytes.length) });
  expect(api.digests.get(file.name ?? "")).toBe(createHash("sha256").update(bytes).digest("hex"));
  // Had the SDK gone where the upstream said, the upstream would have seen the agent's token: expectSealed.
  expect(stage.requests().map(({ url }) => new URL(url, "http://upstream").pathname)).toEqual(
    Array.from({ length: 3 }, () => "/upload/v1beta/files"),
  );
  expect(await uses()).toBe(3);
  expect((await ai.files.get({ name: file.name ?? "" })).state).toBe("ACTIVE");
});

test("attack 92: every upload URL in a header is the gateway's, query and all", async () => {
  const { token } = await agentClient();
  const response = await fetch(`${stage.url}/proxy/gemini/upload/v1beta/files`, {
    method: "POST",
    headers: {
      "x-goog-api-key": token,
      "content-type": "application/json",
      "x-goog-upload-protocol": "resumable",
      "x-goog-upload-command": "start",
      "x-goog-upload-header-content-type": "text/plain",
    },
    body: "{}",
  });
  const target = response.headers.get("x-goog-upload-url") ?? "";
  expect(target).toMatch(
    /\/proxy\/gemini\/upload\/v1beta\/files\?upload_id=[0-9a-f]+&upload_protocol=resumable$/,
  );
  expect(target.startsWith(`${stage.url}/`)).toBe(true);
  expect(response.headers.get("x-goog-upload-control-url")).toBe(target);
});

test("the SDK retries after 429 and 503, each try is a use of the token", async () => {
  const { ai, uses } = await agentClient({ attempts: 3 });
  api.faults.push(
    { status: 429, body: geminiError(429, "RESOURCE_EXHAUSTED", "quota") },
    { status: 503, body: geminiError(503, "UNAVAILABLE", "overloaded") },
  );
  expect((await ai.models.generateContent(hello)).text).toBe(answer);
  expect(await uses()).toBe(3);
});

test("without retries a 429 is the SDK's ApiError with the provider's words, the key in them masked", async () => {
  const { ai } = await agentClient();
  api.faults.push({ status: 429, body: geminiError(429, "RESOURCE_EXHAUSTED", `quota of ${credential}`) });
  const error: unknown = await ai.models.generateContent(hello).catch((thrown: unknown) => thrown);
  if (!(error instanceof ApiError)) throw new Error("no ApiError");
  expect(error.status).toBe(429);
  expect(JSON.parse(error.message).error).toMatchObject({
    status: "RESOURCE_EXHAUSTED",
    message: `quota of ${masked(credential)}`,
  });
});

test("a key in the query, as curl examples send it, is taken off and never reaches the upstream", async () => {
  const { token } = await agentClient();
  const response = await fetch(`${stage.url}/proxy/gemini/v1beta/models?pageSize=1&key=${token}&pageToken=1`);
  expect(await response.json()).toMatchObject({ models: [{ name: `models/${GEMINI_MODELS[1]}` }] });
  expect(stage.requests().map(({ url }) => url)).toEqual(["/v1beta/models?pageSize=1&pageToken=1"]);
});

test("a live session runs over a WebSocket where the connection lets them through", async () => {
  const { ai, uses } = await agentClient({ slug: "gemini-live" });
  const heard = Promise.withResolvers<string | undefined>();
  const session = await ai.live.connect({
    model: "gemini-2.5-flash",
    config: { responseModalities: [Modality.TEXT] },
    callbacks: {
      onmessage: (message: LiveServerMessage) => {
        if (message.serverContent !== undefined) heard.resolve(message.text);
      },
      onerror: (event) => heard.reject(event.error),
    },
  });
  session.sendClientContent({ turns: [{ role: "user", parts: [{ text: "hello" }] }] });
  expect(await heard.promise).toBe("You said hello.");
  session.close();
  const [handshake] = live.handshakes;
  expect(handshake?.headers["x-goog-api-key"]).toBe(credential);
  expect(`${handshake?.url}\n${handshake?.rawHeaders.join("\n")}`).not.toMatch(/vkt_|key=/);
  expect(await uses()).toBe(1);
});
