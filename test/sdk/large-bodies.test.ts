import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { header, startUpstream, type Upstream } from "../../local/upstream.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createTenant } from "../support/tenant.ts";
import { newCredential } from "../support/upstreams/stage.ts";

const MIB = 1024 * 1024;
const SIZE = 100 * MIB;
const MAX_GROWTH = 100 * MIB;
const MAX_MS = 20_000;
const credential = newCredential("up_live_");
let gateway: Gateway;
let upstream: Upstream;
let token: string;
/** Bytes that the upstream has written of the download under way. */
let written = 0;

beforeAll(async () => {
  gateway = await startGateway();
  const tenant = await createTenant(gateway);
  upstream = await startUpstream({
    port: 0,
    routes: [
      {
        early: true,
        async handle(request, response, message) {
          if (request.url === "/upload") {
            const hash = createHash("sha256");
            let size = 0;
            for await (const chunk of message) {
              hash.update(chunk);
              size += chunk.length;
            }
            const authorization = header(request, "authorization");
            response.end(JSON.stringify({ size, sha256: hash.digest("hex"), authorization }));
            return true;
          }
          if (request.url === "/ticks") {
            response.writeHead(200, { "content-type": "text/event-stream" });
            const timer = setInterval(() => response.write(`data: ${credential}\n\n`), 100);
            response.once("close", () => clearInterval(timer));
            return true;
          }
          const fixed = request.url === "/download?length";
          response.writeHead(200, {
            "content-type": "application/octet-stream",
            ...(fixed ? { "content-length": SIZE } : {}),
          });
          written = 0;
          await pipeline(
            Readable.from(
              (function* () {
                for (const block of blocks()) {
                  written += block.length;
                  yield block;
                }
              })(),
              { objectMode: false },
            ),
            response,
          ).catch(() => undefined);
          return true;
        },
      },
    ],
  });
  await tenant.connect("up", { base_url: upstream.url, credential: { kind: "bearer" }, value: credential });
  token = await tenant.token(["connections:call:up"]);
  // What a first call allocates for good is not what is measured.
  await (await call("upload", { method: "POST", body: "warm" })).text();
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const block = randomBytes(MIB);

/** `SIZE` bytes, each MiB different from the others. */
function* blocks(): Generator<Buffer> {
  for (let n = 0; n < SIZE / MIB; n += 1) {
    const next = Buffer.from(block);
    next.writeUInt32BE(n);
    yield next;
  }
}

function expectedDigest(): string {
  const hash = createHash("sha256");
  for (const next of blocks()) hash.update(next);
  return hash.digest("hex");
}

function call(path: string, init: RequestInit & { duplex?: "half" } = {}): Promise<Response> {
  return fetch(`${gateway.url}/proxy/up/${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
}

/** Resident memory of workerd, bytes. */
async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${gateway.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

/** Runs `work`; by how much workerd's memory was above its beginning at most, and how long it took. */
async function measure(work: () => Promise<void>): Promise<{ growth: number; milliseconds: number }> {
  const before = await residentBytes();
  let most = before;
  const look = async (): Promise<void> => {
    most = Math.max(most, await residentBytes());
  };
  const startedAt = performance.now();
  const timer = setInterval(() => void look(), 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  const milliseconds = performance.now() - startedAt;
  await look();
  return { growth: most - before, milliseconds };
}

test("100 MiB go up byte for byte, in flat memory", async () => {
  const { growth, milliseconds } = await measure(async () => {
    const body = Readable.toWeb(Readable.from(blocks())) as ReadableStream;
    const response = await call("upload", { method: "POST", body, duplex: "half" });
    const answer = await response.json();
    expect(answer).toMatchObject({ size: SIZE, sha256: expectedDigest() });
    expect(answer.authorization).toMatch(/^Bearer \*+$/);
  });
  expect(growth).toBeLessThan(MAX_GROWTH);
  expect(milliseconds).toBeLessThan(MAX_MS);
});

test.each(["download", "download?length"])(
  "100 MiB come down byte for byte, in flat memory (%s)",
  async (path) => {
    const { growth, milliseconds } = await measure(async () => {
      const response = await call(path);
      expect(response.headers.get("content-length")).toBe(path === "download" ? null : String(SIZE));
      const hash = createHash("sha256");
      let size = 0;
      for await (const chunk of response.body ?? []) {
        hash.update(chunk);
        size += chunk.length;
      }
      expect({ size, sha256: hash.digest("hex") }).toEqual({ size: SIZE, sha256: expectedDigest() });
    });
    expect(growth).toBeLessThan(MAX_GROWTH);
    expect(milliseconds).toBeLessThan(MAX_MS);
  },
);

// Twice more where it fails: what memory a process holds at one moment is noisy.
test(
  "an agent that reads slowly slows the upstream down: nothing piles up between them",
  { retry: 2 },
  async () => {
    const reader = (await call("download")).body?.getReader();
    await reader?.read();
    const { growth } = await measure(async () => {
      await sleep(1_500);
    });
    expect(written).toBeLessThan(SIZE / 2);
    expect(growth).toBeLessThan(MAX_GROWTH);
    await reader?.cancel();
  },
);

test("a stream that the agent leaves ends at the upstream within seconds", async () => {
  const abort = new AbortController();
  const response = await call("ticks", { signal: abort.signal });
  const first = await response.body?.getReader().read();
  expect(Buffer.from(first?.value ?? []).toString()).toMatch(/^data: \*+\n\n/);
  const request = upstream.requests.findLast(({ url }) => url === "/ticks");
  expect(request?.aborted).toBe(false);
  abort.abort();
  await expect.poll(() => request?.aborted, { timeout: 5_000 }).toBe(true);
});
