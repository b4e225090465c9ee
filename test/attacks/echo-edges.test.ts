import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freePorts } from "../../local/ports.ts";
import { chunked, reply } from "../support/hostile-upstream.ts";
import { placesWithSecrets } from "../support/canary.ts";
import type { RawResponse } from "../support/raw.ts";
import { leaksOf } from "./leaks.ts";
import { CANARY, codeOf, KINDS, type Lab, openLab } from "./support.ts";

/* The ends and edges of what comes back: ranges, cuts, errors, frames, caches, and what is out of reach. */

/** In base64, at every alignment, full of the two characters in which the alphabets differ. */
const DENSE = "?>~?>?>>??>~>??>?~";
const MIB = 1024 * 1024;

let lab: Lab;
let deadPort = 0;

beforeAll(async () => {
  [deadPort = 0] = await freePorts(1);
  lab = await openLab(() => ({
    bearer: {},
    query: { credential: KINDS.query },
    dense: { value: DENSE },
    slow: { credential: KINDS.query, limits: { timeout_seconds: 1 } },
    dead: { base_url: `http://127.0.0.1:${deadPort}`, credential: KINDS.query },
  }));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
  lab.upstream.answer = () => reply("200 OK", [], "ok");
});

test.each([0, 1, 2])(
  "attack 37: the URL-safe alphabet is found as the standard one, at %i",
  async (alignment) => {
    const bytes = Buffer.from(`${"id:".slice(0, alignment)}${DENSE}, and so on`);
    for (const encoding of ["base64", "base64url"] as const) {
      lab.upstream.answer = () =>
        reply("200 OK", [["X-Echo", bytes.toString(encoding)]], bytes.toString(encoding));
      const answer = await lab.send("/proxy/dense/x");
      expect(leaksOf(answer.wire, DENSE), encoding).toEqual([]);
      expect(answer.text).toContain("***");
    }
  },
);

describe("attack 42: a credential is not read out in pieces", () => {
  test("attack 42: byte ranges are not asked for, and not passed on where they come all the same", async () => {
    for (let at = 0; at < 8; at++) {
      lab.upstream.answer = () =>
        reply(
          "206 Partial Content",
          [["Content-Range", `bytes ${at}-${at}/${CANARY.length}`]],
          CANARY.slice(at, at + 1),
        );
      const answer = await lab.send("/proxy/bearer/echo", { headers: [`Range: bytes=${at}-${at}`] });
      expect([answer.status, codeOf(answer)]).toEqual([502, "UPSTREAM_REFUSED"]);
      expect(lab.upstream.last().header("range")).toEqual([]);
    }
  });

  test("attack 42: events and parts that come byte by byte are put together first", async () => {
    const text = `data: {"you sent":"${CANARY.replaceAll('"', '\\"')}"}\n\ndata: [DONE]\n\n`;
    const multipart = `--b\r\nContent-Type: text/plain\r\n\r\n${CANARY}\r\n--b--\r\n`;
    for (const [type, body] of [
      ["text/event-stream", text],
      ["multipart/mixed; boundary=b", multipart],
      ["multipart/form-data; boundary=b", multipart],
    ] as const) {
      lab.upstream.answer = () => chunked([["Content-Type", type]], [...body]);
      const answer = await lab.send("/proxy/bearer/echo");
      expect(answer.status).toBe(200);
      expect(leaksOf(answer.text, CANARY), type).toEqual([]);
      expect(answer.text.length, type).toBe(body.length);
    }
  });
});

