import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** The server's end of a WebSocket (RFC 6455), without extensions. */
export interface ServerSocket {
  /** A text as a text message, bytes as a binary one; in so many fragments (default 1). */
  send(message: string | Uint8Array, fragments?: number): void;
  /** Default: 1000, and no reason. */
  close(code?: number, reason?: string): void;
  /** Ends the connection without a word. */
  abort(): void;
}

/** Accepts an upgrade; `onMessage` is told every message, text or binary, as text, and `onClose` how it was closed. */
export function acceptWebSocket(
  message: IncomingMessage,
  socket: Duplex,
  onMessage: (text: string, server: ServerSocket) => void,
  options: { protocol?: string; onClose?: (code: number, reason: string) => void } = {},
): ServerSocket {
  const key = message.headers["sec-websocket-key"] ?? "";
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${
      options.protocol === undefined ? "" : `Sec-WebSocket-Protocol: ${options.protocol}\r\n`
    }\r\n`,
  );
  const frame = (opcode: number, payload: Buffer, isLast = true): void => {
    const { length } = payload;
    const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
    head[0] = (isLast ? 0x80 : 0) | opcode;
    head[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
    if (head.length === 4) head.writeUInt16BE(length, 2);
    if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
    socket.write(Buffer.concat([head, payload]));
  };
  const server: ServerSocket = {
    send(message, fragments = 1) {
      const bytes = Buffer.from(message);
      const size = Math.ceil(bytes.length / fragments);
      for (let index = 0; index < fragments; index++) {
        const opcode = index > 0 ? CONTINUATION : typeof message === "string" ? TEXT : BINARY;
        frame(opcode, bytes.subarray(index * size, (index + 1) * size), index === fragments - 1);
      }
    },
    close: (code = 1000, reason = "") =>
      frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)])),
    abort: () => socket.destroy(),
  };
  let pending = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("end", () => socket.end());
  socket.on("data", (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes]);
    for (let next = parseFrame(pending); next !== null; next = parseFrame(pending)) {
      pending = pending.subarray(next.size);
      if (next.opcode === CLOSE) {
        const { payload } = next;
        options.onClose?.(
          payload.length < 2 ? 1005 : payload.readUInt16BE(0),
          payload.subarray(2).toString(),
        );
        frame(CLOSE, payload);
        socket.end();
      } else if (next.opcode === PING) frame(PONG, next.payload);
      else if (next.opcode !== PONG) onMessage(next.payload.toString(), server);
    }
  });
  return server;
}

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** The first masked frame, or null where it is not whole yet. */
function parseFrame(bytes: Buffer): { opcode: number; payload: Buffer; size: number } | null {
  if (bytes.length < 2) return null;
  const short = bytes.readUInt8(1) & 0x7f;
  const start = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < start + 4) return null;
  const length =
    short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  const size = start + 4 + length;
  if (bytes.length < size) return null;
  const mask = bytes.subarray(start, start + 4);
  const payload = Buffer.from(bytes.subarray(start + 4, size));
  for (const [index, byte] of payload.entries()) payload[index] = byte ^ (mask[index % 4] ?? 0);
  return { opcode: bytes.readUInt8(0) & 0x0f, payload, size };
}
