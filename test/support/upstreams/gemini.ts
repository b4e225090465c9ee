import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { header } from "../../../local/upstream.ts";
import { bodyOf, type Emulation, emulate, events, type Exchange, json, Pause } from "./emulation.ts";
import { acceptWebSocket } from "./websocket.ts";

export interface GeminiEmulation extends Emulation {
  /** What a stored file's bytes hash to, by the file's name. */
  digests: Map<string, string>;
  /** The handshakes of live sessions, as they arrived. */
  handshakes: IncomingMessage[];
}

/**
 * The Gemini API (ai.google.dev/api): content generation, models, resumable uploads whose second step goes to an
 * absolute URL of the upstream's own, live sessions over a WebSocket.
 */
export function geminiEmulation(credential: string): GeminiEmulation {
  const pause = new Pause();
  const digests = new Map<string, string>();
  const handshakes: IncomingMessage[] = [];
  const uploads = new Map<string, { file: Record<string, unknown>; chunks: Buffer[] }>();

  const pieces = (exchange: Exchange): string[] => {
    const heard = bodyOf(exchange).contents[0].parts[0].text;
    return ["You said ", heard, ". Your header is ", exchange.echo, "."];
  };
  const candidate = (text: string, finishReason?: string) => ({
    candidates: [
      { index: 0, content: { role: "model", parts: [{ text }] }, ...(finishReason ? { finishReason } : {}) },
    ],
    usageMetadata: { promptTokenCount: 4, candidatesTokenCount: 9, totalTokenCount: 13 },
    modelVersion: "gemini-2.5-flash",
  });

  const emulation = emulate({
    place: { header: "x-goog-api-key", value: credential },
    pause,
    refuse: (exchange) =>
      json(exchange, 400, geminiError(400, "INVALID_ARGUMENT", `API key not valid: ${exchange.echo}`)),
    calls: {
      "POST /v1beta/models/gemini-2.5-flash:generateContent": (exchange) =>
        json(exchange, 200, candidate(pieces(exchange).join(""), "STOP")),
      "POST /v1beta/models/gemini-2.5-flash:streamGenerateContent": async (exchange) => {
        if (exchange.url.searchParams.get("alt") !== "sse") throw new Error("only SSE is emulated");
        const text = pieces(exchange);
        const frames = text.map((piece, index) =>
          JSON.stringify({
            ...candidate(piece, index === text.length - 1 ? "STOP" : undefined),
            responseId: exchange.echo,
          }),
        );
        // Google ends lines with CR LF in streams.
        await events(
          exchange,
          pause,
          frames.map((frame) => `data: ${frame}\r`),
        );
      },
      "GET /v1beta/models": (exchange) => {
        const { searchParams } = exchange.url;
        const size = Number(searchParams.get("pageSize") ?? 50);
        const start = Number(searchParams.get("pageToken") ?? 0);
        const models = GEMINI_MODELS.slice(start, start + size).map((name) => ({
          name: `models/${name}`,
          displayName: exchange.echo,
        }));
        const more = start + size < GEMINI_MODELS.length;
        json(exchange, 200, { models, ...(more ? { nextPageToken: String(start + size) } : {}) });
      },
      "POST /upload/v1beta/files": (exchange) => {
        const { request, url } = exchange;
        const uploadId = url.searchParams.get("upload_id");
        const command = header(request, "x-goog-upload-command") ?? "";
        if (uploadId === null && command === "start") {
          const newId = randomBytes(8).toString("hex");
          const name = `files/${newId}`;
          const origin = `http://${header(request, "host")}`;
          const file = {
            ...bodyOf(exchange).file,
            name,
            uri: `${origin}/v1beta/${name}`,
            mimeType: header(request, "x-goog-upload-header-content-type"),
            state: "ACTIVE",
          };
          uploads.set(newId, { file, chunks: [] });
          const target = `${origin}/upload/v1beta/files?upload_id=${newId}&upload_protocol=resumable`;
          json(
            exchange,
            200,
            {},
            {
              "x-goog-upload-status": "active",
              "x-goog-upload-url": target,
              "x-goog-upload-control-url": target,
              "x-goog-upload-chunk-granularity": "262144",
            },
          );
          return;
        }
        const upload = uploads.get(uploadId ?? "");
        if (upload === undefined) {
          json(exchange, 404, geminiError(404, "NOT_FOUND", "no such upload"));
          return;
        }
        upload.chunks.push(request.body);
        if (!command.includes("finalize")) {
          json(exchange, 200, {}, { "x-goog-upload-status": "active" });
          return;
        }
        const bytes = Buffer.concat(upload.chunks);
        const digest = createHash("sha256").update(bytes);
        const file = { ...upload.file, sizeBytes: String(bytes.length), sha256Hash: digest.digest("base64") };
        digests.set(String(upload.file["name"]), createHash("sha256").update(bytes).digest("hex"));
        json(exchange, 200, { file }, { "x-goog-upload-status": "final" });
      },
      "GET /v1beta/files/:id": (exchange) =>
        json(exchange, 200, { ...uploads.get(exchange.params["id"] ?? "")?.file }),
    },
  });
  return {
    ...emulation,
    digests,
    handshakes,
    upgrade(message, socket) {
      handshakes.push(message);
      if (message.headers["x-goog-api-key"] !== credential) {
        socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
      }
      acceptWebSocket(message, socket, (text, server) => {
        const { setup, clientContent } = JSON.parse(text);
        if (setup !== undefined) server.send(JSON.stringify({ setupComplete: {} }));
        if (clientContent !== undefined) {
          const modelTurn = { parts: [{ text: `You said ${clientContent.turns[0].parts[0].text}.` }] };
          server.send(JSON.stringify({ serverContent: { modelTurn, turnComplete: true } }));
        }
      });
    },
  };
}

export const GEMINI_MODELS = [
  "gemini-2.5-flash",
  "gemini-2.5-pro",
  "gemini-2.5-flash-lite",
  "gemini-embedding-001",
  "imagen-4.0",
];

/** A body of Google's errors (google.rpc.Status as JSON). */
export function geminiError(code: number, status: string, message: string) {
  return { error: { code, status, message } };
}