describe("attack 43: a cut does not leave a prefix", () => {
  test("attack 43: where the upstream breaks off within the credential, what was held back is gone", async () => {
    const before = "a".repeat(40);
    for (const kept of [6, 20, CANARY.length - 1]) {
      const sent = before + CANARY.slice(0, kept);
      for (const head of [
        `HTTP/1.1 200 OK\r\nContent-Length: ${sent.length + 500}\r\nConnection: close\r\n\r\n`,
        `HTTP/1.1 200 OK\r\nContent-Length: ${sent.length + 500_000}\r\nConnection: close\r\n\r\n`,
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${(sent.length + 9).toString(16)}\r\n`,
      ]) {
        lab.upstream.answer = () => ({ pieces: [head, sent] });
        expect(leaksOf(await received("/proxy/bearer/cut"), CANARY), `${kept} of ${head}`).toEqual([]);
      }
    }
  });

  test("attack 43: where the gateway itself cuts a body off, it has masked it first", async () => {
    // 200 times its size is what a compressed body may grow to, and 16 MiB: the credential lies across that end.
    for (const inside of [6, 20, CANARY.length - 1]) {
      const body = gzipSync(`${" ".repeat(16 * MIB - inside)}${CANARY}${" ".repeat(MIB)}`);
      lab.upstream.answer = () => reply("200 OK", [["Content-Encoding", "gzip"]], body);
      const wire = await received("/proxy/bearer/bomb");
      expect(wire.length).toBeGreaterThan(15 * MIB);
      expect(wire.length).toBeLessThan(17 * MIB);
      expect(leaksOf(wire.subarray(-4 * 1024), CANARY), `${inside} inside`).toEqual([]);
    }
  });

  /** All that arrives until the connection ends, however it ends. */
  async function received(target: string): Promise<Buffer> {
    const response = await fetch(lab.gateway.url + target, {
      headers: { authorization: `Bearer ${lab.token}` },
    });
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of response.body ?? []) chunks.push(chunk);
    } catch {
      // The cut is what is tested.
    }
    return Buffer.concat(chunks);
  }
});

test.each(["abc", "1234567", "aaaaaaaaaaaaaaaa", "abcabcabcabcabc"])(
  "attack 44: %j, which could not be told from ordinary content, is stored with the reason and never sent",
  async (value) => {
    const { admin } = lab.tenant;
    const body = { value, allowed_hosts: [lab.upstream.authority] };
    const stored = await admin.call("PUT", "/v1/secrets/test/plain/KEY", { body });
    expect(stored.status).toBeLessThan(300);
    expect([stored.body.redactable, stored.body.warning]).toEqual([
      false,
      expect.stringContaining("shorter than 8"),
    ]);
    const connection = { base_url: lab.upstream.url, credential: KINDS.bearer, secret: "test/plain/KEY" };
    const made = await admin.call("POST", "/v1/connections", { body: { slug: "plain", ...connection } });
    expect([made.status, made.body.error.code]).toEqual([409, "SECRET_UNUSABLE"]);
  },
);

test("attack 44: a secret that became so after it was connected is not sent any more", async () => {
  const way = { base_url: lab.upstream.url, credential: KINDS.bearer };
  await lab.tenant.connect("late", { ...way, value: "long enough to be found again" });
  const changed = await lab.tenant.admin.must("PUT", "/v1/secrets/test/late/KEY", { value: "shorter" });
  await sleep(Date.parse(changed.effective_at) - Date.now() + 50);
  const answer = await lab.send("/proxy/late/x");
  expect([answer.status, codeOf(answer)]).toEqual([409, "SECRET_UNUSABLE"]);
  expect(lab.upstream.requests).toEqual([]);
});

test.each(["text/csv", "application/octet-stream", null])(
  "attack 41: UTF-16 that nobody labels is searched all the same: %s",
  async (type) => {
    for (const swap of [false, true]) {
      for (const filler of ["", "x".repeat(100_000)]) {
        const wide = Buffer.from(`\ufeffname,key\r\n${filler},${CANARY}\r\n`, "utf16le");
        if (swap) wide.swap16();
        lab.upstream.answer = () => reply("200 OK", type === null ? [] : [["Content-Type", type]], wide);
        const { body, status } = await lab.send("/proxy/bearer/x");
        expect([status, body.length]).toEqual([200, wide.length]);
        const narrow = (swap ? Buffer.from(body).swap16() : body).toString("utf16le");
        expect(leaksOf(Buffer.from(narrow), CANARY)).toEqual([]);
        expect(narrow.endsWith("\r\n")).toBe(true);
      }
    }
  },
);

test("attack 41: a file that the upstream packed itself is out of reach, and the threat model says so", async () => {
  const packed = gzipSync(`the key is ${CANARY}`);
  lab.upstream.answer = () => reply("200 OK", [["Content-Type", "application/gzip"]], packed);
  expect((await lab.send("/proxy/bearer/x")).body).toEqual(packed);
  const model = readFileSync(new URL("../../docs/threat-model.md", import.meta.url), "utf8");
  expect(model).toMatch(/## Out of scope\n[^#]*attack 41\)[^#]*packed/);
});

test("attack 45: reversed and interleaved echoes pass, and the threat model says so", async () => {
  const reversed = [...CANARY].reverse().join("");
  const interleaved = [...CANARY].join("·");
  lab.upstream.answer = () => reply("200 OK", [], `${reversed} ${interleaved}`);
  const answer = await lab.send("/proxy/bearer/x");
  expect(answer.text).toBe(`${reversed} ${interleaved}`);
  const model = readFileSync(new URL("../../docs/threat-model.md", import.meta.url), "utf8");
  expect(model).toMatch(/## Out of scope\n[^#]*attack 45\)[^#]*reversed, interleaved with/);
});

test("attack 46: tokens that the upstream mints are kept back as well, in JSON, in a form and in a stream", async () => {
  const minted = [
    "ya29.a0AfB_byC1x2mZ7kQw",
    "1//0gLxk3VtP-9sYrT4u",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln",
  ];
  const [access_token = "", refresh_token = "", id_token = ""] = minted;
  const members = {
    access_token,
    expires_in: 3599,
    refresh_token,
    scope: "a b",
    id_token,
    token_type: "Bearer",
  };
  const json = JSON.stringify(members);
  const form = `access_token=${access_token}&scope=repo&token_type=bearer`;
  for (const answer of [
    reply("200 OK", [["Content-Type", "application/json"]], json),
    reply("200 OK", [["Content-Type", "application/json"]], JSON.stringify(members, null, 2)),
    reply("400 Bad Request", [["Content-Type", "application/json"]], json),
    reply("200 OK", [["Content-Type", "application/x-www-form-urlencoded"]], form),
    chunked([["Content-Type", "application/json"]], [...json]),
  ]) {
    lab.upstream.answer = () => answer;
    const { text } = await lab.send("/proxy/bearer/oauth/token", { method: "POST", body: "a=b" });
    for (const token of minted) expect(text).not.toContain(token.slice(0, 12));
    expect(text).toMatch(/scope/);
    expect(text).toMatch(/bearer/i);
  }
});

describe("attack 47: what goes wrong says nothing of the credential", () => {
  test("attack 47: an upstream that is not there, breaks off, stalls or answers nonsense", async () => {
    const pieces = {
      "breaks off": [],
      nonsense: [`${CANARY} nonsense\r\n\r\n`],
      "a bad header": [`HTTP/1.1 200 OK\r\nX: \0${CANARY}\r\n\r\n`],
      "a bad chunk": [`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${CANARY}\r\n`],
    };
    // Undefined: the answer broke off, as the upstream's did.
    const answers: (RawResponse | undefined)[] = [await lab.send("/proxy/dead/x?a=b")];
    for (const slug of ["bearer", "query"]) {
      for (const sent of Object.values(pieces)) {
        lab.upstream.answer = () => ({ pieces: sent });
        answers.push(await lab.send(`/proxy/${slug}/x`).catch(() => undefined));
      }
    }
    lab.upstream.answer = () => new Promise(() => undefined);
    answers.push(await lab.send("/proxy/slow/x"));
    const wires = answers.map((answer) => answer?.wire.toString() ?? "");
    expect(leaksOf(wires.join("\n"), CANARY)).toEqual([]);
    expect(wires.join("\n")).not.toContain("key=");
    const statuses = answers.map((answer) => answer?.status);
    expect(statuses).toContain(504);
    expect(statuses.filter((status) => status === 502).length).toBeGreaterThan(3);
  });

  test("attack 47: neither log, nor database, nor object, nor ledger holds it", async () => {
    const { events } = await lab.tenant.admin.must("GET", "/v1/audit?limit=1000");
    expect(events.length).toBeGreaterThan(5);
    expect(leaksOf(JSON.stringify(events), CANARY)).toEqual([]);
    expect(leaksOf(lab.gateway.logs(), CANARY)).toEqual([]);
    expect(placesWithSecrets(lab.gateway.stateDir, lab.gateway.logs())).toEqual([]);
  });

  test("attack 47: a value that a person pastes into the wrong field is not repeated", async () => {
    for (const [method, path, body] of [
      [
        "POST",
        "/v1/connections",
        { slug: "evil", base_url: CANARY, credential: { kind: CANARY }, secret: CANARY },
      ],
      ["POST", "/v1/connections", { slug: CANARY, provider: CANARY, secret: "test/bearer/KEY" }],
      ["PUT", "/v1/secrets/test/bearer/KEY", { value: "long enough to be one", secret_type: CANARY }],
      ["PUT", "/v1/secrets/test/bearer/KEY", { value: "long enough to be one", allowed_hosts: [CANARY] }],
      ["POST", "/v1/secrets/import", { namespace: "test", content: `A=${CANARY}\nB` }],
      ["POST", "/v1/secrets/import", { namespace: "test", content: CANARY }],
      ["POST", "/v1/agents", { name: "one", [CANARY]: true }],
    ] as const) {
      const answer = await lab.tenant.admin.call(method, path, { body });
      expect(answer.status, path).toBe(400);
      expect(leaksOf(JSON.stringify(answer.body), CANARY), path).toEqual([]);
    }
    expect(leaksOf(lab.gateway.logs(), CANARY)).toEqual([]);
  });
});

test("attack 48: a WebSocket, whose frames nobody could mask, is refused before anything leaves", async () => {
  const upgrade = ["Upgrade: websocket", "Connection: Upgrade"];
  const lines = [...upgrade, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
  for (const headers of [lines, lines.map((line) => line.replace("websocket", "WebSocket"))]) {
    const answer = await lab.send("/proxy/bearer/socket", { headers });
    expect([answer.status, codeOf(answer)]).toEqual([400, "HEADER_REFUSED"]);
  }
  expect(lab.upstream.requests).toEqual([]);
});

test("attack 49: nothing of what comes back may be kept by a cache, whatever the upstream says", async () => {
  const headers = [
    ["Cache-Control", "public, max-age=31536000, immutable"],
    ["Expires", "Thu, 01 Jan 2099 00:00:00 GMT"],
    ["Age", "0"],
    ["ETag", '"1"'],
  ] as const;
  for (const [status, method] of [
    ["200 OK", "GET"],
    ["200 OK", "HEAD"],
    ["204 No Content", "GET"],
    ["301 Moved Permanently", "GET"],
    ["304 Not Modified", "GET"],
    ["404 Not Found", "GET"],
    ["500 Oops", "POST"],
  ] as const) {
    lab.upstream.answer = () => reply(status, headers, "");
    const answer = await lab.send("/proxy/bearer/x", { method, ...(method === "POST" ? { body: "a" } : {}) });
    expect(answer.header("cache-control"), status).toEqual(["no-store"]);
    for (const name of ["expires", "age"]) expect(answer.header(name), `${status} ${name}`).toEqual([]);
  }
  for (const target of ["/proxy/absent/x", "/proxy/bearer/%2e%2e", "/v1/health", "/v1/me", "/v1/nothing"])
    expect((await lab.send(target)).header("cache-control"), target).toEqual(["no-store"]);
  const unauthorized = await lab.send("/proxy/bearer/x", { authorization: null });
  expect([unauthorized.status, unauthorized.header("cache-control")]).toEqual([401, ["no-store"]]);
});
