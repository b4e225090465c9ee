import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Answer, chunked, type Received, reply } from "../support/hostile-upstream.ts";
import { ENCODINGS } from "./encodings.ts";
import { leaksOf } from "./leaks.ts";
import { CANARY, KINDS, type KindName, type Lab, openLab } from "./support.ts";

const names = Object.keys(KINDS) as KindName[];
const PLAIN: [string, string] = ["Content-Type", "text/plain"];
let lab: Lab;
/** Echoes that came back: of every credential kind, in every place and framing, in every encoding. */
const matrix = { cells: 0, leakedBytes: 0 };

beforeAll(async () => {
  lab = await openLab(() => Object.fromEntries(names.map((name) => [name, { credential: KINDS[name] }])));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
  lab.upstream.answer = () => reply("200 OK", [PLAIN], "ok");
});

/** The credentials that a request carries, as an upstream reads them: of Basic the pair and the password. */
function credentialsOf(request: Received): string[] {
  const [authorization] = request.header("authorization");
  const [scheme = "", value = ""] = authorization?.split(" ") ?? [];
  if (scheme === "Bearer") return [value];
  if (scheme === "Basic") {
    const pair = Buffer.from(value, "base64").toString();
    return [pair, pair.slice(pair.indexOf(":") + 1)];
  }
  const [header] = request.header("x-api-key");
  return [header ?? new URL(request.target, "http://upstream").searchParams.get("key") ?? ""];
}

/** Every encoding of everything received, a line each. */
function echoes(request: Received): string[] {
  const credentials = credentialsOf(request);
  if (!credentials.includes(CANARY)) throw new Error("the credential did not arrive");
  return credentials.flatMap((credential) =>
    ENCODINGS.map(({ encode }) => `before ${encode(credential)} after`),
  );
}

/** Holds what an agent received against the lines that the upstream sent: same shape, nothing of the credential. */
function expectMasked(received: string, sent: readonly string[]): void {
  const lines = received.split("\n");
  expect(lines.length).toBe(sent.length);
  for (const [index, line] of lines.entries()) {
    const encoding = ENCODINGS[index % ENCODINGS.length]?.name;
    const leaks = leaksOf(line, CANARY);
    matrix.cells += 1;
    matrix.leakedBytes += leaks.join("").length;
    expect(leaks, encoding).toEqual([]);
    expect([line.length, line.slice(0, 7), line.slice(-6)], encoding).toEqual([
      sent[index]?.length,
      "before ",
      " after",
    ]);
  }
}

test.each(ENCODINGS)("attack $attack: a leak as $name would be found by this test", ({ encode }) => {
  expect(leaksOf(`before ${encode(CANARY)} after`, CANARY).length).toBeGreaterThan(30);
});

const FRAMINGS: Readonly<Record<string, (lines: string[]) => Answer>> = {
  "with a length": (lines) => reply("200 OK", [PLAIN], lines.join("\n")),
  "in one chunk": (lines) => chunked([PLAIN], [lines.join("\n")]),
  "a chunk for every 23 bytes": (lines) => chunked([PLAIN], lines.join("\n").match(/[^]{1,23}/g) ?? []),
  "until the end of the connection": (lines) => ({
    pieces: ["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", lines.join("\n")],
  }),
  "in an error": (lines) => reply("401 Unauthorized", [PLAIN], lines.join("\n")),
  "under gzip": (lines) => reply("200 OK", [PLAIN, ["Content-Encoding", "gzip"]], gzipSync(lines.join("\n"))),
  "under br": (lines) =>
    reply("200 OK", [PLAIN, ["Content-Encoding", "br"]], brotliCompressSync(lines.join("\n"))),
};

