import { expect, test } from "vitest";
import { isRedactable } from "../../../src/vault/redactable.ts";

const check = (text: string) => isRedactable(Buffer.from(text));

test.each([
  "12345678",
  "sk_live_51Canary",
  "abcdefga",
  "aXbYcZdW",
  "pässwört",
  "0123456789abcdef0123456789abcdef",
])("%s can be found in a response", (text) => {
  expect(check(text)).toBe(true);
});

test.each([
  "",
  "a",
  "1234567",
  "aaaaaaaa",
  "abababab",
  "abcabcabc",
  "abcdabcd",
  "0".repeat(1_000),
  "abcdefg".repeat(3),
])("attack 44: %j is too short, or repeats itself too much, to be told from ordinary content", (text) => {
  expect(check(text)).toBe(false);
});

test("64 KiB of nearly equal bytes are judged in linear time", () => {
  const value = new Uint8Array(65_536);
  value[65_535] = 1;
  expect(isRedactable(value)).toBe(true);
});
