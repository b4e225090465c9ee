import { randomBytes } from "node:crypto";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { reply } from "../support/hostile-upstream.ts";
import type { RawResponse } from "../support/raw.ts";
import { type CallOptions, CANARY, codeOf, KINDS, type Lab, openLab, serveAs } from "./support.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({
    up: {},
    small: {
      limits: {
        max_url_bytes: 300,
        max_headers: 16,
        max_header_bytes: 1_024,
        max_body_bytes: 100_000,
        max_response_headers: 16,
        max_response_header_bytes: 1_024,
      },
    },
    large: {
      limits: {
        max_headers: 256,
        max_header_bytes: 65_536,
        max_response_headers: 512,
        max_response_header_bytes: 131_072,
      },
    },
    pausing: { limits: { body_idle_seconds: 1 } },
    dripping: { limits: { body_seconds: 2, body_idle_seconds: 1 } },
    body: {
      credential: { kind: "body", field: "key" },
      limits: { max_json_depth: 5, body_idle_seconds: 1, body_seconds: 2 },
    },
    references: { references: ["body"], limits: { max_json_depth: 5 } },
    expanding: { limits: { max_expansion: 2_000 } },
    packed: { limits: { max_expansion: 2 } },
    five: { limits: { concurrent_calls: 5 } },
    one: { limits: { concurrent_calls: 1 } },
  }));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
  lab.upstream.answer = () => reply("200 OK", [], "ok");
});

const admin = () => `Bearer ${lab.tenant.admin.credential}`;
const refusalOf = (answer: Pick<RawResponse, "status" | "text">) => [answer.status, codeOf(answer)];
const lines = (count: number, bytes = 1) =>
  Array.from({ length: count }, (_line, index) => `X-${index}: ${"a".repeat(bytes)}`);
/** Lines of an answer. */
const fields = (count: number, bytes = 1) =>
  Array.from({ length: count }, (_field, index) => [`X-${index}`, "a".repeat(bytes)] as const);
const MEBIBYTE = 1024 * 1024;
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

