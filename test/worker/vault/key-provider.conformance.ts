import { describe, expect, test } from "vitest";
import { Problem } from "../../../src/base/problem.ts";
import type { KeyProvider } from "../../../src/vault/kms/key-provider.ts";

const AAD = new TextEncoder().encode('["valetkey secret",1,"ten_0000000000000001","a/b",1]');
const OTHER_AAD = new TextEncoder().encode('["valetkey secret",1,"ten_0000000000000001","a/b",2]');
const TENANT = "ten_0000000000000001";
const OTHER_TENANT = "ten_0000000000000002";

async function failure(promise: Promise<unknown>): Promise<Problem> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof Problem) return error;
  throw new Error("a Problem was expected");
}

/** Whether an unwrapped key is the data key `dek`: it opens what that sealed. */
async function isKey(key: CryptoKey, dek: Uint8Array): Promise<boolean> {
  const iv = new Uint8Array(12);
  const sealing = await crypto.subtle.importKey("raw", dek, "AES-GCM", false, ["encrypt"]);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, sealing, new Uint8Array([42]));
  const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed).catch(() => null);
  return opened !== null && new Uint8Array(opened)[0] === 42;
}

/**
 * What every key provider guarantees. `before` and `after` are one key service before and after a rotation of its
 * key-encryption keys.
 */
export function conformance(
  name: string,
  make: () => Promise<{ readonly before: KeyProvider; readonly after: KeyProvider }>,
): void {
  describe(`key provider ${name}`, () => {
    const freshDek = () => crypto.getRandomValues(new Uint8Array(32));

    test("opens what it wrapped, as a key that cannot leave and only decrypts", async () => {
      const { before } = await make();
      const dek = freshDek();
      const key = await before.unwrap(TENANT, await before.wrap(TENANT, dek, AAD), AAD);
      expect(await isKey(key, dek)).toBe(true);
      expect(key.extractable).toBe(false);
      expect(key.usages).toEqual(["decrypt"]);
    });

    test("wraps under the key version that it tells, and names its provider in it", async () => {
      const { before } = await make();
      const { keyVersion } = await before.wrap(TENANT, freshDek(), AAD);
      expect(keyVersion).toBe(await before.keyVersion(TENANT));
      expect(keyVersion.startsWith(`${before.id}/`)).toBe(true);
    });

    test("wraps the same key differently every time, and never shows it", async () => {
      const { before } = await make();
      const dek = freshDek();
      const first = await before.wrap(TENANT, dek, AAD);
      const second = await before.wrap(TENANT, dek, AAD);
      expect(first.wrapped).not.toBe(second.wrapped);
      expect(Buffer.from(first.wrapped, "base64").includes(Buffer.from(dek))).toBe(false);
    });

    test("refuses data keys that are not 256 bits", async () => {
      const { before } = await make();
      for (const size of [0, 16, 24, 31, 33]) {
        await expect(before.wrap(TENANT, new Uint8Array(size), AAD)).rejects.toThrow();
      }
    });

    test("attack 70: a wrapped key opens neither for another tenant nor with other additional data", async () => {
      const { before } = await make();
      const key = await before.wrap(TENANT, freshDek(), AAD);
      for (const attempt of [before.unwrap(OTHER_TENANT, key, AAD), before.unwrap(TENANT, key, OTHER_AAD)]) {
        expect((await failure(attempt)).code).toBe("INTERNAL");
      }
      expect((await failure(before.rewrap(OTHER_TENANT, key, AAD))).code).toBe("INTERNAL");
      expect((await failure(before.rewrap(TENANT, key, OTHER_AAD))).code).toBe("INTERNAL");
    });

    test("attack 71: a wrapped key with any bit flipped, cut short or made longer does not open", async () => {
      const { before } = await make();
      const key = await before.wrap(TENANT, freshDek(), AAD);
      const bytes = Buffer.from(key.wrapped, "base64");
      const altered = [
        bytes.subarray(0, -1),
        bytes.subarray(1),
        Buffer.concat([bytes, Buffer.alloc(1)]),
        Buffer.alloc(0),
      ];
      for (let at = 0; at < bytes.byteLength; at++) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
        altered.push(flipped);
      }
      for (const each of altered) {
        const attempt = before.unwrap(TENANT, { ...key, wrapped: each.toString("base64") }, AAD);
        const problem = await failure(attempt);
        expect(problem.code).toBe("INTERNAL");
        expect(problem.message).toBe("The stored secret could not be opened.");
      }
    });

    test("attack 69: a key version that is not there, or of another provider, does not open", async () => {
      const { before } = await make();
      const key = await before.wrap(TENANT, freshDek(), AAD);
      for (const keyVersion of ["", "1", `${before.id}/`, `${before.id}/999`, "another/1", "__proto__"]) {
        expect((await failure(before.unwrap(TENANT, { ...key, keyVersion }, AAD))).code).toBe("INTERNAL");
      }
    });

    test("attack 72: after a rotation old and new open, and a re-wrapped key is the same key under the new version", async () => {
      const { before, after } = await make();
      const dek = freshDek();
      const old = await before.wrap(TENANT, dek, AAD);
      expect(await after.keyVersion(TENANT)).not.toBe(old.keyVersion);
      const rewrapped = await after.rewrap(TENANT, old, AAD);
      expect(rewrapped.keyVersion).toBe(await after.keyVersion(TENANT));
      for (const key of [old, rewrapped])
        expect(await isKey(await after.unwrap(TENANT, key, AAD), dek)).toBe(true);
      expect(
        (await failure(after.unwrap(TENANT, { ...rewrapped, keyVersion: old.keyVersion }, AAD))).code,
      ).toBe("INTERNAL");
    });
  });
}
