import { expect, test } from "vitest";
import { decodeBase62 } from "../../../src/base/base62.ts";
import { Redacted } from "../../../src/base/redacted.ts";
import {
  credentialDigest,
  isCredential,
  newCredential,
  sameCredential,
} from "../../../src/identity/credential.ts";

const pepper = new Uint8Array(32).fill(7);
const key = newCredential("vka").reveal();

test("a key is recognisable: prefix, 256 bits and a checksum in 58 characters", () => {
  expect(key).toMatch(/^vka_[0-9A-Za-z]{54}$/);
  expect(decodeBase62(key.slice(4, 52))?.byteLength).toBe(32);
  expect(isCredential("vka", key)).toBe(true);
});

test("no two keys are alike", () => {
  const keys = Array.from({ length: 200 }, () => newCredential("vka").reveal());
  expect(new Set(keys).size).toBe(200);
});

test("changing any one character makes it no key", () => {
  for (let index = 0; index < key.length; index += 1) {
    const other = key[index] === "a" ? "b" : "a";
    expect(isCredential("vka", key.slice(0, index) + other + key.slice(index + 1)), `at ${index}`).toBe(
      false,
    );
  }
});

test.each([
  ["nothing", ""],
  ["a prefix alone", "vka_"],
  ["a truncated key", key.slice(0, -1)],
  ["a longer key", `${key}0`],
  ["a key in spaces", ` ${key}`],
  ["a member's credential", newCredential("vkm").reveal()],
  ["a key under a member's prefix", key.replace("vka_", "vkm_")],
])("%s is no agent key", (_, text) => {
  expect(isCredential("vka", text)).toBe(false);
});

test("what is stored of a key depends on the pepper and holds nothing of the key", () => {
  const digest = credentialDigest(pepper, key);
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  expect(credentialDigest(pepper, new Redacted(key))).toBe(digest);
  expect(credentialDigest(new Uint8Array(32).fill(8), key)).not.toBe(digest);
});

test("credentials of different lengths are compared and unequal", () => {
  expect(sameCredential(pepper, new Redacted("vkb_one"), "vkb_one")).toBe(true);
  expect(sameCredential(pepper, new Redacted("vkb_one"), "vkb_on")).toBe(false);
  expect(sameCredential(pepper, new Redacted("vkb_one"), "")).toBe(false);
});
