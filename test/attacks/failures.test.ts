import { createServer, connect } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Answer, reply } from "../support/hostile-upstream.ts";
import { codeOf, type Lab, openLab } from "./support.ts";

const MIB = 1024 * 1024;
const OK = "HTTP/1.1 200 OK\r\n";

let lab: Lab;

beforeAll(async () => {
  const closed = await closedPort();
  lab = await openLab(() => ({
    up: { limits: { timeout_seconds: 2, response_idle_seconds: 2, concurrent_calls: 1_000 } },
    closed: { base_url: `http://127.0.0.1:${closed}` },
  }));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
  lab.upstream.answer = () => reply("200 OK", [], "ok");
});

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Passed {
  readonly status: number;
  /** Of the body, its chunk framing included where it has one. */
  readonly bytes: number;
  /** All that was announced has come: the length, or the last chunk. */
  readonly complete: boolean;
}

/** A call whose answer is counted rather than kept. */
function count(path: string, token = lab.token): Promise<Passed> {
  return new Promise((resolve, reject) => {
    const port = lab.gateway.ports[0] ?? 0;
    const socket = connect({ port, host: "127.0.0.1" });
    let head = Buffer.alloc(0);
    let tail = Buffer.alloc(0);
    let isHead = true;
    let bytes = 0;
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      tail = Buffer.concat([tail, chunk]).subarray(-7);
    };
    const done = (): void => {
      const text = head.toString("latin1");
      const length = /^content-length: (\d+)/im.exec(text)?.[1];
      const complete =
        length === undefined ? tail.toString("latin1") === "\r\n0\r\n\r\n" : bytes === Number(length);
      resolve({ status: Number(text.split(" ")[1]), bytes, complete });
    };
    socket.setTimeout(25_000, () => socket.destroy(new Error("no end")));
    socket.on("data", (chunk: Buffer) => {
      if (!isHead) return take(chunk);
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end === -1) return;
      isHead = false;
      take(head.subarray(end + 4));
      head = head.subarray(0, end);
    });
    socket.on("close", done);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET") reject(error);
    });
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
    );
  });
}

/** The one event of a token's one call, once its outcome is known. */
async function outcomeOf(tokenId: string): Promise<Record<string, unknown>> {
  for (let n = 0; n < 100; n++) {
    const { events } = await lab.tenant.admin.must("GET", "/v1/audit?limit=200");
    const told = events.find(
      (event: { context: Record<string, unknown>; outcome: string }) =>
        (event.context["token_id"] === tokenId || String(event.context["outcome_of"]).startsWith(tokenId)) &&
        event.context["status"] !== undefined,
    );
    if (told !== undefined) return { outcome: told.outcome, ...told.context };
    await sleep(100);
  }
  throw new Error("no outcome in the ledger");
}

/** It answers as ever, and takes no use for what it has not sent. */
async function expectSound(): Promise<void> {
  lab.upstream.answer = () => reply("200 OK", [], "still here");
  const answer = await lab.send("/proxy/up/x");
  expect([answer.status, answer.text]).toEqual([200, "still here"]);
}

describe("an upstream that gives no answer", () => {
  test("refuses the connection: 502, the use is spent, and the ledger has it", async () => {
    const { token, tokenId } = await lab.tenant.issue(["connections:call:closed"], { max_uses: 1 });
    const answer = await lab.send("/proxy/closed/x", { authorization: `Bearer ${token}` });
    expect([answer.status, codeOf(answer)]).toEqual([502, "UPSTREAM_FAILED"]);
    expect(answer.text).toContain("look before you repeat it");
    expect(await lab.tenant.uses(tokenId)).toBe(1);
    expect(await outcomeOf(tokenId)).toMatchObject({
      outcome: "error",
      status: 502,
      error: "UPSTREAM_FAILED",
    });
    await expectSound();
  });

  const silent: readonly [what: string, answer: Answer, status: number, code: string][] = [
    ["hangs before its headers", { pieces: [], ending: "hold" }, 504, "UPSTREAM_TIMEOUT"],
    ["hangs in its headers", { pieces: [`${OK}X-Half: `], ending: "hold" }, 504, "UPSTREAM_TIMEOUT"],
    ["closes before its headers", { pieces: [] }, 502, "UPSTREAM_FAILED"],
    ["resets before its headers", { pieces: [], ending: "reset" }, 502, "UPSTREAM_FAILED"],
    ["resets in its headers", { pieces: [`${OK}X-Half: `], ending: "reset" }, 502, "UPSTREAM_FAILED"],
    ["speaks no HTTP", { pieces: [Buffer.alloc(4_096, 0x16), "SSH-2.0"] }, 502, "UPSTREAM_FAILED"],
    [
      "sends 100 MB of headers",
      { pieces: [OK, ...Array.from({ length: 100 }, () => "X".repeat(MIB))] },
      502,
      "UPSTREAM_FAILED",
    ],
  ];
  test.each(silent)("%s", async (_what, answer, status, code) => {
    const { token, tokenId } = await lab.tenant.issue(["connections:call:up"], { max_uses: 1 });
    lab.upstream.answer = () => answer;
    const refused = await lab.send("/proxy/up/x", { authorization: `Bearer ${token}` });
    expect([refused.status, codeOf(refused)]).toEqual([status, code]);
    expect(lab.upstream.requests).toHaveLength(1);
    expect(await lab.tenant.uses(tokenId)).toBe(1);
    expect(await outcomeOf(tokenId)).toMatchObject({ outcome: "error", error: code });
    await expectSound();
  });
});

