import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** One request as it arrived, byte for byte. */
export interface Received {
  method: string;
  /** The request target as sent, not normalised. */
  target: string;
  /** Names and values as sent, in order. */
  headers: [name: string, value: string][];
  /** Values of a header, by its name in any case. */
  header(name: string): string[];
  /** Without its chunk framing, if it had one. */
  body: Buffer;
  /** The request line and the headers. */
  head: string;
}

/** An answer, byte for byte: the pieces are written one by one, `pauseMs` apart, and the socket is closed behind them. */
export interface Answer {
  pieces: readonly (string | Uint8Array)[];
  /** Default: 0, which still lets each piece leave as a segment of its own. */
  pauseMs?: number;
  /** What comes behind the last piece: the end (default), a TCP reset, or nothing until the other side goes. */
  ending?: "close" | "reset" | "hold";
}

export interface HostileUpstream {
  /** `http://127.0.0.1:port` */
  url: string;
  /** `127.0.0.1:port` */
  authority: string;
  port: number;
  /** Grows as requests arrive. */
  requests: Received[];
  /** The last request. Throws where there was none. */
  last(): Received;
  /** What the next requests are answered with; may be replaced at any time. */
  answer: (request: Received) => Answer | Promise<Answer>;
  close(): Promise<void>;
}

/** A whole answer: `status` is what stands behind `HTTP/1.1 `. The length is added unless the headers frame the body. */
export function reply(
  status: string,
  headers: readonly (readonly [name: string, value: string])[] = [],
  body: string | Uint8Array = "",
): Answer {
  const bytes = Buffer.from(body);
  const isFramed = headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name));
  const length = isFramed || /^(204|304) /.test(status) ? [] : [`Content-Length: ${bytes.length}`];
  const lines = [...headers.map(([name, value]) => `${name}: ${value}`), ...length, "Connection: close"];
  return { pieces: [Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join("\r\n")}\r\n\r\n`, "latin1"), bytes] };
}

/** A chunked answer: every part is a chunk and a TCP segment of its own. */
export function chunked(
  headers: readonly (readonly [name: string, value: string])[],
  parts: readonly (string | Uint8Array)[],
  options: { trailers?: readonly string[]; pauseMs?: number } = {},
): Answer {
  const head = [...headers.map(([name, value]) => `${name}: ${value}`), "Transfer-Encoding: chunked"];
  const chunks = parts
    .map((part) => Buffer.from(part))
    .filter((part) => part.length > 0)
    .map((part) =>
      Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]),
    );
  const end = `0\r\n${(options.trailers ?? []).map((line) => `${line}\r\n`).join("")}\r\n`;
  return {
    pieces: [`HTTP/1.1 200 OK\r\n${head.join("\r\n")}\r\nConnection: close\r\n\r\n`, ...chunks, end],
    ...(options.pauseMs === undefined ? {} : { pauseMs: options.pauseMs }),
  };
}

/**
 * An upstream that keeps the raw requests and answers whatever bytes it is told, on a bare socket, since every HTTP
 * server library refuses to misbehave. At first it answers `200` and `ok`.
 */
export async function startHostileUpstream(): Promise<HostileUpstream> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let wire = Buffer.alloc(0);
    let isDone = false;
    socket.on("data", (chunk: Buffer) => {
      wire = Buffer.concat([wire, chunk]);
      const request = isDone ? undefined : parse(wire);
      if (request === undefined) return;
      isDone = true;
      upstream.requests.push(request);
      void send(socket, upstream, request);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const upstream: HostileUpstream = {
    url: `http://127.0.0.1:${port}`,
    authority: `127.0.0.1:${port}`,
    port,
    requests: [],
    last() {
      const request = upstream.requests.at(-1);
      if (request === undefined) throw new Error("nothing reached the upstream");
      return request;
    },
    answer: () => reply("200 OK", [["Content-Type", "text/plain"]], "ok"),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return upstream;
}

async function send(socket: Socket, upstream: HostileUpstream, request: Received): Promise<void> {
  const { pieces, pauseMs = 0, ending = "close" } = await upstream.answer(request);
  for (const piece of pieces) {
    if (socket.destroyed) return;
    const isRoom = socket.write(piece);
    if (!isRoom) await new Promise<void>((resolve) => drained(socket, resolve));
    if (pieces.length > 2) await sleep(pauseMs);
  }
  if (ending === "reset") {
    // Behind the pieces, not instead of them: a reset throws away what is still on its way.
    await sleep(100);
    socket.resetAndDestroy();
  } else if (ending === "close") socket.end();
}

function drained(socket: Socket, resolve: () => void): void {
  const done = (): void => {
    socket.off("drain", done);
    socket.off("close", done);
    resolve();
  };
  socket.once("drain", done);
  socket.once("close", done);
}

/** The request, or undefined while it is not whole. */
function parse(wire: Buffer): Received | undefined {
  const end = wire.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const head = wire.subarray(0, end).toString("latin1");
  const [requestLine = "", ...lines] = head.split("\r\n");
  const [method = "", target = ""] = requestLine.split(" ");
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const header = (name: string) =>
    headers.filter(([field]) => field.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  const rest = wire.subarray(end + 4);
  const body =
    header("transfer-encoding").length > 0 ? dechunk(rest) : whole(rest, header("content-length")[0]);
  return body === undefined ? undefined : { method, target, headers, header, body, head };
}

function whole(rest: Buffer, length: string | undefined): Buffer | undefined {
  const bytes = Number(length ?? 0);
  return rest.length >= bytes ? rest.subarray(0, bytes) : undefined;
}

function dechunk(rest: Buffer): Buffer | undefined {
  const chunks: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(rest.subarray(at, lineEnd).toString("latin1"), 16);
    if (size === 0) return rest.includes("\r\n\r\n", lineEnd) ? Buffer.concat(chunks) : undefined;
    const start = lineEnd + 2;
    if (rest.length < start + size + 2) return undefined;
    chunks.push(rest.subarray(start, start + size));
    at = start + size + 2;
  }
}
