import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/gateway/redact/redactor.ts";
import { bytesOf, cut, ONCE, pumped, textOf, TWICE } from "./echoes.ts";

const printable = (minLength: number, maxLength: number) =>
  fc
    .array(fc.integer({ min: 0x21, max: 0x7e }), { minLength, maxLength })
    .map((codes) => String.fromCharCode(...codes));

/** A decoder of its own, written without regard to speed, that undoes all escapes until nothing changes. */
function decodeFully(text: string): string {
  const once = decodeOnce(text);
  return once === text ? text : decodeFully(once);
}

function decodeOnce(text: string): string {
  return text
    .replaceAll(/\\u\{([0-9a-f]+)\}|\\u([0-9a-f]{4})|\\x([0-9a-f]{2})|%([0-9a-f]{2})/gi, (_, a, b, c, d) =>
      String.fromCodePoint(Number.parseInt(a ?? b ?? c ?? d, 16)),
    )
    .replaceAll(/&#x0*([0-9a-f]{1,4});/gi, (_, digits: string) =>
      String.fromCodePoint(Number.parseInt(digits, 16)),
    )
    .replaceAll(/&#0*(\d{1,4});/g, (_, digits: string) => String.fromCodePoint(Number(digits)))
    .replaceAll(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCodePoint(Number.parseInt(digits, 8)))
    .replaceAll(/&amp;/g, "&")
    .replaceAll(/\\([^A-Za-z0-9*])/g, "$1");
}

const single = Object.values(ONCE);
const encoders = [...single, ...Object.values(TWICE)];
const echo = fc
  .record({
    secret: printable(8, 120),
    choices: fc.array(fc.nat(2 * encoders.length - 1), { minLength: 120, maxLength: 120 }),
    before: printable(0, 200),
    after: printable(0, 200),
    filler: fc.nat(9000),
    cuts: fc.array(fc.nat(15_000), { maxLength: 8 }),
    mode: fc.constantFrom("events", "lines", "distance" as const),
  })
  .map(({ secret, choices, before, after, filler, ...rest }) => {
    // Where the secret holds what begins an escape, all encodings are equally deep and that character is encoded:
    // otherwise no decoder, not even the right one, could tell its own escapes from those of the secret.
    const leads = /[%\\&]/;
    const usable = leads.test(secret) ? single : encoders;
    const encoded = [...secret].map((char, i) => {
      const encode =
        usable[choices[i]!] ?? (leads.test(char) ? single[choices[i]! % single.length] : undefined);
      return encode ? encode(char) : char;
    });
    return {
      secret,
      encoded: encoded.join(""),
      before: `${"%20".repeat(filler / 3)}${before} "`,
      after: `" ${after}${"\\n".repeat(filler / 2)}`,
      ...rest,
    };
  });

describe("for any secret, encoded character by character in any mix", () => {
  it("attack 39: the secret is in no decoding of what goes out, and all around it is as it was", async () => {
    await fc.assert(
      fc.asyncProperty(echo, async ({ secret, encoded, before, after, cuts, mode }) => {
        const body = bytesOf(before + encoded + after);
        const redactor = createRedactor([bytesOf(secret)]);
        const offsets = cuts.filter((offset) => offset < body.length).toSorted((a, b) => a - b);
        const output = textOf((await pumped(redactor, mode as "lines", cut(body, offsets))).output);
        expect(output).toBe(before + "*".repeat(encoded.length) + after);
        expect(decodeFully(output).toLowerCase()).not.toContain(secret.toLowerCase());
        expect(output).toBe(textOf(redactor.whole(body)));
      }),
      { numRuns: 300, seed: 20_261_102 },
    );
  });

  it("a body that does not hold the secret passes unchanged", async () => {
    await fc.assert(
      fc.asyncProperty(
        printable(8, 40),
        fc.json(),
        fc.uint8Array({ maxLength: 3000 }),
        async (secret, json, binary) => {
          const redactor = createRedactor([bytesOf(secret)]);
          const text = bytesOf(json);
          fc.pre(!decodeFully(json).toLowerCase().includes(secret.toLowerCase()));
          expect(redactor.whole(text)).toBe(text);
          expect(redactor.whole(binary)).toBe(binary);
          const { output } = await pumped(redactor, "distance", cut(binary, [binary.length >> 1]));
          expect(output).toEqual(new Uint8Array(binary));
        },
      ),
      { numRuns: 300, seed: 20_261_102 },
    );
  });
});
