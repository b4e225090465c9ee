import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/gateway/redact/redactor.ts";
import { bytesOf, cut, PLAIN_SECRET, pumped, textOf } from "./echoes.ts";

/** What may stand before a secret so that its first characters end an escape, and the secrets it is so for. */
const BEFORE: readonly (readonly [string, readonly string[]])[] = [
  ["%", ["41cd/Aefg+01=x", "25cd/Aefg+01=x", "Fe/d&Aefg+01=x"]],
  ["%4", ["1cd/&efg+01=xy", "a/cd&efg+01=xy"]],
  ["%u004", ["1cd/&efg+01=xy"]],
  ["\\", ["u0041cd/&efg+01", "x41/cd&efg+01=x", "101d&/efg+01=xy", "nab/cd&efg+01="]],
  ["\\u00", ["41cd/Aefg+01=x", "2f/d&Aefg+01=x"]],
  ["\\u004", ["1cd/&efg+01=xy"]],
  ["\\x4", ["1cd/&efg+01=xy"]],
  ["\\10", ["1cd/&efg+01=xy"]],
  ["&", ["amp;/cd+efg&01=", "lt;ab/cd+efg01=", "#65;/cd+efg01=x"]],
  ["&#", ["65;/cd+efg01=x", "x41/&cd+efg01=x", "38/cd+&efg01=xyz"]],
  ["&#x", ["41cd/Aefg+01=x&"]],
];
/** The same at a secret's end. */
const BEHIND: readonly (readonly [string, readonly string[]])[] = [
  ["1", ["cd/Aefg+01=x%4", "cd/Aefg+&=\\x4", "cd/Aefg&01\\u004"]],
  ["41", ["cd/Aefg&+01=x%", "cd/Aefg+01&=\\x"]],
  ["n", ["cd/Ae&fg+01=x\\"]],
  ["lt;", ["cd/Aefg+01=%x&"]],
  ["#65;", ["cd/Aefg+01=%x&"]],
];
const ESCAPED: Readonly<Record<string, (secret: string) => string>> = {
  "\\/": (secret) => secret.replaceAll("/", "\\/"),
  "\\u002f": (secret) => secret.replaceAll("/", "\\u002f"),
  "\\\\/": (secret) => secret.replaceAll("/", "\\\\/"),
  "&amp;": (secret) => secret.replaceAll("&", "&amp;"),
  "&#x26;": (secret) => secret.replaceAll("&", "&#x26;"),
  "&amp;amp;": (secret) => secret.replaceAll("&", "&amp;amp;"),
  "%2F": (secret) => secret.replaceAll("/", "%2F").replaceAll("&", "%26").replaceAll("+", "%2B"),
  "%252f": (secret) => secret.replaceAll("/", "%252f"),
};

describe("attack 42: what stands beside a secret does not hide it", () => {
  for (const [name, escape] of Object.entries(ESCAPED)) {
    it(`where its first characters end what looks like an escape, and a later one is written ${name}`, async () => {
      for (const [before, secrets] of BEFORE) {
        for (const secret of secrets) {
          const written = escape(secret);
          // Escaped itself it does not end the escape.
          if (written.slice(0, 4) !== secret.slice(0, 4)) continue;
          await expectMasked(secret, before, written, "");
        }
      }
    });

    it(`where its last characters begin what looks like an escape, and an earlier one is written ${name}`, async () => {
      for (const [behind, secrets] of BEHIND) {
        for (const secret of secrets) {
          const written = escape(secret);
          if (written.slice(-6) !== secret.slice(-6)) continue;
          await expectMasked(secret, "", written, behind);
        }
      }
    });
  }

  it("where it stands across the end of a short line that follows longer ones", () => {
    const redactor = createRedactor([bytesOf(PLAIN_SECRET)]);
    const start = `${"A".repeat(76)}\r\nBBBB`;
    const split = `${PLAIN_SECRET.slice(0, 10)}\n${PLAIN_SECRET.slice(10)}`;
    expect(redactor.text(`${start}${split}`)).toBe(`${start}${"*".repeat(split.length)}`);
  });

  it("many of them cost no more than their length", () => {
    const redactor = createRedactor([bytesOf("41414141/41414141&%4")]);
    for (const unit of ["%41", "\\u0041", "%41\\u0041&#41;", "\\\\u0041", "%2541", "%41\\/"]) {
      const body = bytesOf(unit.repeat(100_000 / unit.length));
      expect(redactor.whole(body)).toBe(body);
    }
  });
});

async function expectMasked(secret: string, before: string, written: string, behind: string): Promise<void> {
  const redactor = createRedactor([bytesOf(secret)]);
  const start = `{"echo":"${before}`;
  const expected = `${start}${"*".repeat(written.length)}${behind}"}`;
  const body = `${start}${written}${behind}"}`;
  expect(redactor.text(body), body).toBe(expected);
  for (const at of [start.length - 1, start.length + 2, body.length - 4]) {
    const { output } = await pumped(redactor, "distance", cut(bytesOf(body), [at]));
    expect(textOf(output), body).toBe(expected);
  }
}
