import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chunked, reply } from "../support/hostile-upstream.ts";
import { type Lab, openLab } from "./support.ts";

/** RFC 6749 §5.1's own example, and a token of the shape that GitHub's have. */
const TOKENS = {
  access_token: "2YotnFZFEjr1zCsicMWpAA",
  refresh_token: "tGzv3JOkF0XG5Qx2TlKWIA",
  id_token: "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl",
};
const ANSWER = JSON.stringify({ ...TOKENS, token_type: "Bearer", expires_in: 3600 }, null, 2);
const MASKED = Object.values(TOKENS).reduce(
  (text, token) => text.replace(token, "*".repeat(token.length)),
  ANSWER,
);
const JSON_TYPE: [string, string] = ["Content-Type", "application/json"];

let lab: Lab;
beforeAll(async () => {
  lab = await openLab(() => ({ up: {}, trusted: { redact: { minted: false } } }));
});
afterAll(() => lab.close());

const filler = JSON.stringify({ filler: Array.from({ length: 9_000 }, (_, index) => `item ${index}`) });

describe("attack 46: tokens that the upstream mints are kept back", () => {
  test.each([
    ["with a length", () => reply("200 OK", [JSON_TYPE], ANSWER)],
    ["in chunks of 7 bytes", () => chunked([JSON_TYPE], ANSWER.match(/[^]{1,7}/g) ?? [])],
    ["under gzip", () => reply("200 OK", [JSON_TYPE, ["Content-Encoding", "gzip"]], gzipSync(ANSWER))],
    ["as text", () => reply("200 OK", [["Content-Type", "text/html"]], ANSWER)],
    ["with an error's status", () => reply("400 Bad Request", [JSON_TYPE], ANSWER)],
  ])("a token response %s", async (_how, answer) => {
    lab.upstream.answer = answer;
    expect((await lab.send("/proxy/up/oauth/token", { method: "POST", body: "x" })).text).toBe(MASKED);
  });

  test("at the end of a body that is too large to be read whole", async () => {
    lab.upstream.answer = () => reply("200 OK", [JSON_TYPE], `[${filler},${ANSWER}]`);
    expect((await lab.send("/proxy/up/all")).text).toBe(`[${filler},${MASKED}]`);
  });

  test("in an event of a stream and a line of NDJSON", async () => {
    const line = JSON.stringify(TOKENS);
    for (const [type, end] of [
      ["text/event-stream", "\n\n"],
      ["application/x-ndjson", "\n"],
    ] as const) {
      lab.upstream.answer = () =>
        chunked([["Content-Type", type]], `data: ${line}${end}data: {}${end}`.match(/[^]{1,11}/g) ?? []);
      const { text } = await lab.send("/proxy/up/stream");
      for (const token of Object.values(TOKENS)) expect(text).not.toContain(token.slice(0, 6));
      expect(text.length).toBe(`data: ${line}${end}data: {}${end}`.length);
    }
  });

  test("in a form, and in the fragment of a redirect", async () => {
    lab.upstream.answer = () =>
      reply(
        "302 Found",
        [
          ["Content-Type", "application/x-www-form-urlencoded"],
          ["Location", `https://client.example/cb#access_token=${TOKENS.access_token}&state=x`],
        ],
        `access_token=${TOKENS.access_token}&token_type=bearer`,
      );
    const answer = await lab.send("/proxy/up/login/oauth/access_token");
    expect(answer.text).toBe(`access_token=${"*".repeat(22)}&token_type=bearer`);
    expect(answer.header("location")).toEqual([
      `https://client.example/cb#access_token=${"*".repeat(22)}&state=x`,
    ]);
  });

  test("unless the connection says otherwise", async () => {
    lab.upstream.answer = () => reply("200 OK", [JSON_TYPE], ANSWER);
    expect((await lab.send("/proxy/trusted/oauth/token")).text).toBe(ANSWER);
  });
});