describe("attack 89: headers and URLs", () => {
  const tooLarge = [431, "HEADERS_TOO_LARGE"];
  const tooLong = [414, "URL_TOO_LONG"];

  test.each([
    ["to the API", "/v1/me", () => ({ authorization: admin() })],
    ["to a connection", "/proxy/up/x", () => ({})],
    ["without any credential", "/proxy/up/x", () => ({ authorization: null })],
    ["to an address that does not exist", "/nowhere", () => ({ authorization: null })],
  ])("attack 89: ten thousand headers, 70 kB of them, a URL of 17 kB %s", async (_what, target, options) => {
    const call = (more: CallOptions, at = target) => lab.send(at, { ...options(), ...more });
    expect(refusalOf(await call({ headers: lines(300) }))).toEqual(tooLarge);
    expect(refusalOf(await call({ headers: lines(7, 10_000) }))).toEqual(tooLarge);
    // Lines of one name are one header to the platform, and as many bytes.
    const same = Array.from({ length: 9_000 }, () => "X-Same: 123456");
    expect(refusalOf(await call({ headers: same }))).toEqual(tooLarge);
    expect(refusalOf(await call({}, `${target}?${"a".repeat(17_000)}`))).toEqual(tooLong);
    expect(lab.upstream.requests).toEqual([]);
    // Beyond what the platform itself takes, nothing arrives here.
    const many = await call({ headers: lines(10_000) }).catch(() => ({ status: 431 }));
    expect(many.status).toBeGreaterThanOrEqual(400);
    expect(lab.upstream.requests).toEqual([]);
  });

  test("attack 89: a connection takes 100 headers, 32 KiB of them and the longest URL, unless it says otherwise", async () => {
    const small = `/proxy/small/${"a".repeat(300)}`;
    expect(refusalOf(await lab.send("/proxy/up/x", { headers: lines(120) }))).toEqual(tooLarge);
    expect(refusalOf(await lab.send("/proxy/up/x", { headers: lines(5, 7_000) }))).toEqual(tooLarge);
    expect(refusalOf(await lab.send("/proxy/small/x", { headers: lines(20) }))).toEqual(tooLarge);
    expect(refusalOf(await lab.send("/proxy/small/x", { headers: lines(2, 600) }))).toEqual(tooLarge);
    expect(refusalOf(await lab.send(small))).toEqual(tooLong);
    expect(lab.upstream.requests).toEqual([]);
    expect((await lab.send("/proxy/up/x", { headers: lines(80) })).status).toBe(200);
    expect((await lab.send("/proxy/up/x", { headers: lines(4, 7_000) })).status).toBe(200);
    expect((await lab.send("/proxy/large/x", { headers: lines(200) })).status).toBe(200);
    expect((await lab.send("/proxy/large/x", { headers: lines(6, 10_000) })).status).toBe(200);
    expect((await lab.send(`/proxy/up/x?${"a".repeat(16_000)}`)).status).toBe(200);
    expect((await lab.send("/proxy/small/x")).status).toBe(200);
  });

  test("attack 89: an upstream that answers with thousands of headers is refused, and the ledger tells of the call", async () => {
    const refused = async (slug: string, answer: ReturnType<typeof fields>) => {
      lab.upstream.answer = () => reply("200 OK", answer, "ok");
      return refusalOf(await lab.send(`/proxy/${slug}/x`));
    };
    const refusal = [502, "UPSTREAM_REFUSED"];
    expect(await refused("up", fields(250))).toEqual(refusal);
    expect(await refused("up", fields(7, 10_000))).toEqual(refusal);
    expect(await refused("small", fields(20))).toEqual(refusal);
    expect(await refused("small", fields(2, 600))).toEqual(refusal);
    expect(lab.upstream.requests.length).toBe(4);
    for (const [slug, answer] of [
      ["up", fields(190)],
      ["large", fields(250)],
      ["large", fields(7, 10_000)],
    ] as const) {
      lab.upstream.answer = () => reply("200 OK", answer, "ok");
      expect((await lab.send(`/proxy/${slug}/x`)).status).toBe(200);
    }
  });
});

