import { describe, expect, test } from "vitest";
import { Redacted } from "../../../src/base/redacted.ts";
import { dumpDatabase } from "./fixtures.ts";
import { DAY, openLife } from "./lifecycle-fixtures.ts";

const PATH = "/v1/secrets/a/KEY";

describe("a deleted secret", () => {
  test("is a 404 at once, is listed as deleted, and its path can be used again", async () => {
    const { as } = await openLife();
    const { send } = as("editor");
    await send("PUT", PATH, { value: "the-old-value", tags: ["x"] });
    expect((await send("DELETE", PATH)).status).toBe(204);
    expect((await send("GET", PATH)).body.error.code).toBe("SECRET_NOT_FOUND");
    expect((await send("GET", "/v1/secrets")).body.items).toEqual([]);
    expect((await send("GET", "/v1/secrets?deleted=true")).body.items).toMatchObject([
      {
        path: "a/KEY",
        id: expect.stringMatching(/^sec_/),
        tags: ["x"],
        deleted_at: "2026-01-01T00:00:00.000Z",
        recoverable_until: "2026-01-08T00:00:00.000Z",
      },
    ]);
    expect(await send("PUT", PATH, { value: "the-new-value" })).toMatchObject({
      status: 201,
      body: { version: 2 },
    });
  });

  test("comes back as it was, versions, tags and all", async () => {
    const { as, events, with: holding } = await openLife({}, "allow");
    const { send } = as("editor");
    await send("PUT", PATH, { value: "the-first-value" });
    const { body: before } = await send("PUT", PATH, {
      value: "the-second-value",
      tags: ["x"],
      metadata: { a: 1 },
    });
    await send("DELETE", PATH);
    const { status, body } = await send("POST", `${PATH}/restore`, {});
    expect([status, body]).toMatchObject([
      200,
      { path: "a/KEY", version: 2, tags: ["x"], metadata: { a: 1 } },
    ]);
    expect(body.created_at).toBe(before.created_at);
    const agent = holding("secrets:read:a/*");
    expect((await agent.send("GET", PATH)).body.value).toBe("the-second-value");
    expect((await agent.send("GET", `${PATH}?version=1`)).body.value).toBe("the-first-value");
    expect((await events()).at(-1)).toMatchObject({ event_type: "secret.restored", resource: "a/KEY" });
    expect((await send("PUT", PATH, { value: "the-third-value" })).body.version).toBe(3);
  });

  test("cannot come back to a path that has another secret, nor twice, nor after its time", async () => {
    const { as, time } = await openLife({ recovery_days: 2 });
    const { send } = as("editor");
    const restore = async (body: object = {}) =>
      (await send("POST", `${PATH}/restore`, body)).body.error?.code;
    expect(await restore()).toBe("SECRET_NOT_FOUND");
    await send("PUT", PATH, { value: "the-old-value" });
    await send("DELETE", PATH);
    await send("PUT", PATH, { value: "the-new-value" });
    expect(await restore()).toBe("CONFLICT");
    await send("DELETE", PATH);
    expect(await restore()).toBeUndefined();
    await send("DELETE", PATH);
    time.now += 2 * DAY;
    expect(await restore()).toBe("SECRET_NOT_FOUND");
  });

  test("of several at a path the last one comes back, or the one that an id names; no number is used twice", async () => {
    const { as, time, with: holding } = await openLife({}, "allow");
    const { send } = as("editor");
    for (const value of ["the-first-value", "the-second-value"]) {
      await send("PUT", PATH, { value });
      time.now += 1;
      await send("DELETE", PATH);
    }
    const value = async () => (await holding("secrets:read:*").send("GET", PATH)).body.value;
    await send("POST", `${PATH}/restore`, {});
    expect(await value()).toBe("the-second-value");
    await send("DELETE", PATH);
    const { items } = (await send("GET", "/v1/secrets?deleted=true&limit=1")).body;
    const page = await send("GET", "/v1/secrets?deleted=true&limit=200");
    const first = page.body.items.find(({ version }: { version: number }) => version === 1);
    expect(items).toHaveLength(1);
    expect((await send("POST", `${PATH}/restore`, { id: first.id })).body.version).toBe(1);
    expect(await value()).toBe("the-first-value");
    expect((await send("PUT", PATH, { value: "the-third-value" })).body.version).toBe(3);
  });

  test("deleted secrets page by path and id, each exactly once", async () => {
    const { as } = await openLife();
    const { send } = as("editor");
    for (let at = 0; at < 5; at++) {
      for (const key of ["A", "B"]) {
        await send("PUT", `/v1/secrets/n/${key}`, { value: "some-value" });
        await send("DELETE", `/v1/secrets/n/${key}`);
      }
    }
    const ids: string[] = [];
    let cursor = "";
    do {
      const { body } = await send("GET", `/v1/secrets?deleted=true&limit=3${cursor && `&cursor=${cursor}`}`);
      ids.push(...body.items.map(({ id }: { id: string }) => id));
      cursor = body.next_cursor ?? "";
    } while (cursor !== "");
    expect([ids.length, new Set(ids).size]).toEqual([10, 10]);
  });

  test("two who restore at once do so once", async () => {
    const { editor, vault } = await openLife();
    await vault.changes.put(editor, "a/KEY", { value: new Redacted("the-old-value") });
    await vault.removal.delete(editor, "a/KEY");
    const both = await Promise.allSettled(
      [1, 2].map(() => vault.removal.restore(editor, "a/KEY", undefined)),
    );
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });
});

