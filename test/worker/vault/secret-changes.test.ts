import fc from "fast-check";
import { eq, sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { Problem } from "../../../src/base/problem.ts";
import { Redacted } from "../../../src/base/redacted.ts";
import type { SecretWrite } from "../../../src/vault/settle.ts";
import { secrets, secretVersions } from "../../../src/vault/tables.ts";
import { db, dumpDatabase, formsOf, openVault, tokenOf } from "./fixtures.ts";

const PATH = "production/stripe/STRIPE_SECRET_KEY";

const value = (text: string): SecretWrite => ({ value: new Redacted(text) });

async function code(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof Problem ? error.code : "none";
}

async function current(opened: Awaited<ReturnType<typeof openVault>>, path = PATH): Promise<string> {
  const found = await opened.vault.index.find(opened.tenantId, path);
  if (found === null) throw new Error("a secret was expected");
  return (await opened.vault.reveal(opened.tenantId, found.sealed)).reveal();
}

test("invariant 1: whatever is stored, rotated, imported or rolled back lies nowhere in D1 in the clear", async () => {
  const opened = await openVault();
  const { vault, editor } = opened;
  const canaries = fc.uint8Array({ minLength: 12, maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(canaries, canaries, async (first, second) => {
      await vault.changes.put(editor, PATH, { value: new Redacted(first) });
      await vault.changes.rotate(editor, PATH, new Redacted(second), 0);
      const { secret } = await vault.changes.put(editor, PATH, value("in-between"));
      await vault.changes.rollback(editor, PATH, secret.currentVersion - 2);
      await vault.changes.import(editor, "staging/app", [{ key: "KEY", value: new Redacted(second) }], {});
      const dump = await dumpDatabase();
      for (const form of [...formsOf(first), ...formsOf(second)]) expect(dump).not.toContain(form);
    }),
    { numRuns: 8 },
  );
});

test("every change lands with one event that says who did what, and never a value", async () => {
  const { vault, changes, editor } = await openVault();
  await vault.changes.put(editor, PATH, { ...value("sk_live_1"), allowedHosts: ["api.stripe.com"] });
  await vault.changes.put(editor, PATH, { metadata: { owner: "payments" } });
  await vault.changes.rotate(editor, PATH, new Redacted("sk_live_2"), 3600);
  await vault.changes.rollback(editor, PATH, 1);
  await vault.changes.import(editor, "production/app", [{ key: "A", value: new Redacted("sk_live_3") }], {});
  await vault.removal.delete(editor, PATH);
  const events = changes.landed.flatMap((change) => change.events);
  expect(events.map((event) => [event.event_type, event.resource])).toEqual([
    ["secret.created", PATH],
    ["secret.updated", PATH],
    ["secret.rotated", PATH],
    ["secret.rolled_back", PATH],
    ["secret.imported", "production/app/A"],
    ["secret.deleted", PATH],
  ]);
  expect(events[0]).toMatchObject({
    actor: editor.actor,
    outcome: "success",
    resource_type: "secret",
    ip_address: "192.0.2.7",
    timestamp: "2026-01-01T00:00:00.000Z",
    context: { version: 1, changed: ["value", "allowedHosts"], allowed_hosts: ["api.stripe.com"] },
  });
  expect(events[2]?.context).toMatchObject({ version: 2, grace_period_seconds: 3600 });
  expect(events[3]?.context).toMatchObject({ version: 3, restored_version: 1 });
  expect(JSON.stringify(events)).not.toContain("sk_live");
});

test("an agent's change names its token and why it was asked for", async () => {
  const { vault, changes, tenantId } = await openVault();
  const token = tokenOf(tenantId, "secrets:write:production/*");
  await vault.changes.put(token, PATH, value("sk_live_1"));
  expect(changes.landed[0]?.events[0]).toMatchObject({
    actor: token.actor,
    context: { token_id: token.grant.tokenId, reason: "nightly report" },
  });
});

test("what a change leaves out stays, and without a value there is no new version", async () => {
  const opened = await openVault();
  const { vault, editor } = opened;
  const hosts = ["api.stripe.com"];
  await vault.changes.put(editor, PATH, {
    ...value("sk_live_1"),
    secretType: "api_key",
    allowedHosts: hosts,
  });
  const { secret, created, redactable } = await vault.changes.put(editor, PATH, {
    metadata: { owner: "payments" },
  });
  expect({ created, redactable }).toEqual({ created: false, redactable: null });
  expect(secret).toMatchObject({ secretType: "api_key", allowedHosts: hosts, currentVersion: 1 });
  expect((await vault.index.find(opened.tenantId, PATH))?.secret).toEqual(secret);
  expect(await current(opened)).toBe("sk_live_1");
});

test("a new secret without a value is refused", async () => {
  const { vault, editor } = await openVault();
  expect(await code(vault.changes.put(editor, PATH, { metadata: {} }))).toBe("VALIDATION_ERROR");
});

test("of parallel writes to one path none is lost, and every one is a version of its own", async () => {
  const opened = await openVault();
  const { vault, tenantId, editor } = opened;
  const texts = ["one", "two", "three", "four", "five"].map((text) => `sk_live_${text}`);
  const stored = await Promise.all(texts.map((text) => vault.changes.put(editor, PATH, value(text))));
  expect(stored.filter(({ created }) => created)).toHaveLength(1);
  expect(stored.map(({ secret }) => secret.currentVersion).sort()).toEqual([1, 2, 3, 4, 5]);
  for (const [index, { secret }] of stored.entries()) {
    const found = await vault.index.find(tenantId, PATH, secret.currentVersion);
    expect(found && (await vault.reveal(tenantId, found.sealed)).reveal()).toBe(texts[index]);
  }
});

describe("a secret that somebody else changed in between", () => {
  test("a write that meets a deletion makes a new secret instead of vanishing with the old one", async () => {
    const opened = await openVault();
    const { vault, changes, editor } = opened;
    const old = await vault.changes.put(editor, PATH, value("sk_live_1"));
    changes.meanwhile = () => vault.removal.delete(editor, PATH);
    const { secret, created } = await vault.changes.put(editor, PATH, value("sk_live_2"));
    expect([created, secret.currentVersion, secret.id === old.secret.id]).toEqual([true, 2, false]);
    expect(await current(opened)).toBe("sk_live_2");
  });

  test("a rotation that meets a deletion is a 404", async () => {
    const { vault, changes, editor } = await openVault();
    await vault.changes.put(editor, PATH, value("sk_live_1"));
    changes.meanwhile = () => vault.removal.delete(editor, PATH);
    const rotated = vault.changes.rotate(editor, PATH, new Redacted("sk_live_2"), 0);
    expect(await code(rotated)).toBe("SECRET_NOT_FOUND");
  });

  test("attack 91: hosts are not widened on the strength of a tier that was raised since", async () => {
    const { vault, tenantId, changes, editor, admin } = await openVault();
    await vault.changes.put(editor, PATH, { ...value("sk_live_1"), allowedHosts: ["api.stripe.com"] });
    changes.meanwhile = () => vault.changes.put(admin, PATH, { accessTier: "critical" });
    const widened = vault.changes.put(editor, PATH, { allowedHosts: ["evil.example.com"] });
    expect(await code(widened)).toBe("APPROVAL_REQUIRED");
    const found = await vault.index.find(tenantId, PATH);
    expect(found?.secret).toMatchObject({ accessTier: "critical", allowedHosts: ["api.stripe.com"] });
  });

  test("one who is never fast enough is told so", async () => {
    const { vault, changes, editor } = await openVault();
    await vault.changes.put(editor, PATH, value("sk_live_1"));
    const faster = async (): Promise<void> => {
      await db
        .update(secrets)
        .set({ revision: sql`${secrets.revision} + 1` })
        .where(eq(secrets.path, PATH));
      changes.meanwhile = faster;
    };
    changes.meanwhile = faster;
    expect(await code(vault.changes.put(editor, PATH, { metadata: {} }))).toBe("CONFLICT");
    expect(changes.landed).toHaveLength(1);
  });
});

describe("rotation", () => {
  test("replaces the value at once and revokes the tokens that could read the old one, whatever the grace period", async () => {
    const opened = await openVault();
    const { vault, changes, editor } = opened;
    await vault.changes.put(editor, PATH, value("the-old-value"));
    expect(changes.landed[0]?.watermarks ?? []).toEqual([]);
    const { secret } = await vault.changes.rotate(editor, PATH, new Redacted("the-new-value"), 86_400);
    expect(secret.currentVersion).toBe(2);
    expect(changes.landed[1]?.watermarks).toEqual([{ kind: "plaintext", key: PATH }]);
    expect(await current(opened)).toBe("the-new-value");
  });

  test("of a path that holds no secret is a 404", async () => {
    const { vault, editor } = await openVault();
    expect(await code(vault.changes.rotate(editor, PATH, new Redacted("sk_live_1"), 0))).toBe(
      "SECRET_NOT_FOUND",
    );
  });
});

describe("rollback", () => {
  test("brings an earlier value back as a new version; history only grows", async () => {
    const opened = await openVault();
    const { vault, tenantId, editor } = opened;
    for (const text of ["the-first", "the-second", "the-third"])
      await vault.changes.put(editor, PATH, value(text));
    const { secret } = await vault.changes.rollback(editor, PATH, 1);
    expect(secret.currentVersion).toBe(4);
    expect(await current(opened)).toBe("the-first");
    const { items, currentVersion } = await vault.index.versions(tenantId, PATH, { limit: 50 });
    expect(currentVersion).toBe(4);
    expect(items.map(({ version }) => version)).toEqual([4, 3, 2, 1]);
  });

  test("to the current version, or to one that never was, is refused", async () => {
    const { vault, editor } = await openVault();
    await vault.changes.put(editor, PATH, value("the-first"));
    expect(await code(vault.changes.rollback(editor, PATH, 1))).toBe("VALIDATION_ERROR");
    expect(await code(vault.changes.rollback(editor, PATH, 2))).toBe("SECRET_NOT_FOUND");
  });

  test("attack 91: never reaches a value from before a deletion, under the milder rules of a new secret", async () => {
    const { vault, editor } = await openVault();
    await vault.changes.put(editor, PATH, {
      ...value("the-critical"),
      accessTier: "critical",
      allowedHosts: [],
    });
    await vault.removal.delete(editor, PATH);
    const { secret } = await vault.changes.put(editor, PATH, {
      ...value("bait"),
      allowedHosts: ["evil.example.com"],
    });
    expect(secret).toMatchObject({ currentVersion: 2, accessTier: "standard" });
    expect(await code(vault.changes.rollback(editor, PATH, 1))).toBe("SECRET_NOT_FOUND");
  });
});

describe("import", () => {
  const entries = (...texts: [string, string][]) =>
    texts.map(([key, text]) => ({ key, value: new Redacted(text) }));

  test("stores every key, new or not", async () => {
    const opened = await openVault();
    const { vault, editor } = opened;
    await vault.changes.put(editor, "staging/app/A", value("the-old-value"));
    const { stored } = await vault.changes.import(
      editor,
      "staging/app",
      entries(["A", "new-a"], ["B", "new-b"]),
      {},
    );
    expect(stored.map(({ secret, created }) => [secret.path, secret.currentVersion, created])).toEqual([
      ["staging/app/A", 2, false],
      ["staging/app/B", 1, true],
    ]);
    expect(await current(opened, "staging/app/B")).toBe("new-b");
  });

  test("stores all of 200 keys or none of them", async () => {
    const opened = await openVault();
    const { vault, tenantId, changes, editor } = opened;
    const many = Array.from({ length: 200 }, (_, index): [string, string] => [
      `KEY_${index}`,
      `value-${index}`,
    ]);
    await vault.changes.put(editor, "staging/app/KEY_150", {
      ...value("the-old-value"),
      accessTier: "critical",
    });
    const refused = vault.changes.import(editor, "staging/app", entries(...many), { accessTier: "standard" });
    expect(await code(refused)).toBe("APPROVAL_REQUIRED");
    expect(changes.landed).toHaveLength(1);
    expect((await vault.index.list(tenantId, "staging/app", { limit: 200 })).items).toHaveLength(1);
    const { stored } = await vault.changes.import(editor, "staging/app", entries(...many), {});
    expect(stored).toHaveLength(200);
    expect(await current(opened, "staging/app/KEY_199")).toBe("value-199");
    expect(changes.landed[1]?.events).toHaveLength(200);
  });
});

describe("deletion", () => {
  test("takes a secret out of every list at once and keeps its rows", async () => {
    const { vault, tenantId, editor } = await openVault();
    const { secret } = await vault.changes.put(editor, PATH, value("sk_live_1"));
    await vault.removal.delete(editor, PATH);
    expect(await vault.index.find(tenantId, PATH)).toBeNull();
    expect((await vault.index.list(tenantId, null, { limit: 50 })).items).toEqual([]);
    expect(await vault.index.namespaces(tenantId, () => true)).toEqual([]);
    expect(await code(vault.index.versions(tenantId, PATH, { limit: 50 }))).toBe("SECRET_NOT_FOUND");
    expect(await code(vault.removal.delete(editor, PATH))).toBe("SECRET_NOT_FOUND");
    expect(await db.select().from(secretVersions).where(eq(secretVersions.secretId, secret.id))).toHaveLength(
      1,
    );
  });

  test("never lets a version number be used again", async () => {
    const { vault, editor } = await openVault();
    for (let round = 1; round <= 3; round++) {
      const { secret, created } = await vault.changes.put(editor, PATH, value(`value-${round}`));
      expect([secret.currentVersion, created]).toEqual([round, true]);
      await vault.removal.delete(editor, PATH);
    }
  });
});

describe("attack 91: exfiltration by configuration", () => {
  const hosts = ["api.stripe.com", "files.stripe.com"];

  test.each(["sensitive", "critical"] as const)(
    "nobody alone sends a %s secret to more hosts",
    async (accessTier) => {
      const { vault, admin } = await openVault();
      await vault.changes.put(admin, PATH, { ...value("sk_live_1"), accessTier, allowedHosts: hosts });
      const wider: (readonly string[] | null)[] = [
        [...hosts, "evil.example.com"],
        ["evil.example.com"],
        null,
      ];
      for (const allowedHosts of wider) {
        expect(await code(vault.changes.put(admin, PATH, { allowedHosts }))).toBe("APPROVAL_REQUIRED");
        expect(await code(vault.changes.put(admin, PATH, { ...value("bait"), allowedHosts }))).toBe(
          "APPROVAL_REQUIRED",
        );
      }
      const { secret } = await vault.changes.put(admin, PATH, { allowedHosts: ["api.stripe.com"] });
      expect(secret.allowedHosts).toEqual(["api.stripe.com"]);
    },
  );

  test("nobody alone takes the way around it by lowering the tier, or by raising it in the same step", async () => {
    const { vault, admin } = await openVault();
    await vault.changes.put(admin, PATH, {
      ...value("sk_live_1"),
      accessTier: "critical",
      allowedHosts: hosts,
    });
    for (const accessTier of ["standard", "sensitive"] as const) {
      expect(await code(vault.changes.put(admin, PATH, { accessTier }))).toBe("APPROVAL_REQUIRED");
    }
    const other = "production/stripe/OTHER";
    await vault.changes.put(admin, other, { ...value("sk_live_2"), allowedHosts: hosts });
    const both = { accessTier: "critical", allowedHosts: ["evil.example.com"] } as const;
    expect(await code(vault.changes.put(admin, other, both))).toBe("APPROVAL_REQUIRED");
  });

  test("hosts nobody has decided yet are not for one person to decide above the standard tier", async () => {
    const { vault, admin } = await openVault();
    await vault.changes.put(admin, PATH, { ...value("sk_live_1"), accessTier: "sensitive" });
    expect(await code(vault.changes.put(admin, PATH, { allowedHosts: ["evil.example.com"] }))).toBe(
      "APPROVAL_REQUIRED",
    );
    expect(await code(vault.changes.put(admin, PATH, { allowedHosts: [] }))).toBe("none");
  });

  test("agents set neither hosts nor who may read, editors not who may read", async () => {
    const { vault, tenantId, editor, admin } = await openVault();
    const token = tokenOf(tenantId, "secrets:*:*");
    for (const allowedHosts of [["api.stripe.com"], [], null]) {
      expect(await code(vault.changes.put(token, PATH, { ...value("sk_live_1"), allowedHosts }))).toBe(
        "ROLE_DENIED",
      );
    }
    for (const reveal of ["allow", "deny", null] as const) {
      expect(await code(vault.changes.put(token, PATH, { ...value("sk_live_1"), reveal }))).toBe(
        "ROLE_DENIED",
      );
      expect(await code(vault.changes.put(editor, PATH, { ...value("sk_live_1"), reveal }))).toBe(
        "ROLE_DENIED",
      );
    }
    expect(await code(vault.changes.put(admin, PATH, { ...value("sk_live_1"), reveal: "allow" }))).toBe(
      "none",
    );
  });

  test("a connection decides the hosts of a secret that has none, once", async () => {
    const { vault, tenantId, changes, editor } = await openVault();
    await vault.changes.put(editor, PATH, value("sk_live_1"));
    const { events } = changes.landed[0] ?? { events: [] };
    for (const decided of [["api.stripe.com"], ["evil.example.com"]]) {
      await changes.apply(tenantId, {
        statements: [vault.changes.decideHosts(tenantId, PATH, decided)],
        events,
      });
      expect((await vault.index.find(tenantId, PATH))?.secret.allowedHosts).toEqual(["api.stripe.com"]);
    }
  });
});

test("invariant 5: equal paths of two tenants are two secrets; changing one leaves the other alone", async () => {
  const mine = await openVault();
  const theirs = await openVault();
  await mine.vault.changes.put(mine.editor, PATH, value("mine-is-mine"));
  await theirs.vault.changes.put(theirs.editor, PATH, value("theirs-is-theirs"));
  await theirs.vault.changes.rotate(theirs.editor, PATH, new Redacted("theirs-rotated"), 0);
  await theirs.vault.removal.delete(theirs.editor, PATH);
  expect(await current(mine)).toBe("mine-is-mine");
  expect(await code(theirs.vault.changes.rollback(theirs.editor, PATH, 1))).toBe("SECRET_NOT_FOUND");
  expect((await mine.vault.index.list(mine.tenantId, null, { limit: 50 })).items).toHaveLength(1);
});

test("lists page by path through a namespace and what is below it, and through nothing beside it", async () => {
  const { vault, tenantId, editor } = await openVault();
  const inside = ["prod/pay/A", "prod/pay/B", "prod/pay/card/C", "prod/pay/z"];
  for (const path of [...inside, "prod/pay-old/X", "prod/pay0/X", "prod/PAY/X", "prod/payX", "prod/pa/X"]) {
    await vault.changes.put(editor, path, value("some-value"));
  }
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await vault.index.list(tenantId, "prod/pay", { limit: 3, cursor });
    seen.push(...page.items.map(({ path }) => path));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(seen).toEqual(inside);
});
