import { createHash, randomBytes } from "node:crypto";
import { header } from "../../../local/upstream.ts";
import { bodyOf, type Emulation, emulate, events, type Exchange, json, part, Pause } from "./emulation.ts";

export interface AnthropicEmulation extends Emulation {
  /** What a stored file's bytes hash to, by the file's id. */
  digests: Map<string, string>;
}

/** Anthropic's API (docs.anthropic.com/en/api): messages, models, files; version header and typed errors. */
export function anthropicEmulation(credential: string): AnthropicEmulation {
  const pause = new Pause();
  const digests = new Map<string, string>();
  const contents = new Map<string, Buffer>();

  const messages = async (exchange: Exchange): Promise<void> => {
    if (header(exchange.request, "anthropic-version") === undefined) {
      json(exchange, 400, anthropicError("invalid_request_error", "anthropic-version: header is required"));
      return;
    }
    const { model, messages: turns, stream } = bodyOf(exchange);
    const text = ["You said ", turns.at(-1).content, ". Your header is ", exchange.echo, "."];
    const message = {
      id: id("msg"),
      type: "message",
      role: "assistant",
      model,
      stop_sequence: null,
      received_credential: exchange.echo,
    };
    const usage = { input_tokens: 10, output_tokens: 14 };
    if (stream !== true) {
      const content = [{ type: "text", text: text.join(""), citations: null }];
      json(
        exchange,
        200,
        { ...message, content, stop_reason: "end_turn", usage },
        { "request-id": id("req") },
      );
      return;
    }
    const deltas = text.map((piece) => ({ type: "text_delta", text: piece }));
    const frames: { type: string; [field: string]: unknown }[] = [
      { type: "message_start", message: { ...message, content: [], stop_reason: null, usage } },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "ping" },
      ...deltas.map((delta) => ({ type: "content_block_delta", index: 0, delta })),
      { type: "content_block_stop", index: 0 },
      { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage },
      { type: "message_stop" },
    ];
    await events(
      exchange,
      pause,
      frames.map((frame) => `event: ${frame.type}\ndata: ${JSON.stringify(frame)}`),
    );
  };

  const emulation = emulate({
    place: { header: "x-api-key", value: credential },
    encoding: "gzip",
    pause,
    refuse: (exchange) =>
      json(exchange, 401, anthropicError("authentication_error", `invalid x-api-key ${exchange.echo}`)),
    calls: {
      "POST /v1/messages": messages,
      "GET /v1/models": (exchange) => {
        const { searchParams } = exchange.url;
        const limit = Number(searchParams.get("limit") ?? 20);
        const after = searchParams.get("after_id");
        const start = after === null ? 0 : MODELS.indexOf(after) + 1;
        const data = MODELS.slice(start, start + limit).map((model) => ({
          type: "model",
          id: model,
          display_name: exchange.echo,
          created_at: "2026-02-04T00:00:00Z",
        }));
        json(exchange, 200, {
          data,
          has_more: start + limit < MODELS.length,
          first_id: data[0]?.id ?? null,
          last_id: data.at(-1)?.id ?? null,
        });
      },
      "POST /v1/files": (exchange) => {
        const { bytes, filename, contentType } = part(exchange.request, "file");
        const fileId = id("file");
        digests.set(fileId, createHash("sha256").update(bytes).digest("hex"));
        contents.set(fileId, bytes);
        json(exchange, 200, {
          id: fileId,
          type: "file",
          filename,
          mime_type: contentType,
          size_bytes: bytes.length,
          created_at: "2026-02-04T00:00:00Z",
          downloadable: true,
        });
      },
      "GET /v1/files/:id/content": (exchange) => {
        exchange.response.writeHead(200, { "content-type": "application/octet-stream" });
        exchange.response.end(contents.get(exchange.params["id"] ?? ""));
      },
    },
  });
  return { ...emulation, digests };
}

export const MODELS = [
  "claude-opus-4-6",
  "claude-sonnet-4-6",
  "claude-haiku-4-5",
  "claude-sonnet-4-5",
  "claude-opus-4-5",
];

/** A body of Anthropic's errors. */
export function anthropicError(type: string, message: string) {
  return { type: "error", error: { type, message }, request_id: id("req") };
}

function id(prefix: string): string {
  return `${prefix}_${randomBytes(12).toString("hex")}`;
}
