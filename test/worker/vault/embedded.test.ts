import { createDecipheriv, hkdfSync } from "node:crypto";
import { expect, test } from "vitest";
import { Problem } from "../../../src/base/problem.ts";
import { EmbeddedKeyProvider, embeddedKeyProvider } from "../../../src/vault/kms/embedded.ts";
import { NEXT_ROOT_KEY, ROOT_KEY } from "./fixtures.ts";
import { conformance } from "./key-provider.conformance.ts";

conformance("embedded", async () => ({
  before: new EmbeddedKeyProvider(`1:${ROOT_KEY}`),
  after: new EmbeddedKeyProvider(`2:${NEXT_ROOT_KEY},1:${ROOT_KEY}`),
}));

test("a wrapped key is what its documentation says: another implementation opens it", async () => {
  const dek = crypto.getRandomValues(new Uint8Array(32));
  const aad = Buffer.from("anything");
  const provider = new EmbeddedKeyProvider(`1:${ROOT_KEY}`);
  const wrapped = Buffer.from((await provider.wrap("ten_a", dek, aad)).wrapped, "base64");
  const info = JSON.stringify(["valetkey kek", "ten_a", "1"]);
  const kek = hkdfSync("sha256", Buffer.from(ROOT_KEY, "base64"), "valetkey/embedded/1", info, 32);
  const decipher = createDecipheriv("aes-256-gcm", Buffer.from(kek), wrapped.subarray(0, 12));
  decipher.setAAD(aad);
  decipher.setAuthTag(wrapped.subarray(-16));
  expect(Buffer.concat([decipher.update(wrapped.subarray(12, -16)), decipher.final()])).toEqual(
    Buffer.from(dek),
  );
});

test("another root key under the same version opens nothing", async () => {
  const aad = Buffer.from("anything");
  const key = await new EmbeddedKeyProvider(`1:${ROOT_KEY}`).wrap("ten_a", new Uint8Array(32), aad);
  const other = new EmbeddedKeyProvider(`1:${NEXT_ROOT_KEY}`);
  await expect(other.unwrap("ten_a", key, aad)).rejects.toThrow(Problem);
});

test.each([
  ["nothing", ""],
  ["no version", ROOT_KEY],
  ["a version that is no number", `new:${ROOT_KEY}`],
  ["version 0", `0:${ROOT_KEY}`],
  ["31 bytes", `1:${Buffer.alloc(31, 7).toString("base64")}`],
  ["33 bytes", `1:${Buffer.alloc(33, 7).toString("base64")}`],
  ["base64 without its padding", `1:${ROOT_KEY.replace(/=+$/, "")}`],
  ["something after the key", `1:${ROOT_KEY}:x`],
  ["an empty entry", `1:${ROOT_KEY},`],
  ["one version twice", `1:${ROOT_KEY},1:${NEXT_ROOT_KEY}`],
  ["oldest first", `1:${ROOT_KEY},2:${NEXT_ROOT_KEY}`],
])("root keys with %s are refused at the start, without being shown", (_, rootKeys) => {
  let problem: unknown;
  try {
    problem = new EmbeddedKeyProvider(rootKeys);
  } catch (error) {
    problem = error;
  }
  expect(problem).toMatchObject({ name: "Problem", code: "MISCONFIGURED" });
  expect(String(problem)).not.toContain(ROOT_KEY.slice(0, 8));
});

test("requests of one isolate share a provider, different root keys never do", () => {
  expect(embeddedKeyProvider(`1:${ROOT_KEY}`)).toBe(embeddedKeyProvider(`1:${ROOT_KEY}`));
  expect(embeddedKeyProvider(`1:${NEXT_ROOT_KEY}`)).not.toBe(embeddedKeyProvider(`1:${ROOT_KEY}`));
});
