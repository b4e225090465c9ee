import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** The server's end of a WebSocket (RFC 6455): small text messages, no fragments, no extensions. */
export interface ServerSocket {
  send(text: string): void;
  close(): void;
}

/** Accepts an upgrade; `onMessage` is told every message, text or binary, as text. */
export function acceptWebSocket(
  message: IncomingMessage,
  socket: Duplex,
  onMessage: (text: string, server: ServerSocket) => void,
): void {
  const key = message.headers["sec-websocket-key"] ?? "";
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  const frame = (opcode: number, payload: Buffer): void => {
    const { length } = payload;
    const head = length < 126 ? [length] : [126, length >> 8, length & 0xff];
    socket.write(Buffer.concat([Buffer.from([0x80 | opcode, ...head]), payload]));
  };
  const server: ServerSocket = {
    send: (text) => frame(TEXT, Buffer.from(text)),
    close: () => frame(CLOSE, Buffer.from([0x03, 0xe8])),
  };
  let pending = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("end", () => socket.end());
  socket.on("data", (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes]);
    for (let next = parseFrame(pending); next !== null; next = parseFrame(pending)) {
      pending = pending.subarray(next.size);
      if (next.opcode === CLOSE) {
        frame(CLOSE, next.payload);
        socket.end();
      } else if (next.opcode === PING) frame(PONG, next.payload);
      else if (next.opcode !== PONG) onMessage(next.payload.toString(), server);
    }
  });
}

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** The first masked frame of less than 64 KiB, or null where it is not whole yet. */
function parseFrame(bytes: Buffer): { opcode: number; payload: Buffer; size: number } | null {
  if (bytes.length < 2) return null;
  const short = bytes.readUInt8(1) & 0x7f;
  const start = short === 126 ? 4 : 2;
  if (bytes.length < start + 4) return null;
  const length = short === 126 ? bytes.readUInt16BE(2) : short;
  const size = start + 4 + length;
  if (bytes.length < size) return null;
  const mask = bytes.subarray(start, start + 4);
  const payload = Buffer.from(bytes.subarray(start + 4, size));
  for (const [index, byte] of payload.entries()) payload[index] = byte ^ (mask[index % 4] ?? 0);
  return { opcode: bytes.readUInt8(0) & 0x0f, payload, size };
}
