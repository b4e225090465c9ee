import { eq } from "drizzle-orm";
import { expect, test } from "vitest";
import type { TenantId } from "../../../src/base/ids.ts";
import { Problem } from "../../../src/base/problem.ts";
import { Redacted } from "../../../src/base/redacted.ts";
import { EmbeddedKeyProvider } from "../../../src/vault/kms/embedded.ts";
import { secrets, secretVersions } from "../../../src/vault/tables.ts";
import type { SealedSecret, Vault } from "../../../src/vault/vault.ts";
import { d1, db, NEXT_ROOT_KEY, openVault, WatchedKeys } from "./fixtures.ts";

const PATH = "production/stripe/STRIPE_SECRET_KEY";
const MINUTE_MS = 60_000;

/** The database, counting the sessions opened on it: one is one batch of reads. */
function countSessions(): { d1: D1Database; readonly sessions: () => number } {
  let count = 0;
  const counted = new Proxy(d1, {
    get(target, name) {
      if (name === "withSession") count++;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { d1: counted, sessions: () => count };
}

async function at(vault: Vault, tenantId: TenantId, epoch: number): Promise<SealedSecret> {
  const { value } = await vault.sealed(tenantId, PATH, epoch);
  if (value === null) throw new Error("a secret was expected");
  return value;
}

async function code(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof Problem ? error.code : "none";
}

test("a stored secret is sealed, where it may go stands beside it, and it is revealed as it was", async () => {
  const { vault, tenantId, editor } = await openVault();
  const write = {
    value: new Redacted("sk_live_51Canary"),
    accessTier: "critical",
    allowedHosts: ["api.stripe.com"],
  } as const;
  const { epoch } = await vault.changes.put(editor, PATH, write);
  const held = await vault.sealed(tenantId, PATH, epoch);
  expect(held.epoch).toBe(epoch);
  expect(held.value).toMatchObject({
    path: PATH,
    version: 1,
    tier: "critical",
    allowedHosts: ["api.stripe.com"],
    redactable: true,
  });
  expect((await vault.reveal(tenantId, await at(vault, tenantId, epoch))).reveal()).toBe("sk_live_51Canary");
});

test("warm calls ask neither D1 nor the key service", async () => {
  const { d1: counted, sessions } = countSessions();
  const { vault, tenantId, keys, editor } = await openVault({ d1: counted });
  const { epoch } = await vault.changes.put(editor, PATH, { value: new Redacted("sk_live_51Canary") });
  expect(vault.isWarm(await at(vault, tenantId, epoch))).toBe(false);
  for (let call = 0; call < 20; call++) {
    const sealed = await at(vault, tenantId, epoch);
    await vault.reveal(tenantId, sealed);
    expect(vault.isWarm(sealed)).toBe(true);
  }
  expect(sessions()).toBe(1);
  expect(keys.unwraps).toBe(1);
});

test("a change is read at once by whoever names its epoch, and only then", async () => {
  const { d1: counted, sessions } = countSessions();
  const { vault, tenantId, editor } = await openVault({ d1: counted });
  const first = await vault.changes.put(editor, PATH, { value: new Redacted("the-first-value") });
  await at(vault, tenantId, first.epoch);
  const second = await vault.changes.put(editor, PATH, { value: new Redacted("the-second-value") });
  expect((await at(vault, tenantId, first.epoch)).version).toBe(1);
  expect((await at(vault, tenantId, second.epoch)).version).toBe(2);
  expect(sessions()).toBe(2);
  expect((await vault.reveal(tenantId, await at(vault, tenantId, second.epoch))).reveal()).toBe(
    "the-second-value",
  );
});

test("a deleted secret is gone for every call decided from then on", async () => {
  const { vault, tenantId, editor } = await openVault();
  const { epoch } = await vault.changes.put(editor, PATH, { value: new Redacted("sk_live_51Canary") });
  await vault.reveal(tenantId, await at(vault, tenantId, epoch));
  const gone = await vault.removal.delete(editor, PATH);
  expect((await vault.sealed(tenantId, PATH, gone.epoch)).value).toBeNull();
});

test("no epoch but the tenant's own will do: a call ahead of D1 is refused, not answered from older rows", async () => {
  const { vault, tenantId, editor } = await openVault();
  const { epoch } = await vault.changes.put(editor, PATH, { value: new Redacted("sk_live_51Canary") });
  expect(await code(vault.sealed(tenantId, PATH, epoch + 1))).toBe("UNAVAILABLE");
});

test("invariant 5: one tenant finds nothing of another's, and what it got hold of does not open", async () => {
  const mine = await openVault();
  const theirs = await openVault();
  const { epoch } = await mine.vault.changes.put(mine.editor, PATH, {
    value: new Redacted("sk_live_51Canary"),
  });
  const sealed = await at(mine.vault, mine.tenantId, epoch);
  expect((await theirs.vault.sealed(theirs.tenantId, PATH, 1)).value).toBeNull();
  expect(await code(theirs.vault.reveal(theirs.tenantId, sealed))).toBe("INTERNAL");
  await mine.vault.reveal(mine.tenantId, sealed);
  expect(mine.vault.isWarm(sealed)).toBe(true);
  expect(await code(theirs.vault.reveal(theirs.tenantId, sealed))).toBe("INTERNAL");
});

test("attack 70: rows swapped in the database between tenants, paths and versions do not open", async () => {
  const { vault, tenantId, editor } = await openVault();
  const other = await openVault();
  const stored = [
    await vault.changes.put(editor, PATH, { value: new Redacted("the-first-value") }),
    await vault.changes.put(editor, PATH, { value: new Redacted("the-second-value") }),
    await vault.changes.put(editor, "production/stripe/OTHER", { value: new Redacted("another-value") }),
    await other.vault.changes.put(other.editor, PATH, { value: new Redacted("of-another-tenant") }),
  ];
  const epoch = Math.max(...stored.map((each) => each.epoch));
  const rows = await Promise.all(
    stored.map(({ secret }) =>
      db.select().from(secretVersions).where(eq(secretVersions.secretId, secret.id)),
    ),
  );
  const sealed = await at(vault, tenantId, epoch - 1);
  for (const row of rows.flat()) {
    if (row.id === sealed.versionId) continue;
    const envelope = {
      format: row.format,
      nonce: Buffer.from(row.nonce, "base64"),
      ciphertext: Buffer.from(row.ciphertext, "base64"),
      wrapped: row.wrappedDek,
      keyVersion: row.keyVersion,
    };
    expect(await code(vault.reveal(tenantId, { ...sealed, envelope }))).toBe("INTERNAL");
  }
  expect((await vault.reveal(tenantId, sealed)).reveal()).toBe("the-second-value");
});

test("attack 69: with the key service down, warm secrets go on for 5 minutes and cold ones are a 503", async () => {
  const { vault, tenantId, keys, time, editor } = await openVault();
  const { epoch } = await vault.changes.put(editor, PATH, { value: new Redacted("sk_live_51Canary") });
  const sealed = await at(vault, tenantId, epoch);
  await vault.reveal(tenantId, sealed);
  keys.failure = new Error("connection refused");
  time.now += 5 * MINUTE_MS - 1;
  expect((await vault.reveal(tenantId, sealed)).reveal()).toBe("sk_live_51Canary");
  time.now += 1;
  expect(vault.isWarm(sealed)).toBe(false);
  expect(await code(vault.reveal(tenantId, sealed))).toBe("UNAVAILABLE");
  keys.failure = null;
  expect((await vault.reveal(tenantId, sealed)).reveal()).toBe("sk_live_51Canary");
});

test("attack 69: a key service that answers for another key opens nothing, and its answer is not kept", async () => {
  const { vault, tenantId, keys, editor } = await openVault();
  const { epoch } = await vault.changes.put(editor, PATH, { value: new Redacted("sk_live_51Canary") });
  const sealed = await at(vault, tenantId, epoch);
  const right = keys.unwrap.bind(keys);
  const wrong = await crypto.subtle.importKey("raw", new Uint8Array(32), "AES-GCM", false, ["decrypt"]);
  keys.unwrap = () => Promise.resolve(wrong);
  expect(await code(vault.reveal(tenantId, sealed))).toBe("INTERNAL");
  expect(vault.isWarm(sealed)).toBe(false);
  keys.unwrap = right;
  expect((await vault.reveal(tenantId, sealed)).reveal()).toBe("sk_live_51Canary");
});

test("a store fails whole where the key service fails: no row, no event, no epoch", async () => {
  const { vault, tenantId, keys, changes, editor } = await openVault();
  keys.failure = new Error("connection refused");
  expect(await code(vault.changes.put(editor, PATH, { value: new Redacted("sk_live_51Canary") }))).toBe(
    "UNAVAILABLE",
  );
  expect(changes.landed).toEqual([]);
  expect(await db.select().from(secrets).where(eq(secrets.tenantId, tenantId))).toEqual([]);
});

test("attack 72: with a new root key in front, old secrets open and new ones are under the new key", async () => {
  const keys = new WatchedKeys(`2:${NEXT_ROOT_KEY},1:${Buffer.alloc(32, 1).toString("base64")}`);
  const before = await openVault();
  const { epoch } = await before.vault.changes.put(before.editor, PATH, {
    value: new Redacted("sealed-before"),
  });
  const sealed = await at(before.vault, before.tenantId, epoch);
  expect(sealed.envelope.keyVersion).toBe("embedded/1");
  const after = await openVault({ keys });
  expect((await after.vault.reveal(before.tenantId, sealed)).reveal()).toBe("sealed-before");
  const next = await after.vault.changes.put(after.editor, PATH, { value: new Redacted("sealed-after") });
  expect((await at(after.vault, after.tenantId, next.epoch)).envelope.keyVersion).toBe("embedded/2");
});

test("a vault's secrets do not open under other root keys", async () => {
  const { vault, tenantId, editor } = await openVault();
  const { epoch } = await vault.changes.put(editor, PATH, { value: new Redacted("sk_live_51Canary") });
  const sealed = await at(vault, tenantId, epoch);
  const other = new EmbeddedKeyProvider(`1:${NEXT_ROOT_KEY}`);
  const aad = new TextEncoder().encode(JSON.stringify(["valetkey secret", 1, tenantId, PATH, 1]));
  expect(await code(other.unwrap(tenantId, sealed.envelope, aad))).toBe("INTERNAL");
});
