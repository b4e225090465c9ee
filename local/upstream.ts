import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

/** One request as it arrived, byte for byte where HTTP/1.1 has bytes. */
export interface Recorded {
  method: string;
  /** The request target as sent, not normalised. */
  url: string;
  /** Names and values in turn, as sent. */
  rawHeaders: string[];
  /** Complete once `complete` is true. */
  body: Buffer;
  complete: boolean;
  /** The client went away before it had the whole answer. */
  aborted: boolean;
  remoteAddress: string;
  remotePort: number;
  /** Milliseconds since the epoch. */
  receivedAt: number;
}

/**
 * Emulates a provider. Called in turn until one answers true (then the answer is its business); `early` ones are
 * called before the body has arrived.
 */
export interface Route {
  early?: boolean;
  handle(
    request: Recorded,
    response: ServerResponse,
    message: IncomingMessage,
  ): boolean | void | Promise<boolean | void>;
}

export interface UpstreamOptions {
  /** 0 for any free one. */
  port: number;
  routes?: Route[];
  upgrade?: (message: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

export interface Upstream {
  url: string;
  port: number;
  /** Grows as requests arrive; emptied by whoever wants to (`requests.length = 0`). */
  requests: Recorded[];
  /** Routes may be added while it runs. */
  routes: Route[];
  close(): Promise<void>;
}

/**
 * A sample upstream on 127.0.0.1 that keeps every request it receives and answers with what it received, its
 * credential included: what reaches an agent of that is up to the gateway. `GET /__requests` tells other processes.
 */
export async function startUpstream(options: UpstreamOptions): Promise<Upstream> {
  const requests: Recorded[] = [];
  const routes: Route[] = [...(options.routes ?? [])];
  const server = createServer((message, response) => {
    if (message.url === "/__requests") {
      sendJson(
        response,
        requests.map((request) => ({ ...request, body: request.body.toString() })),
      );
      return;
    }
    const request = record(message);
    requests.push(request);
    response.once("close", () => {
      request.aborted = !response.writableFinished;
    });
    answer(request, response, message, routes).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });
  server.keepAliveTimeout = 60_000;
  if (options.upgrade !== undefined) server.on("upgrade", options.upgrade);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    routes,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function record(message: IncomingMessage): Recorded {
  return {
    method: message.method ?? "",
    url: message.url ?? "",
    rawHeaders: message.rawHeaders,
    body: Buffer.alloc(0),
    complete: false,
    aborted: false,
    remoteAddress: message.socket.remoteAddress ?? "",
    remotePort: message.socket.remotePort ?? 0,
    receivedAt: Date.now(),
  };
}

async function answer(
  request: Recorded,
  response: ServerResponse,
  message: IncomingMessage,
  routes: Route[],
): Promise<void> {
  for (const route of routes) {
    if (route.early === true && (await route.handle(request, response, message)) === true) return;
  }
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of message) chunks.push(chunk);
    request.complete = true;
  } finally {
    request.body = Buffer.concat(chunks);
  }
  for (const route of routes) {
    if (route.early !== true && (await route.handle(request, response, message)) === true) return;
  }
  const { pathname, searchParams } = new URL(request.url, "http://upstream");
  sendJson(response, {
    message: `hello, ${searchParams.get("name") ?? "agent"}`,
    you_sent: {
      method: request.method,
      path: pathname,
      query: Object.fromEntries(searchParams),
      authorization: header(request, "authorization") ?? null,
      body: request.body.toString(),
    },
  });
}

/** The first value of a header of a recorded request. */
export function header(request: Recorded, name: string): string | undefined {
  const index = request.rawHeaders.findIndex((value, at) => at % 2 === 0 && value.toLowerCase() === name);
  return index === -1 ? undefined : request.rawHeaders[index + 1];
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}
