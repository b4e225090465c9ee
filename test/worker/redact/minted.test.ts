import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/gateway/redact/redactor.ts";
import { bytesOf, cut, pumped, SECRET, textOf } from "./echoes.ts";

const minted = createRedactor([bytesOf(SECRET)], { shapes: false, entropy: false, minted: true });
const off = createRedactor([bytesOf(SECRET)], { shapes: true, entropy: true, minted: false });
const whole = (text: string): string => textOf(minted.whole(bytesOf(text)));
const stars = (text: string): string => "*".repeat(text.length);

/** RFC 6749 §5.1, and what OpenID Connect adds to it. */
const TOKENS = {
  access_token: "2YotnFZFEjr1zCsicMWpAA",
  refresh_token: "tGzv3JOkF0XG5Qx2TlKWIA",
  id_token: "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwIn0.c2ln",
};
const answer = { ...TOKENS, token_type: "Bearer", expires_in: 3600, scope: "read write" };
const kept = Object.fromEntries(Object.entries(TOKENS).map(([name, token]) => [name, stars(token)]));

describe("attack 46: tokens that an upstream mints", () => {
  it("are masked in a token response, and nothing else of it is changed", () => {
    for (const write of [
      (value: unknown) => JSON.stringify(value),
      (value: unknown) => JSON.stringify(value, null, 2),
      (value: unknown) => JSON.stringify(value, null, "\t").replaceAll(":", " :").replaceAll("\n", "\r\n"),
    ]) {
      for (const place of [
        (value: unknown) => value,
        (value: unknown) => ({ ok: true, data: { auth: value } }),
        (value: unknown) => [[value], value],
      ]) {
        expect(whole(write(place(answer)))).toBe(write(place({ ...answer, ...kept })));
      }
    }
  });

  it("wherever in the text they stand, whatever they are made of", () => {
    for (const name of Object.keys(TOKENS)) {
      for (const token of [
        "x",
        "a b",
        'a\\"b',
        "a\\\\",
        "\\u0061\\/",
        "1//0g-x|y",
        "ü€𐍈",
        "t".repeat(5000),
      ]) {
        for (let shift = 0; shift < 24; shift++) {
          const [before, after] = [`{"${"s".repeat(shift)}":1,"${name}":"`, `","n":"${"e".repeat(shift)}"}`];
          expect(whole(before + token + after)).toBe(before + "*".repeat(bytesOf(token).length) + after);
        }
      }
    }
  });

  it("not where a name only ends like theirs, and nothing but strings", () => {
    for (const text of [
      '{"next_page_token":"abcdefgh","pageToken":"x","token":"y","xaccess_token":"z","access_tokens":"w"}',
      '{"access_token":null,"refresh_token":12,"id_token":{"a":"b"}}',
      '{"message":"the \\"access_token\\" is missing","access_token_url":"https://a.example"}',
      '["access_token","refresh_token"]',
      '{"client_secret":"pi_3MtwBwLkdIwHu7ix28a3tqPa_secret_YrKJUKribcBjcG8HVhfZluoGH","client_id":"x"}',
      '{"access_token":""}',
      '{"total_tokens":5,"prompt_tokens":12,"max_token":"1"}',
    ]) {
      const body = bytesOf(text);
      expect(minted.whole(body)).toBe(body);
    }
  });

  it("in a form, as GitHub answers, and in the fragment of a redirect", () => {
    expect(
      whole("access_token=gho_16C7e42F292c6912E7710c838347Ae178B4a&scope=repo%2Cgist&token_type=bearer"),
    ).toBe(`access_token=${"*".repeat(40)}&scope=repo%2Cgist&token_type=bearer`);
    expect(whole("token_type=bearer&refresh_token=a%2Fb&id_token=x\n")).toBe(
      "token_type=bearer&refresh_token=*****&id_token=*\n",
    );
    expect(minted.text("https://client.example/cb#access_token=2YotnFZF&state=x")).toBe(
      "https://client.example/cb#access_token=********&state=x",
    );
    for (const text of ["see access_token=abc", "a b access_token=abc", '{"u":"?access_token=abc"}']) {
      const body = bytesOf(text);
      expect(minted.whole(body)).toBe(body);
    }
  });

  it("in every event and line of a stream, wherever it is cut", async () => {
    for (const [mode, end] of [
      ["events", "\n\n"],
      ["lines", "\n"],
      ["distance", " "],
    ] as const) {
      const text = `data: {"a":1}${end}data: ${JSON.stringify(answer)}${end}data: {"access_token":"x"}${end}`;
      const masked = text
        .replace(JSON.stringify(answer), JSON.stringify({ ...answer, ...kept }))
        .replace('"x"', '"*"');
      const body = bytesOf(text);
      for (let offset = 1; offset < body.length; offset++)
        expect(textOf((await pumped(minted, mode, cut(body, [offset]))).output)).toBe(masked);
    }
  });

  it("attack 40: in a body of any size, with a token of any size", async () => {
    const around = '{"a":"b c"},'.repeat(300);
    const token = 'abc.DEF-123\\"/'.repeat(400);
    const body = bytesOf(`[${around}{"access_token" : "${token}","b":1},${around}1]`);
    const expected = `[${around}{"access_token" : "${stars(token)}","b":1},${around}1]`;
    expect(textOf(minted.whole(body))).toBe(expected);
    for (let offset = around.length - 20; offset < around.length + token.length + 60; offset += 29) {
      for (const offsets of [[offset], [offset, offset + 1, offset + 900], [offset - 1500, offset]]) {
        const { output } = await pumped(minted, "distance", cut(body, offsets));
        if (textOf(output) !== expected) expect(textOf(output)).toBe(expected);
      }
    }
  });

  it("are handed out where the connection says so", () => {
    const body = bytesOf(JSON.stringify({ access_token: "abcdefgh", refresh_token: "ijklmnop" }));
    expect(off.whole(body)).toBe(body);
    expect(off.text("/cb#access_token=2YotnFZF")).toBe("/cb#access_token=2YotnFZF");
  });
});