describe("attack 89: bodies", () => {
  const tooDeep = [400, "JSON_TOO_DEEP"];
  const typed = ["Content-Type: application/json"];
  const deep = (levels: number) => `{"a":`.repeat(levels - 1) + `{}` + "}".repeat(levels - 1);

  test("attack 89: a compressed answer grows to 200 times its size, or to what its connection says, and breaks off", async () => {
    const [steep, shallow] = [
      gzipSync(Buffer.alloc(40 * MEBIBYTE)),
      gzipSync(randomBytes(9 * MEBIBYTE).toString("hex")),
    ];
    const grown = async (slug: string, body: Buffer) => {
      lab.upstream.answer = () => reply("200 OK", [["Content-Encoding", "gzip"]], body);
      const response = await fetch(`${lab.gateway.url}/proxy/${slug}/x`, {
        headers: { authorization: `Bearer ${lab.token}` },
      });
      return response.arrayBuffer().then(
        () => "whole",
        () => "broken off",
      );
    };
    // 40 MiB out of 40 KiB, and 18 MiB out of something above 9.
    expect(await grown("up", steep)).toBe("broken off");
    expect(await grown("expanding", steep)).toBe("whole");
    expect(await grown("up", shallow)).toBe("whole");
    expect(await grown("packed", gzipSync(Buffer.alloc(17 * MEBIBYTE)))).toBe("broken off");
    expect(await grown("packed", gzipSync(Buffer.alloc(15 * MEBIBYTE)))).toBe("whole");
  });

  test("attack 89: JSON is refused by its depth before anything parses it", async () => {
    for (const body of ["[".repeat(100_000), deep(100_000), deep(33), `{"name": ${"[".repeat(40)}`]) {
      const answer = await lab.send("/v1/agents", { method: "POST", body, authorization: admin() });
      expect(refusalOf(answer)).toEqual(tooDeep);
    }
    // What looks deep in a text is none of it.
    const body = JSON.stringify({
      name: "[{".repeat(20),
      allowed_scopes: [],
      description: '\\"[[['.repeat(20),
    });
    const answer = await lab.send("/v1/agents", { method: "POST", body, authorization: admin() });
    expect(answer.status, answer.text).toBe(201);
    for (const slug of ["body", "references"]) {
      const call = (text: string) =>
        lab.send(`/proxy/${slug}/x`, { method: "POST", headers: typed, body: text });
      expect(refusalOf(await call(deep(100_000)))).toEqual(tooDeep);
      expect(refusalOf(await call(deep(6)))).toEqual(tooDeep);
      expect(lab.upstream.requests).toEqual([]);
      expect((await call(deep(5))).status).toBe(200);
      lab.upstream.requests.length = 0;
    }
    // The gateway does not read this one, and how deep it is is the provider's business.
    expect(
      (await lab.send("/proxy/up/x", { method: "POST", headers: typed, body: deep(1_000) })).status,
    ).toBe(200);
  });

  test("attack 89: a connection's own size holds, with a length and without one, and no part of more arrives", async () => {
    const framed = await lab.send("/proxy/small/x", { method: "POST", body: "a".repeat(100_001) });
    expect(refusalOf(framed)).toEqual([413, "BODY_TOO_LARGE"]);
    const headers = ["Transfer-Encoding: chunked"];
    const pieces = (count: number) => `${chunk("a".repeat(10_000)).repeat(count)}0\r\n\r\n`;
    const chunked = await lab.send("/proxy/small/x", { method: "POST", headers, body: pieces(11) });
    expect(refusalOf(chunked)).toEqual([413, "BODY_TOO_LARGE"]);
    await sleep(300);
    expect(lab.upstream.requests).toEqual([]);
    expect((await lab.send("/proxy/small/x", { method: "POST", headers, body: pieces(10) })).status).toBe(
      200,
    );
    expect(lab.upstream.last().body.length).toBe(100_000);
  });

  const LARGE = "a".repeat(50_000);
  test("attack 89: a body that stops or drips is ended, of whatever size and framing, and no part of it is a request", async () => {
    const cases = [
      ["stops", "pausing", "small", "Content-Length: 1000", ["a"]],
      ["stops", "pausing", "large", "Content-Length: 1000000", [LARGE, LARGE]],
      ["stops", "pausing", "of untold length", "Transfer-Encoding: chunked", [chunk(LARGE)]],
      ["stops", "body", "read whole", "Content-Length: 1000", ["{"]],
      ["drips", "dripping", "small", "Content-Length: 1000", Array(20).fill("a")],
      ["drips", "dripping", "large", "Content-Length: 1000000", Array(20).fill(LARGE)],
      ["drips", "dripping", "of untold length", "Transfer-Encoding: chunked", Array(20).fill(chunk("a"))],
      ["drips", "body", "read whole", "Content-Length: 1000", Array(20).fill("a")],
    ] as const;
    const ended = cases.map(async ([how, slug, what, framing, pieces]) => {
      const answer = await sendSlowly(slug, framing, pieces).answer;
      const why = how === "stops" ? "stopped arriving for 1 s" : "not complete within 2 s";
      return [how, slug, what, ...refusalOf(answer), answer.text.includes(why)];
    });
    expect(await Promise.all(ended)).toEqual(
      cases.map(([how, slug, what]) => [how, slug, what, 408, "BODY_TIMEOUT", true]),
    );
    await sleep(300);
    expect(lab.upstream.requests).toEqual([]);
  });

  test("attack 89: a large body that takes its time, but does not stop, arrives as it was sent", async () => {
    const text = Array.from({ length: 5 }, (_piece, index) => String(index).repeat(50_000));
    for (const [framing, pieces] of [
      ["Content-Length: 250000", text],
      ["Transfer-Encoding: chunked", [...text.map(chunk), "0\r\n\r\n"]],
    ] as const) {
      const { status } = await sendSlowly("pausing", framing, pieces).answer;
      expect(status).toBe(200);
      expect(lab.upstream.last().body.toString()).toBe(text.join(""));
    }
  });

  test("attack 89: a body that stops is ended also where the upstream has begun to answer", async () => {
    let ended = Promise.withResolvers<boolean>();
    const hasty = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("close", () => ended.resolve(true));
      socket.once("data", () =>
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
      );
    });
    await new Promise<void>((resolve) => hasty.listen(0, "127.0.0.1", resolve));
    const { port } = hasty.address() as AddressInfo;
    await lab.tenant.connect("hasty", {
      base_url: `http://127.0.0.1:${port}`,
      credential: KINDS.bearer,
      value: CANARY,
      limits: { body_idle_seconds: 1 },
    });
    await lab.tenant.settled();
    for (const framing of ["Content-Length: 1000000", "Transfer-Encoding: chunked"]) {
      ended = Promise.withResolvers();
      const sent = sendSlowly("hasty", framing, [framing.startsWith("C") ? LARGE : chunk(LARGE)]);
      const gone = new Promise((resolve) => sent.socket.once("close", resolve));
      sent.answer.catch(() => undefined);
      expect(await Promise.race([ended.promise, sleep(10_000)])).toBe(true);
      await gone;
    }
    hasty.close();
  });

  test("attack 89: a client that goes away in the middle of its body has sent no request", async () => {
    for (const framing of ["Content-Length: 1000000", "Transfer-Encoding: chunked"]) {
      const sent = sendSlowly("up", framing, [framing.startsWith("C") ? LARGE : chunk(LARGE)]);
      sent.answer.catch(() => undefined);
      await sleep(500);
      sent.socket.destroy();
    }
    await sleep(1_500);
    expect(lab.upstream.requests).toEqual([]);
  });
});

