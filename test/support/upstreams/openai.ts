import { createHash, randomBytes } from "node:crypto";
import { bodyOf, type Emulation, emulate, events, type Exchange, json, part, Pause } from "./emulation.ts";

export interface OpenAiEmulation extends Emulation {
  /** What a stored file's bytes hash to, by the file's id. */
  digests: Map<string, string>;
}

/** OpenAI's API (platform.openai.com/docs/api-reference): chat completions, responses, models, files. */
export function openAiEmulation(credential: string): OpenAiEmulation {
  const pause = new Pause();
  const digests = new Map<string, string>();
  const files: { id: string; bytes: Buffer; [field: string]: unknown }[] = [];
  const created = 1_760_000_000;

  const chat = async (exchange: Exchange): Promise<void> => {
    const { model, messages, stream, stream_options: options } = bodyOf(exchange);
    const text = reply(messages.at(-1).content, exchange);
    const completion = { id: id("chatcmpl"), created, model, system_fingerprint: "fp_1" };
    const usage = { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 };
    if (stream !== true) {
      const message = { role: "assistant", content: text.join(""), refusal: null };
      json(exchange, 200, {
        ...completion,
        object: "chat.completion",
        choices: [{ index: 0, message, logprobs: null, finish_reason: "stop" }],
        usage,
      });
      return;
    }
    const chunk = (delta: object, finish: string | null = null) =>
      data({
        ...completion,
        object: "chat.completion.chunk",
        choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
        received_credential: exchange.echo,
      });
    await events(exchange, pause, [
      chunk({ role: "assistant", content: "" }),
      ...text.map((content) => chunk({ content })),
      chunk({}, "stop"),
      ...(options?.include_usage === true
        ? [data({ ...completion, object: "chat.completion.chunk", choices: [], usage })]
        : []),
      "data: [DONE]",
    ]);
  };

  const respond = async (exchange: Exchange): Promise<void> => {
    const { model, input, stream } = bodyOf(exchange);
    const text = reply(input, exchange);
    const responseId = id("resp");
    const itemId = id("msg");
    const response = (status: string, output: object[]) => ({
      id: responseId,
      object: "response",
      created_at: created,
      status,
      model,
      output,
      ...(status === "completed"
        ? { usage: { input_tokens: 9, output_tokens: 12, input_tokens_details: { cached_tokens: 4 } } }
        : {}),
      received_credential: exchange.echo,
    });
    const content = { type: "output_text", text: text.join(""), annotations: [] };
    const item = { id: itemId, type: "message", status: "completed", role: "assistant", content: [content] };
    if (stream !== true) {
      json(exchange, 200, response("completed", [item]));
      return;
    }
    const at = { item_id: itemId, output_index: 0, content_index: 0 };
    const frames: object[] = [
      { type: "response.created", response: response("in_progress", []) },
      { type: "response.output_item.added", output_index: 0, item: { ...item, content: [] } },
      { type: "response.content_part.added", ...at, part: { ...content, text: "" } },
      ...text.map((delta) => ({ type: "response.output_text.delta", ...at, delta })),
      { type: "response.output_text.done", ...at, text: content.text },
      { type: "response.output_item.done", output_index: 0, item },
      { type: "response.completed", response: response("completed", [item]) },
    ];
    await events(
      exchange,
      pause,
      frames.map((frame, sequence_number) => {
        const event = { ...frame, sequence_number };
        return `event: ${"type" in frame ? String(frame.type) : ""}\n${data(event)}`;
      }),
    );
  };

  const emulation = emulate({
    place: { header: "authorization", value: `Bearer ${credential}` },
    encoding: "br",
    pause,
    refuse: (exchange) => {
      const given = exchange.echo.replace(/^Bearer /, "");
      json(exchange, 401, openAiError(`Incorrect API key provided: ${given}.`, "invalid_api_key"));
    },
    calls: {
      "POST /v1/chat/completions": chat,
      "POST /v1/responses": respond,
      "GET /v1/models": (exchange) => {
        const data = ["gpt-4.1", "gpt-4o-mini"].map((model) => ({
          id: model,
          object: "model",
          created,
          owned_by: exchange.echo,
        }));
        json(exchange, 200, { object: "list", data });
      },
      "GET /v1/models/:id": (exchange) =>
        json(
          exchange,
          200,
          { id: exchange.params["id"], object: "model", created, owned_by: "openai" },
          { "x-request-id": REQUEST_ID },
        ),
      "POST /v1/files": (exchange) => {
        const { bytes, filename } = part(exchange.request, "file");
        const purpose = part(exchange.request, "purpose").bytes.toString();
        const file = {
          id: id("file"),
          object: "file",
          bytes: bytes.length,
          created_at: created,
          filename,
          purpose,
        };
        digests.set(file.id, createHash("sha256").update(bytes).digest("hex"));
        files.push({ ...file, bytes });
        json(exchange, 200, { ...file, status: "processed" });
      },
      "GET /v1/files": (exchange) => {
        const { searchParams } = exchange.url;
        const limit = Number(searchParams.get("limit") ?? 10_000);
        const after = searchParams.get("after");
        const start = after === null ? 0 : files.findIndex((file) => file.id === after) + 1;
        const page = files.slice(start, start + limit).map((file) => ({ ...file, bytes: file.bytes.length }));
        json(exchange, 200, {
          object: "list",
          data: page,
          first_id: page[0]?.id ?? null,
          last_id: page.at(-1)?.id ?? null,
          has_more: start + limit < files.length,
        });
      },
      "GET /v1/files/:id/content": (exchange) => {
        const file = files.find((candidate) => candidate.id === exchange.params["id"]);
        exchange.response.writeHead(200, { "content-type": "application/octet-stream" });
        exchange.response.end(file?.bytes);
      },
    },
  });
  return { ...emulation, digests };
}

/** What every model's answer says in `x-request-id`. */
export const REQUEST_ID = "req_0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/** A body of OpenAI's errors. */
export function openAiError(message: string, code: string | null, type = "invalid_request_error") {
  return { error: { message, type, param: null, code } };
}

/** What the model says, in the pieces that a stream sends: it tells what it heard and what key it saw. */
function reply(heard: string, exchange: Exchange): string[] {
  return ["You said ", heard, ". Your header is ", exchange.echo, "."];
}

function data(value: object): string {
  return `data: ${JSON.stringify(value)}`;
}

function id(prefix: string): string {
  return `${prefix}-${randomBytes(12).toString("hex")}`;
}