describe.each(names)("what a %s credential is echoed as", (name) => {
  test.each(Object.keys(FRAMINGS))("attack 36–39, 41: in the body, %s", async (framing) => {
    let sent: string[] = [];
    lab.upstream.answer = (request) => {
      sent = echoes(request);
      return FRAMINGS[framing]?.(sent) ?? reply("500 No such framing");
    };
    const answer = await lab.send(`/proxy/${name}/echo`);
    expectMasked(answer.text, sent);
    expect(answer.header("content-encoding")).toEqual([]);
    if (name === "basic")
      expect(answer.text).not.toContain(Buffer.from(`AC-account:${CANARY}`).toString("base64").slice(0, 12));
  });

  test("attack 36–39: in headers and their names", async () => {
    let sent: string[] = [];
    lab.upstream.answer = (request) => {
      sent = echoes(request);
      const hex = Buffer.from(CANARY).toString("hex");
      return reply("200 OK", [
        ...sent.map((line, index): [string, string] => [`X-Echo-${index}`, line]),
        [`X-${hex}`, "1"],
      ]);
    };
    const answer = await lab.send(`/proxy/${name}/echo`);
    expectMasked(sent.map((_line, index) => answer.header(`x-echo-${index}`).join()).join("\n"), sent);
    expect(leaksOf(answer.wire, CANARY)).toEqual([]);
  });

  test("attack 36: in the status text, in trailers, in early hints, in the end of a chunk's size", async () => {
    const places: readonly ((text: string) => Answer)[] = [
      (text) => reply(`200 ${text}`, [], "x"),
      (text) =>
        chunked([PLAIN, ["Trailer", "X-Echo"]], ["x"], {
          trailers: [`X-Echo: ${text}`, `Authorization: Bearer ${text}`],
        }),
      (text) => ({
        pieces: [
          `HTTP/1.1 103 Early Hints\r\nLink: </${text}>; rel=preload\r\n\r\n`,
          ...reply("200 OK", [], "x").pieces,
        ],
      }),
      (text) => ({
        pieces: [
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1;x=${text}\r\nx\r\n0\r\n\r\n`,
        ],
      }),
      (text) => ({ pieces: [`HTTP/1.1 200 OK\r\nX: \0${text}\r\n\r\n`] }),
      (text) => ({ pieces: [`${text} 200 OK\r\n\r\n`] }),
      (text) =>
        reply("407 Proxy Authentication Required", [["Proxy-Authenticate", `Basic realm="${text}"`]], "x"),
    ];
    for (const place of places) {
      for (const { encode, name: encoding } of ENCODINGS.filter((_encoding, index) => index % 5 === 0)) {
        lab.upstream.answer = (request) => place(encode(credentialsOf(request).at(-1) ?? ""));
        const answer = await lab.send(`/proxy/${name}/echo`);
        expect(leaksOf(answer.wire, CANARY), encoding).toEqual([]);
      }
    }
    expect(leaksOf(lab.gateway.logs(), CANARY)).toEqual([]);
  });

  test("attack 36, 38: the whole request, as it arrived", async () => {
    for (const write of [(head: string) => head, JSON.stringify, encodeURIComponent, btoa]) {
      lab.upstream.answer = ({ head }) => reply("200 OK", [["Content-Type", "message/http"]], write(head));
      const answer = await lab.send(`/proxy/${name}/trace`, { method: "POST", body: "x" });
      expect(leaksOf(answer.wire, CANARY)).toEqual([]);
      expect(answer.text).toContain("***");
    }
  });
});

test("attack 36–39: over the whole matrix of echoes, 0 bytes of the credential leaked", () => {
  // Basic is echoed twice: as the pair, and as the password alone.
  const places = Object.keys(FRAMINGS).length + 1;
  expect(matrix).toEqual({ cells: (names.length + 1) * places * ENCODINGS.length, leakedBytes: 0 });
});

const STREAMS: Readonly<Record<string, { type: string; around: (text: string) => [string, string] }>> = {
  text: { type: "text/plain", around: () => ["start ", " end"] },
  "server-sent events": {
    type: "text/event-stream",
    around: () => [': hi\n\nevent: delta\ndata: {"t":"', '"}\n\ndata: [DONE]\n\n'],
  },
  NDJSON: { type: "application/x-ndjson", around: () => ['{"a":1}\n{"t":"', '"}\n{"done":true}\n'] },
};

describe.each(Object.entries(STREAMS))(
  "attack 40: a stream of %s, cut anywhere",
  (_name, { type, around }) => {
    const split = ENCODINGS.filter(({ name }) =>
      ["raw", "base64 at 1", "percent, what a URL needs", "\\u, every character", "hex"].includes(name),
    );

    test.each(split)(
      "attack 40: $name, at a sample of its boundaries and at all of them at once",
      async ({ encode }) => {
        const text = encode(CANARY);
        const [before, after] = around(text);
        const whole = before + text + after;
        const first = before.length - 1;
        const step = Math.max(1, Math.floor(text.length / 16));
        const cuts = Array.from({ length: Math.ceil((text.length + 2) / step) }, (_cut, index) => [
          first + index * step,
        ]);
        const byBytes = Array.from({ length: whole.length }, (_cut, index) => index);
        const all = [...cuts, byBytes, byBytes.filter((at) => at % 5 === 0)];
        lab.upstream.answer = ({ target }) => {
          const edges = [0, ...(all[Number(target.slice(1))] ?? []), whole.length];
          return chunked(
            [["Content-Type", type]],
            edges.slice(1).map((edge, index) => whole.slice(edges[index], edge)),
          );
        };
        const answers = await Promise.all(all.map((_cuts, index) => lab.send(`/proxy/bearer/${index}`)));
        for (const [index, answer] of answers.entries()) {
          expect(leaksOf(answer.text, CANARY), `cut at ${all[index]?.join()}`).toEqual([]);
          expect([answer.text.length, answer.text.slice(0, first), answer.text.slice(-after.length)]).toEqual(
            [whole.length, whole.slice(0, first), after],
          );
        }
      },
    );
  },
);
