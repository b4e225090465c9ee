import { describe, expect, it } from "vitest";
import { FormRedactor } from "../../../src/gateway/redact/redactor.ts";
import { bytesOf, cut, pumped, textOf } from "./echoes.ts";

/** Secrets and bodies made to be compared in vain: long runs, periods, and escapes of escapes. */
const SECRETS = {
  run: `${"a".repeat(3000)}b`,
  period: `${"ab".repeat(1000)}c`,
  short: "aaaaaaaa",
  mixed: "%41".repeat(40),
};
const UNITS = [
  "a",
  "ab",
  "\\",
  "%",
  "&",
  "%25",
  "&#",
  "&#0",
  "\\\\u0061",
  "%61",
  "&amp;",
  "61",
  "YWFh",
  "\n",
  "\r\n",
  "aaaa\n",
];

describe("attack 88: hostile bodies cost no more than their length", () => {
  for (const [name, secret] of Object.entries(SECRETS)) {
    it(`twice the body is at most about twice the comparisons, and few a byte; a secret that is a ${name}`, () => {
      for (const unit of UNITS) {
        const [once, twice] = [50_000, 100_000].map((size) => {
          const redactor = new FormRedactor([bytesOf(secret)]);
          redactor.whole(bytesOf(unit.repeat(size / unit.length)));
          return redactor.scanner.steps;
        });
        expect(twice!, unit).toBeLessThanOrEqual(2.2 * once! + 5000);
        expect(twice! / 100_000, unit).toBeLessThan(200);
      }
    });
  }

  it("what repeats is still masked to its last byte", () => {
    const redactor = new FormRedactor([bytesOf(SECRETS.short)]);
    for (const length of [5000, 5001, 5007]) {
      const body = bytesOf(`-${"a".repeat(length)}-`);
      expect(textOf(redactor.whole(body))).toBe(`-${"*".repeat(length)}-`);
    }
  });

  it("a body that arrives byte by byte is searched at most about twice", async () => {
    const secret = bytesOf("abab".repeat(10) + "c");
    const body = bytesOf("ab".repeat(20_000));
    const whole = new FormRedactor([secret]);
    whole.whole(body);
    const pieces = new FormRedactor([secret]);
    await pumped(pieces, "distance", cut(body, Array.from(body.keys()).slice(1)));
    expect(pieces.scanner.steps).toBeLessThanOrEqual(3 * whole.scanner.steps);
  });
});