describe("once the time to restore is over", () => {
  test("its ciphertexts and data keys are out of D1, the ledger is told once, and its numbers stay used", async () => {
    const { as, events, sealed, sweep, time } = await openLife({ recovery_days: 3 });
    const { send } = as("editor");
    await send("PUT", PATH, { value: "the-first-value", tags: ["x"], metadata: { owner: "ada" } });
    await send("PUT", PATH, { value: "the-second-value" });
    const rows = await sealed();
    await send("DELETE", PATH);
    time.now += 3 * DAY - 1;
    await sweep();
    expect(await sealed()).toHaveLength(2);
    time.now += 1;
    await sweep();
    await sweep();
    expect(await sealed()).toEqual([]);
    const dump = await dumpDatabase();
    for (const { ciphertext, wrappedDek } of rows) {
      for (const text of [ciphertext, wrappedDek]) expect(dump).not.toContain(text);
    }
    const purged = (await events()).filter(({ event_type: type }) => type === "secret.purged");
    expect(purged).toMatchObject([{ actor: "system", resource: "a/KEY", context: { version: 2 } }]);
    expect((await send("GET", "/v1/secrets?deleted=true")).body.items).toEqual([]);
    expect((await send("POST", `${PATH}/restore`, {})).body.error.code).toBe("SECRET_NOT_FOUND");
    expect((await send("PUT", PATH, { value: "the-third-value" })).body.version).toBe(3);
  });

  test("with no days to restore that is at once", async () => {
    const { as, sealed, events } = await openLife({ recovery_days: 0 });
    const { send } = as("editor");
    await send("PUT", PATH, { value: "the-first-value" });
    expect((await send("DELETE", PATH)).status).toBe(204);
    expect(await sealed()).toEqual([]);
    expect((await events()).map(({ event_type: type }) => type).slice(-2)).toEqual([
      "secret.deleted",
      "secret.purged",
    ]);
    expect((await send("GET", "/v1/secrets?deleted=true")).body.items).toEqual([]);
  });

  test("what was promised at the deletion holds, whatever the tenant sets afterwards", async () => {
    const life = await openLife({ recovery_days: 5 });
    await life.as("editor").send("PUT", PATH, { value: "the-first-value" });
    await life.as("editor").send("DELETE", PATH);
    const { body } = await life.as("editor").send("GET", "/v1/secrets?deleted=true");
    expect(body.items[0].recoverable_until).toBe("2026-01-06T00:00:00.000Z");
    life.time.now += 4 * DAY;
    await life.sweep();
    expect((await life.as("editor").send("POST", `${PATH}/restore`, {})).status).toBe(200);
  });

  test("a restored secret is not swept away", async () => {
    const { as, sealed, sweep, time } = await openLife({ recovery_days: 1 });
    const { send } = as("editor");
    await send("PUT", PATH, { value: "the-first-value" });
    await send("DELETE", PATH);
    await send("POST", `${PATH}/restore`, {});
    time.now += 30 * DAY;
    await sweep();
    expect(await sealed()).toHaveLength(1);
  });
});

describe("purging", () => {
  test("takes everything a path has and had out of D1 for good, by an admin", async () => {
    const { sealed, vault, admin, editor, events } = await openLife();
    for (const text of ["the-first-value", "the-second-value"]) {
      await vault.changes.put(editor, "a/KEY", { value: new Redacted(text) });
      await vault.removal.delete(editor, "a/KEY");
    }
    await vault.changes.put(editor, "a/KEY", { value: new Redacted("the-third-value") });
    await vault.changes.put(editor, "a/OTHER", { value: new Redacted("another-value") });
    expect(await vault.removal.purge(admin, "a/KEY", undefined)).toMatchObject({ purged: 3 });
    expect(await sealed()).toHaveLength(1);
    const types = (await events()).map(({ event_type: type }) => type).slice(-4);
    expect(types).toEqual(["secret.deleted", "secret.purged", "secret.purged", "secret.purged"]);
    await expect(vault.removal.purge(admin, "a/KEY", undefined)).rejects.toThrow("nothing at this path");
  });
});

test("keys named restore and purge stay possible", async () => {
  const { as } = await openLife();
  const { send } = as("editor");
  for (const key of ["restore", "purge", "export"]) {
    expect((await send("PUT", `/v1/secrets/a/${key}`, { value: "some-value" })).status).toBe(201);
    expect((await send("GET", `/v1/secrets/a/${key}`)).body.key).toBe(key);
    expect((await send("DELETE", `/v1/secrets/a/${key}`)).status).toBe(204);
    expect((await send("POST", `/v1/secrets/a/${key}/restore`, {})).body.path).toBe(`a/${key}`);
  }
});