/** A call whose body is written piece by piece, 300 ms apart, and never ended. */
function sendSlowly(
  slug: string,
  framing: string,
  pieces: readonly string[],
): { readonly socket: Socket; readonly answer: Promise<{ status: number; text: string }> } {
  const port = lab.gateway.ports[0] ?? 0;
  const socket = connect({ port, host: "127.0.0.1" });
  const answer = new Promise<{ status: number; text: string }>((resolve, reject) => {
    let text = "";
    socket.setTimeout(15_000, () => socket.destroy(new Error("no answer")));
    socket.on("error", reject);
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      const end = text.indexOf("\r\n\r\n") + 4;
      const length = Number(/content-length: ([0-9]+)/i.exec(text)?.[1] ?? Number.NaN);
      if (end < 4 || !(text.length >= end + length)) return;
      socket.destroy();
      resolve({ status: Number(text.split(" ")[1]), text: text.slice(end) });
    });
  });
  const head = [
    `POST /proxy/${slug}/x HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    `Authorization: Bearer ${lab.token}`,
    "Content-Type: application/json",
    framing,
  ];
  const write = async (): Promise<void> => {
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    for (const piece of pieces) {
      if (socket.destroyed) return;
      socket.write(piece);
      await sleep(300);
    }
  };
  void write();
  return { socket, answer };
}

describe("attack 89: calls at the same time", () => {
  const limited = [429, "CONCURRENCY_LIMITED"];

  /** Holds the upstream's answers until `release`. */
  function hold(): { release: () => void } {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    lab.upstream.answer = async () => {
      await released;
      return reply("200 OK", [], "ok");
    };
    return { release };
  }

  test("attack 89: of fifty at once, exactly as many go on as may; the others cost no use, and when those end others pass", async () => {
    const { token, tokenId } = await lab.tenant.issue(["connections:call:*"]);
    const authorization = `Bearer ${token}`;
    const refusals: RawResponse[] = [];
    for (let round = 1; round <= 3; round++) {
      const gate = hold();
      refusals.length = 0;
      const calls = Array.from({ length: 50 }, async () => {
        const answer = await lab.send("/proxy/five/x", { authorization });
        if (answer.status !== 200) refusals.push(answer);
        if (refusals.length === 45) gate.release();
        return answer.status;
      });
      const statuses = await Promise.all(calls);
      expect(statuses.filter((status) => status === 200).length).toBe(5);
      for (const answer of refusals) {
        expect(refusalOf(answer)).toEqual(limited);
        expect(answer.header("retry-after")).toEqual(["1"]);
        expect(answer.header("x-should-retry")).toEqual([]);
        expect(JSON.parse(answer.text).why).toContain("limits.concurrent_calls");
      }
      expect(lab.upstream.requests.length).toBe(5 * round);
    }
    expect(await lab.tenant.uses(tokenId)).toBe(15);
  });

  test("attack 89: a token that is busy on one connection is free on another, and so is another token", async () => {
    const gate = hold();
    const busy = lab.send("/proxy/one/x");
    await expect.poll(() => lab.upstream.requests.length).toBe(1);
    expect(refusalOf(await lab.send("/proxy/one/x"))).toEqual(limited);
    lab.upstream.answer = () => reply("200 OK", [], "ok");
    const other = await lab.tenant.token(["connections:call:one"]);
    expect((await lab.send("/proxy/five/x")).status).toBe(200);
    expect((await lab.send("/proxy/one/x", { authorization: `Bearer ${other}` })).status).toBe(200);
    gate.release();
    expect((await busy).status).toBe(200);
    expect((await lab.send("/proxy/one/x")).status).toBe(200);
  });

  test("attack 89: one call after the other is one at a time, however fast, whatever becomes of it", async () => {
    const answers = [
      () => reply("200 OK", [], "ok"),
      () => reply("200 OK", [["Transfer-Encoding", "chunked"]], `${chunk("ok")}0\r\n\r\n`),
      () => reply("204 No Content"),
      () => reply("200 OK", [["Content-Encoding", "zstd"]], "refused"),
      () => ({ pieces: ["broken"] }),
    ];
    for (let call = 0; call < 60; call++) {
      lab.upstream.answer = answers[call % answers.length] as () => ReturnType<typeof reply>;
      expect((await lab.send("/proxy/one/x")).status).not.toBe(429);
    }
  });
});

describe("attack 89: old TLS", () => {
  const tooOld = [403, "TLS_TOO_OLD"];
  const targets = ["/v1/health", "/proxy/up/x", "/nowhere"];

  afterAll(() => lab.gateway.restart());

  test("attack 89: a deployment that cannot tell the version answers nothing, unless TLS is said to end in front of it", async () => {
    await lab.gateway.kill();
    for (const [bindings, expected] of [
      [{}, tooOld],
      [{ MIN_TLS: "1.2" }, tooOld],
      [{ MIN_TLS: "1.3" }, tooOld],
      [{ MIN_TLS: "1.1" }, [500, "MISCONFIGURED"]],
      [{ MIN_TLS: "" }, [500, "MISCONFIGURED"]],
      [{ MIN_TLS: "1.2", ENVIRONMENT: "development" }, tooOld],
    ] as const) {
      const deployed = await serveAs(lab.gateway, bindings);
      for (const target of targets) {
        const answer = await lab.send(target, { port: deployed.port });
        expect(refusalOf(answer), `${JSON.stringify(bindings)} ${target}`).toEqual(expected);
      }
      await deployed.stop();
    }
    const deployed = await serveAs(lab.gateway, { MIN_TLS: "terminated" });
    expect((await lab.send("/v1/health", { port: deployed.port })).status).toBe(200);
    await deployed.stop();
    expect(lab.upstream.requests).toEqual([]);
  });
});
