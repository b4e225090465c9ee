import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBase62, encodeBase62 } from "../../../src/base/base62.ts";
import { checksum, crc32 } from "../../../src/base/crc32.ts";

const words = fc
  .uint8Array({ maxLength: 64 })
  .map((bytes) => bytes.subarray(0, bytes.length - (bytes.length % 4)));

describe("base62", () => {
  test("gives back the bytes it was given, in a length that only depends on theirs", () => {
    fc.assert(
      fc.property(words, (bytes) => {
        const text = encodeBase62(bytes);
        expect(text).toMatch(/^[0-9A-Za-z]*$/);
        expect(text.length).toBe((bytes.length / 4) * 6);
        expect(decodeBase62(text)).toEqual(new Uint8Array(bytes));
      }),
    );
  });

  test("reads bytes that are a view into a larger buffer", () => {
    const whole = new Uint8Array([9, 9, 9, 9, 0, 0, 0, 61, 9]);
    expect(encodeBase62(whole.subarray(4, 8))).toBe("00000z");
  });

  test("has one text for the largest chunk and none beyond it", () => {
    expect(encodeBase62(new Uint8Array([255, 255, 255, 255]))).toBe("4gfFC3");
    expect(decodeBase62("4gfFC3")).toEqual(new Uint8Array([255, 255, 255, 255]));
    expect(decodeBase62("4gfFC4")).toBeNull();
    expect(decodeBase62("zzzzzz")).toBeNull();
  });

  test("whatever it decodes, it encodes to the same text", () => {
    const digits = [..."0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"];
    const text = fc.string({ unit: fc.constantFrom(...digits, "-", "é", "\u0130"), maxLength: 12 });
    fc.assert(
      fc.property(text, (candidate) => {
        const bytes = decodeBase62(candidate);
        if (bytes !== null) expect(encodeBase62(bytes)).toBe(candidate);
        if (candidate.length % 6 !== 0 || !/^[0-9A-Za-z]*$/.test(candidate)) expect(bytes).toBeNull();
      }),
      { numRuns: 2_000 },
    );
  });

  test("refuses bytes that are no multiple of four", () => {
    expect(() => encodeBase62(new Uint8Array(5))).toThrow(RangeError);
  });
});

describe("CRC-32", () => {
  test.each([
    ["", 0],
    ["123456789", 0xcbf4_3926],
    ["The quick brown fox jumps over the lazy dog", 0x414f_a339],
    ["ü", 0x63d9_69d5],
  ])("of %j is the published one", (text, value) => {
    expect(crc32(text)).toBe(value);
  });

  test("fills six base62 characters, small values too", () => {
    expect(checksum("")).toBe("000000");
    expect(checksum("123456789")).toMatch(/^[0-9A-Za-z]{6}$/);
  });
});
