import { describe, expect, test } from "vitest";
import { dumpDatabase } from "./fixtures.ts";
import { DAY, openLife } from "./lifecycle-fixtures.ts";

const PATH = "/v1/secrets/a/KEY";

const versionsIn = (body: { versions: { version: number }[] }) => body.versions.map(({ version }) => version);

test("a version goes once it is neither among the newest nor young enough, the current one never", async () => {
  const { as, time, sealed } = await openLife({ version_retention: { keep: 2, days: 10 } });
  const { send } = as("editor");
  for (let at = 1; at <= 4; at++) await send("PUT", PATH, { value: `the-value-${at}` });
  expect(await sealed()).toHaveLength(4);
  time.now += 10 * DAY;
  const { body } = await send("PUT", PATH, { value: "the-value-5" });
  expect(body.version).toBe(5);
  expect(versionsIn((await send("GET", `${PATH}/versions`)).body)).toEqual([5, 4]);
  expect(await sealed()).toHaveLength(2);
  time.now += 400 * DAY;
  await send("PATCH", PATH, { tags: ["x"] });
  expect(versionsIn((await send("GET", `${PATH}/versions`)).body)).toEqual([5, 4]);
});

test("what a tenant has not set is 10 versions and 30 days", async () => {
  const { as, time, sweep } = await openLife();
  const { send } = as("editor");
  for (let at = 1; at <= 12; at++) await send("PUT", PATH, { value: `the-value-${at}` });
  time.now += 30 * DAY - 1;
  await sweep();
  expect(versionsIn((await send("GET", `${PATH}/versions`)).body)).toHaveLength(12);
  time.now += 1;
  await sweep();
  expect(versionsIn((await send("GET", `${PATH}/versions`)).body)).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
});

test("the list of versions says from when on each may go", async () => {
  const { as } = await openLife({ version_retention: { keep: 2, days: 10 } });
  const { send } = as("editor");
  for (let at = 1; at <= 3; at++) await send("PUT", PATH, { value: `the-value-${at}` });
  expect((await send("GET", `${PATH}/versions`)).body.versions).toMatchObject([
    { version: 3, kept_until: null },
    { version: 2, kept_until: null },
    { version: 1, kept_until: "2026-01-11T00:00:00.000Z" },
  ]);
});

test("a version that is gone is a 404 that says so, and its ciphertext is nowhere in D1", async () => {
  const {
    as,
    sealed,
    time,
    events,
    with: holding,
  } = await openLife({ version_retention: { keep: 1, days: 0 } }, "allow");
  const { send } = as("editor");
  await send("PUT", PATH, { value: "the-first-value" });
  const [first] = await sealed();
  expect(await dumpDatabase()).toContain(first?.ciphertext);
  time.now += 1;
  await send("PUT", PATH, { value: "the-second-value" });
  const dump = await dumpDatabase();
  for (const text of [first?.ciphertext, first?.wrappedDek]) expect(dump).not.toContain(text);
  const { status, body } = await send("POST", `${PATH}/rollback`, { version: 1 });
  expect([status, body.error]).toEqual([
    404,
    { code: "SECRET_NOT_FOUND", message: "Version 1 is not kept any more." },
  ]);
  const never = await send("POST", `${PATH}/rollback`, { version: 7 });
  expect(never.body.error.message).toBe("The secret has no such version.");
  const read = await holding("secrets:read:a/*").send("GET", `${PATH}?version=1`);
  expect(read.body.error.code).toBe("SECRET_NOT_FOUND");
  expect((await events()).at(-1)?.context).toMatchObject({ version: 2, pruned_versions: [1] });
});

describe("the hourly sweep", () => {
  test("tells the ledger which versions went, and what is gone once is not told twice", async () => {
    const { as, time, sweep, events } = await openLife({ version_retention: { keep: 1, days: 1 } });
    for (let at = 1; at <= 3; at++) await as("editor").send("PUT", PATH, { value: `the-value-${at}` });
    time.now += DAY;
    await sweep();
    await sweep();
    const pruned = (await events()).filter(({ event_type: type }) => type === "secret.pruned");
    expect(pruned).toMatchObject([
      { actor: "system", resource: "a/KEY", resource_type: "secret", context: { versions: [1, 2] } },
    ]);
  });

  test("takes a bounded number at once and the rest the next times", async () => {
    const { as, time, sweep, sealed } = await openLife({ version_retention: { keep: 1, days: 1 } });
    const content = Array.from({ length: 200 }, (_, at) => `K${at}=some-value-${at}`).join("\n");
    for (let at = 0; at < 4; at++) {
      expect(
        (await as("editor").send("POST", "/v1/secrets/import", { namespace: "many", content })).status,
      ).toBe(201);
    }
    expect(await sealed()).toHaveLength(800);
    time.now += DAY;
    await sweep();
    expect((await sealed()).length).toBeGreaterThan(200);
    await sweep();
    expect(await sealed()).toHaveLength(200);
  });

  test("goes by each tenant's own settings", async () => {
    const mine = await openLife({ version_retention: { keep: 1, days: 1 } });
    const theirs = await openLife({ version_retention: { keep: 1, days: 100 } });
    for (const { as } of [mine, theirs]) {
      for (let at = 1; at <= 2; at++) await as("editor").send("PUT", PATH, { value: `the-value-${at}` });
    }
    mine.time.now += 2 * DAY;
    await mine.sweep();
    expect(await mine.sealed()).toHaveLength(1);
    expect(await theirs.sealed()).toHaveLength(2);
  });
});
