import { readFileSync } from "node:fs";
import { get } from "node:http";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { chunked, reply } from "../support/hostile-upstream.ts";
import { gzipBomb } from "./encodings.ts";
import { leaksOf } from "./leaks.ts";
import { CANARY, codeOf, type Lab, openLab } from "./support.ts";

/* What cannot be searched for the credential is not passed on. */

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({ bearer: {} }));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
  lab.upstream.answer = () => reply("200 OK", [], "ok");
});

const zipped = gzipSync(CANARY);
const refused: readonly (readonly [encoding: string, body: Uint8Array])[] = [
  ["deflate", deflateSync(CANARY)],
  ["zstd", zstdCompressSync(CANARY)],
  ["gzip, gzip", gzipSync(zipped)],
  ["gzip,br", brotliCompressSync(zipped)],
  ["identity, gzip", zipped],
  ["gzip, identity", zipped],
  ["x-gzip", zipped],
  ["compress", zipped],
  ["aes128gcm", zipped],
  ["gzip;q=1", zipped],
  ["GZIP", zipped],
  ["Br", brotliCompressSync(CANARY)],
];

test.each(refused)("attack 41: Content-Encoding: %s", async (encoding, body) => {
  for (const framed of [
    reply("200 OK", [["Content-Encoding", encoding]], body),
    chunked([["Content-Encoding", encoding]], [body]),
  ]) {
    lab.upstream.answer = () => framed;
    const answer = await lab.send("/proxy/bearer/x");
    expect([answer.status, codeOf(answer)]).toEqual([502, "UPSTREAM_REFUSED"]);
    expect(answer.wire.includes(Buffer.from(body.subarray(0, 16)))).toBe(false);
    expect(leaksOf(answer.wire, CANARY)).toEqual([]);
  }
});

test("attack 41: two Content-Encoding lines, and a gzip that is none", async () => {
  lab.upstream.answer = () =>
    reply(
      "200 OK",
      [
        ["Content-Encoding", "gzip"],
        ["content-encoding", "gzip"],
      ],
      gzipSync(zipped),
    );
  expect(codeOf(await lab.send("/proxy/bearer/x"))).toBe("UPSTREAM_REFUSED");
  for (const body of [
    CANARY,
    Buffer.concat([zipped.subarray(0, 30), Buffer.from(CANARY)]),
    Buffer.concat([zipped, Buffer.from(CANARY)]),
  ]) {
    lab.upstream.answer = () => reply("200 OK", [["Content-Encoding", "gzip"]], body);
    const answer = await lab.send("/proxy/bearer/x", { timeoutMs: 3_000 }).catch(() => undefined);
    expect(leaksOf(answer?.wire ?? "", CANARY)).toEqual([]);
  }
});

test("attack 41: the upstream is asked for nothing else, whatever the agent accepts", async () => {
  await lab.send("/proxy/bearer/x", { headers: ["Accept-Encoding: zstd, deflate", "TE: deflate"] });
  expect(lab.upstream.last().header("accept-encoding")).toEqual(["identity, gzip, br"]);
});

test.each([
  "utf-16",
  "UTF-16LE",
  '"utf-32"',
  "ucs-2",
  "unicode",
  "utf-7",
  "IBM037",
  "x; charset = 'utf-16be'",
])("attack 41: characters that are not written by their own bytes: %s", async (charset) => {
  const body = Buffer.from(`{"you sent":"${CANARY}"}`, "utf16le");
  lab.upstream.answer = () =>
    reply("200 OK", [["Content-Type", `application/json; charset=${charset}`]], body);
  const answer = await lab.send("/proxy/bearer/x", { headers: ["Accept-Charset: utf-16"] });
  expect(codeOf(answer)).toBe("UPSTREAM_REFUSED");
  expect(lab.upstream.last().header("accept-charset")).toEqual([]);
});

test("attack 41: partial content is refused, and ranges are not asked for", async () => {
  const partial = [
    reply("206 Partial Content", [["Content-Range", `bytes 3-3/${CANARY.length}`]], CANARY.slice(3, 4)),
    reply(
      "200 OK",
      [["Content-Type", "Multipart/ByteRanges; boundary=x"]],
      `--x\r\n\r\n${CANARY.slice(3, 4)}\r\n--x--`,
    ),
  ];
  for (const answer of partial) {
    lab.upstream.answer = () => answer;
    const refusal = await lab.send("/proxy/bearer/x", {
      headers: ["Range: bytes=3-3", "If-Range: x", "RANGE: bytes=4-4", "If_Range: y"],
    });
    expect(codeOf(refusal)).toBe("UPSTREAM_REFUSED");
    expect(lab.upstream.last().head).not.toMatch(/^(if.)?range:/im);
  }
});

test("attack 41: a bomb is cut off, in bounded memory", async () => {
  const bomb = await gzipBomb(1024);
  const memory = () =>
    Number(/VmRSS:\s*(\d+) kB/.exec(readFileSync(`/proc/${lab.gateway.pid}/status`, "utf8"))?.[1]) / 1024;
  for (const answer of [
    reply("200 OK", [["Content-Encoding", "gzip"]], bomb),
    chunked([["Content-Encoding", "gzip"]], [bomb]),
  ]) {
    lab.upstream.answer = () => answer;
    const before = memory();
    let most = 0;
    const timer = setInterval(() => (most = Math.max(most, memory())), 20);
    const { bytes, isWhole } = await download("/proxy/bearer/bomb").finally(() => clearInterval(timer));
    expect(isWhole).toBe(false);
    expect(bytes / 2 ** 20).toBeLessThan(600);
    expect(most - before).toBeLessThan(150);
  }
});
/** Counts what arrives; `isWhole` tells whether the answer ended as it should. */
function download(target: string): Promise<{ bytes: number; isWhole: boolean }> {
  return new Promise((resolve) => {
    const request = get(
      lab.gateway.url + target,
      { headers: { authorization: `Bearer ${lab.token}` } },
      (response) => {
        let bytes = 0;
        response.on("data", (chunk: Buffer) => (bytes += chunk.length));
        response.on("error", () => undefined);
        response.on("close", () => resolve({ bytes, isWhole: response.complete }));
      },
    );
    request.on("error", () => resolve({ bytes: 0, isWhole: false }));
  });
}
