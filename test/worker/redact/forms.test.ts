import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/gateway/redact/redactor.ts";
import { bytesOf, ECHOES, PLAIN_SECRET, SECRET, textOf } from "./echoes.ts";

const SECRETS = { "with special characters": SECRET, plain: PLAIN_SECRET, "of eight characters": "hunter2x" };

function wholeText(secrets: string | readonly string[], text: string): string {
  const values = [secrets].flat().map(bytesOf);
  return textOf(createRedactor(values).whole(bytesOf(text)));
}

describe("what an upstream echoes is masked in place", () => {
  for (const [kind, secret] of Object.entries(SECRETS)) {
    const redactor = createRedactor([bytesOf(secret)]);
    for (const [name, encode] of Object.entries(ECHOES)) {
      const wrapped = name.includes("lines");
      it(`attack 36, 39: ${name}; a secret ${kind}`, () => {
        const echo = encode(secret);
        const before = '{"status":401,"detail":"bad key ';
        const after = ' for caf\u00e9","next":"a\\nb"}';
        const masked = textOf(redactor.whole(bytesOf(before + echo + after)));
        expect(masked.startsWith(before)).toBe(true);
        expect(masked.endsWith(after)).toBe(true);
        const middle = masked.slice(before.length, -after.length);
        expect(middle.length).toBe(echo.length);
        // What is left is padding, and the filler around a wrapped secret.
        if (!wrapped) expect(middle).toMatch(/^\*+(=|%3D|\\u003d)*$/i);
        else expect(leftOf(echo, middle)).not.toContain(secret.slice(0, 3));
      });
      it(`attack 36: ${name}, in a header value; a secret ${kind}`, () => {
        const header = `Bearer realm="x", error="${encode(secret)}"`;
        const masked = redactor.text(header);
        expect(masked).not.toBe(header);
        expect(masked.length).toBe(header.length);
        expect(masked.startsWith('Bearer realm="x", error="')).toBe(true);
      });
    }
  }

  /** The base64 text whose characters were not masked, decoded. */
  function leftOf(echo: string, masked: string): string {
    const kept = [...echo].map((char, i) => (masked[i] === "*" ? "A" : char)).join("");
    return Buffer.from(kept.replaceAll(/\\[rn]|[^A-Za-z0-9+/]/g, ""), "base64").toString("latin1");
  }

  for (const alignment of [0, 1, 2, 3, 4, 5]) {
    for (const encoding of ["base64", "base64url"] as const) {
      for (const secret of Object.values(SECRETS)) {
        it(`attack 37: ${encoding} at offset ${alignment}, ${secret.length} characters, no bit is left`, () => {
          const before = "x".repeat(alignment);
          for (const after of ["", "!", "!!", "!!!"]) {
            for (const padding of [true, false]) {
              const plain = Buffer.from(before + secret + after);
              let echo = plain.toString(encoding);
              if (!padding) echo = echo.replaceAll("=", "");
              const masked = wholeText(secret, `"${echo}"`);
              const first = Math.floor((8 * alignment) / 6);
              const last = Math.ceil((8 * (alignment + secret.length)) / 6);
              expect(masked).toBe(`"${echo.slice(0, first)}${"*".repeat(last - first)}${echo.slice(last)}"`);
            }
          }
        });
      }
    }
  }

  it("attack 38: the rendered Basic credential goes as a whole, and the secret alone too", () => {
    const values = [PLAIN_SECRET, `user:${PLAIN_SECRET}`];
    const basic = Buffer.from(`user:${PLAIN_SECRET}`).toString("base64");
    expect(wholeText(values, `Authorization: Basic ${basic}.`)).toBe(
      `Authorization: Basic ${"*".repeat(basic.length)}.`,
    );
    expect(wholeText(values, `user:${PLAIN_SECRET},`)).toBe(`${"*".repeat(5 + PLAIN_SECRET.length)},`);
    const other = Buffer.from(`other:${PLAIN_SECRET}`).toString("base64");
    expect(wholeText(values, other)).toMatch(/^b3RoZXI6\*+=*$/);
  });

  it("a space comes back as + or %20 and is found", () => {
    const secret = "correct horse battery";
    for (const echo of ["correct+horse+battery", "correct%20horse+battery", "correct horse%20battery"]) {
      expect(wholeText(secret, `k=${echo}&x=1`)).toBe(`k=${"*".repeat(echo.length)}&x=1`);
    }
  });

  it("a secret in other letter case is found", () => {
    expect(wholeText(PLAIN_SECRET, PLAIN_SECRET.toUpperCase())).toBe("*".repeat(PLAIN_SECRET.length));
  });

  it("a secret that itself holds escapes is found raw, undone and escaped once more", () => {
    const secret = "p%40ss\\u0077ord&amp;more-of-it";
    for (const echo of [
      secret,
      encodeURIComponent(secret),
      JSON.stringify(secret).slice(1, -1),
      "p@ssword&more-of-it",
      secret.replace("s", "\\u0073"),
    ]) {
      expect(wholeText(secret, `"${echo}"`)).toBe(`"${"*".repeat(echo.length)}"`);
    }
  });

  it("a secret of several lines is found with other line ends, escaped or trimmed", () => {
    const secret = "-----BEGIN KEY-----\nMIIBVgIBADANBgkq\nhkiG9w0BAQEF\n-----END KEY-----\n";
    const trimmed = secret.trim();
    for (const echo of [
      secret.trim(),
      trimmed.replaceAll("\n", "\r\n"),
      JSON.stringify(trimmed).slice(1, -1),
      JSON.stringify(JSON.stringify(trimmed)).slice(3, -3),
      encodeURIComponent(trimmed),
    ]) {
      expect(wholeText(secret, `"${echo}"`)).toBe(`"${"*".repeat(echo.length)}"`);
    }
  });

  it("characters above ASCII are found as UTF-8, as Latin-1, as both in turn and escaped", () => {
    const secret = "motdepass\u00e9-\u00fcnique";
    for (const echo of [
      secret,
      "motdepass\\u00e9-\\u00fcnique",
      "motdepass\\u00c3\\u00a9-\\u00c3\\u00bcnique",
      "motdepass&#233;-&#xFC;nique",
      "motdepass%C3%A9-%c3%bcnique",
      "motdepass%E9-%FCnique",
      Buffer.from(secret).toString("latin1"),
    ]) {
      expect(wholeText(secret, `"${echo}"`)).toMatch(/^"\*+"$/);
    }
    expect(createRedactor([bytesOf(secret)]).text(secret)).toMatch(/^\*+$/);
    expect(createRedactor([bytesOf(secret)]).text(Buffer.from(secret).toString("latin1"))).toMatch(/^\*+$/);
  });

  it("two secrets that overlap are both masked", () => {
    expect(wholeText(["abcdefghij", "fghijklmno"], "-abcdefghijklmno-")).toBe(`-${"*".repeat(15)}-`);
  });

  it("a secret of 64 KiB is found raw, in base64 and escaped", () => {
    const secret = Array.from({ length: 65_536 }, (_, i) =>
      String.fromCharCode(33 + ((i * 7919 + (i >> 5)) % 90)),
    ).join("");
    const redactor = createRedactor([bytesOf(secret)]);
    for (const encode of [
      (s: string) => s,
      JSON.stringify,
      encodeURIComponent,
      (s: string) => Buffer.from(s).toString("base64"),
    ]) {
      const masked = textOf(redactor.whole(bytesOf(`<${encode(secret)}>`)));
      expect(masked).toMatch(/^<"?\**=?=?"?>$/);
    }
  });

  it("the same array and the same string come back where nothing is found", () => {
    const redactor = createRedactor([bytesOf(SECRET)]);
    const body = bytesOf('{"a":"b\\n%20&amp;"}');
    expect(redactor.whole(body)).toBe(body);
    expect(redactor.text("text/plain; x=%41")).toBe("text/plain; x=%41");
  });

  it("the body that was given is never written to", () => {
    const body = bytesOf(`key=${SECRET}`);
    const copy = body.slice();
    createRedactor([bytesOf(SECRET)]).whole(body);
    expect(body).toEqual(copy);
  });
});