describe("an upstream that breaks off in its body: never does the agent's answer look whole", () => {
  const half = "a".repeat(200_000);
  const cases: readonly [what: string, answer: Answer][] = [
    ["reset, of a length", { pieces: [`${OK}Content-Length: 400000\r\n\r\n`, half], ending: "reset" }],
    ["closed, of a length", { pieces: [`${OK}Content-Length: 400000\r\n\r\n`, half] }],
    [
      "reset, in a chunk",
      { pieces: [`${OK}Transfer-Encoding: chunked\r\n\r\n`, `61a80\r\n${half}`], ending: "reset" },
    ],
    [
      "closed, between chunks",
      { pieces: [`${OK}Transfer-Encoding: chunked\r\n\r\n`, `30d40\r\n${half}\r\n`] },
    ],
    ["reset, without framing", { pieces: [`${OK}\r\n`, half], ending: "reset" }],
    [
      "said to be gzip, and is not",
      { pieces: [`${OK}Content-Encoding: gzip\r\nContent-Length: 200000\r\n\r\n`, half] },
    ],
    ["silent, of a length", { pieces: [`${OK}Content-Length: 400000\r\n\r\n`, half], ending: "hold" }],
    [
      "silent, in an event stream",
      { pieces: [`${OK}Content-Type: text/event-stream\r\n\r\n`, "data: 1\n\n"], ending: "hold" },
    ],
  ];
  test.each(cases)("%s", async (_what, answer) => {
    const { token, tokenId } = await lab.tenant.issue(["connections:call:up"], { max_uses: 1 });
    lab.upstream.answer = () => answer;
    const passed = await count("/proxy/up/x", token);
    expect([passed.status, passed.complete]).toEqual([200, false]);
    expect(await lab.tenant.uses(tokenId)).toBe(1);
    expect(await outcomeOf(tokenId)).toMatchObject({ outcome: "error", status: 200 });
    await expectSound();
  });

  test.each([
    [
      "reset",
      { pieces: [`${OK}Content-Length: 100\r\n\r\n`, "half"], ending: "reset" },
      502,
      "UPSTREAM_FAILED",
    ],
    ["closed", { pieces: [`${OK}Content-Length: 100\r\n\r\n`, "half"] }, 502, "UPSTREAM_FAILED"],
    [
      "silent",
      { pieces: [`${OK}Content-Length: 100\r\n\r\n`, "half"], ending: "hold" },
      504,
      "UPSTREAM_TIMEOUT",
    ],
  ] as const)("%s in a short body: not a byte of it is passed on", async (_what, answer, status, code) => {
    lab.upstream.answer = () => answer;
    const refused = await lab.send("/proxy/up/x");
    expect([refused.status, codeOf(refused)]).toEqual([status, code]);
    await expectSound();
  });

  test("an agent that goes away while the upstream is silent holds up nobody", async () => {
    lab.upstream.answer = () => ({ pieces: [`${OK}Content-Length: 400000\r\n\r\n`, half], ending: "hold" });
    const gone = Array.from({ length: 50 }, () => {
      const socket = connect({ port: lab.gateway.ports[0] ?? 0, host: "127.0.0.1" });
      socket.on("error", () => undefined);
      socket.write(`GET /proxy/up/x HTTP/1.1\r\nHost: up\r\nAuthorization: Bearer ${lab.token}\r\n\r\n`);
      return socket;
    });
    await sleep(300);
    for (const socket of gone) socket.destroy();
    await expectSound();
  });
});

describe("an upstream that answers 100 MB of garbage", () => {
  const SIZE = 100 * MIB;
  const garbage = Buffer.allocUnsafe(MIB);
  for (let at = 0; at < MIB; at++) garbage[at] = (at * 2_654_435_761) >>> 13;
  const pieces = Array.from({ length: 100 }, () => garbage);

  test.each([
    ["of its length", `Content-Length: ${SIZE}\r\n`, SIZE, true],
    ["without framing", "", SIZE, true],
    ["as an event stream without an event", "Content-Type: text/event-stream\r\n", SIZE, true],
    ["that says it has ten bytes", "Content-Length: 10\r\n", 10, true],
    ["that says it has twice as many", `Content-Length: ${2 * SIZE}\r\n`, SIZE, false],
  ])("%s: all of it passes, and nothing else suffers", async (_what, header, bytes, complete) => {
    lab.upstream.answer = ({ target }) =>
      target === "/other" ? reply("200 OK", [], "other") : { pieces: [`${OK}${header}\r\n`, ...pieces] };
    const passing = count("/proxy/up/garbage");
    const meanwhile = await lab.send("/proxy/up/other");
    expect([meanwhile.status, meanwhile.text]).toEqual([200, "other"]);
    const passed = await passing;
    expect([passed.status, passed.complete]).toEqual([200, complete]);
    expect(passed.bytes).toBeGreaterThan(bytes * 0.999);
    await expectSound();
  });
});

describe("a cold isolate", () => {
  test("whose first callers go away: 200 others at the same time are all answered", async () => {
    await lab.gateway.restart();
    const gone = Array.from({ length: 20 }, (_socket, index) => {
      const socket = connect({ port: lab.gateway.ports[0] ?? 0, host: "127.0.0.1" });
      socket.on("error", () => undefined);
      socket.write(`GET /proxy/up/x HTTP/1.1\r\nHost: up\r\nAuthorization: Bearer ${lab.token}\r\n\r\n`);
      setTimeout(() => socket.destroy(), index);
      return socket;
    });
    const answers = await Promise.all(Array.from({ length: 200 }, () => lab.send("/proxy/up/x")));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    for (const socket of gone) socket.destroy();
  });
});
