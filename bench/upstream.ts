import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { freePorts } from "../local/ports.ts";
import { startNginx } from "./nginx.ts";

/** What the upstream answers to `/v1/…`: about 1 KiB of JSON, like a provider's. */
export const ANSWER = JSON.stringify({
  id: "ch_bench",
  object: "charge",
  amount: 1_999,
  currency: "eur",
  created: 1_790_000_000,
  description: "An answer of about one kibibyte, as providers give them. ".repeat(8).trim(),
  metadata: Object.fromEntries(Array.from({ length: 14 }, (_, at) => [`field_${at}`, `value number ${at}`])),
});

/** Of the event stream at `/stream`: the second event follows so much later. */
const SECOND_EVENT_MS = 250;

export interface BenchUpstream {
  url: string;
  kind: "nginx" | "node";
  stop(): Promise<void>;
}

/**
 * The upstream of every contender: `/v1/…` answers `ANSWER`, `/stream` an SSE stream whose first event comes at once;
 * anything without the credential is a 401, so that a contender that injects nothing is found out. nginx, where it is
 * there, is the cheapest; its stream comes from Node behind it.
 */
export async function startBenchUpstream(options: {
  dir: string;
  credential: string;
  nginx: string | undefined;
}): Promise<BenchUpstream> {
  const node = await startNode(options.credential);
  if (options.nginx === undefined) return { url: node.url, kind: "node", stop: node.stop };
  const [port = 0] = await freePorts(1);
  const running = await startNginx(options.nginx, {
    dir: path.join(options.dir, "upstream"),
    port,
    server: `default_type application/json;
    if ($http_authorization != "Bearer ${options.credential}") { return 401; }
    location /v1/ { return 200 '${ANSWER}'; }
    location /stream { proxy_pass ${node.url}; proxy_buffering off; proxy_http_version 1.1; }`,
  });
  return {
    url: `http://127.0.0.1:${port}`,
    kind: "nginx",
    async stop() {
      await running.stop();
      await node.stop();
    },
  };
}

async function startNode(credential: string): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.headers.authorization !== `Bearer ${credential}`) response.writeHead(401).end();
    else if (request.url?.startsWith("/stream")) stream(response);
    else {
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(ANSWER) };
      response.writeHead(200, headers).end(ANSWER);
    }
  });
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function stream(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write('data: {"delta":"first"}\n\n');
  setTimeout(() => response.end('data: {"delta":"second"}\n\ndata: [DONE]\n\n'), SECOND_EVENT_MS);
}
