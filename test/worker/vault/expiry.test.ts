import { describe, expect, test } from "vitest";
import { DAY, openLife } from "./lifecycle-fixtures.ts";

const PATH = "/v1/secrets/a/KEY";
const at = (time: number) => new Date(time).toISOString();

test("from the moment a secret expires agents do not read it, in any version; people still see what it is", async () => {
  const { as, time, with: holding } = await openLife({}, "allow");
  const { send } = as("editor");
  const expiresAt = at(time.now + DAY);
  await send("PUT", PATH, { value: "the-first-value" });
  const put = await send("PUT", PATH, { value: "the-second-value", expires_at: expiresAt });
  expect(put.body).toMatchObject({ expires_at: expiresAt, expired: false, expires_soon: true });
  const agent = holding("secrets:read:a/*");
  time.now += DAY - 1;
  expect((await agent.send("GET", PATH)).status).toBe(200);
  time.now += 1;
  for (const target of [PATH, `${PATH}?version=1`]) {
    const { status, body, text } = await agent.send("GET", target);
    expect([status, body.error.code]).toEqual([409, "SECRET_EXPIRED"]);
    expect(text).not.toContain("value-");
  }
  expect(agent.uses.map(({ eventType }) => eventType)).toEqual(["secret.read", "token.used", "token.used"]);
  expect((await as("viewer").send("GET", PATH)).body).toMatchObject({ expired: true, expires_soon: false });
});

test("lists warn 14 days before", async () => {
  const { as, time } = await openLife();
  const { send } = as("editor");
  await send("PUT", PATH, { value: "some-value", expires_at: at(time.now + 15 * DAY) });
  await send("PUT", "/v1/secrets/a/NEVER", { value: "some-value" });
  const soon = async () =>
    (await send("GET", "/v1/secrets")).body.items.map((item: { expires_soon: boolean }) => item.expires_soon);
  expect(await soon()).toEqual([false, false]);
  time.now += DAY;
  expect(await soon()).toEqual([true, false]);
});

test("a new date brings it back, null lets it live, and leaving it out changes nothing", async () => {
  const { as, time, with: holding } = await openLife({}, "allow");
  const { send } = as("editor");
  await send("PUT", PATH, { value: "some-value", expires_at: at(time.now + DAY) });
  time.now += 2 * DAY;
  const kept = await send("PUT", PATH, { value: "other-value" });
  expect(kept.body).toMatchObject({ expired: true, warning: expect.stringContaining("expired") });
  const agent = holding("secrets:read:a/*");
  expect((await agent.send("GET", PATH)).body.error.code).toBe("SECRET_EXPIRED");
  await send("PATCH", PATH, { expires_at: at(time.now + DAY) });
  expect((await agent.send("GET", PATH)).body.value).toBe("other-value");
  const { body } = await send("POST", `${PATH}/rotate`, { new_value: "third-value", expires_at: null });
  expect(body).toMatchObject({ expires_at: null, expired: false });
  expect(body.warning).toBeUndefined();
});

test("nothing is made to expire in the past; what has expired may be sent again as it is", async () => {
  const { as, time } = await openLife();
  const { send } = as("editor");
  const refused = await send("PUT", PATH, { value: "some-value", expires_at: at(time.now) });
  expect(refused.body.error.code).toBe("VALIDATION_ERROR");
  const body = { value: "some-value", expires_at: at(time.now + 1) };
  expect((await send("PUT", PATH, body)).status).toBe(201);
  time.now += DAY;
  expect((await send("PUT", PATH, body)).status).toBe(200);
});

describe("a token", () => {
  test("does not let a value live longer, but with a new one; it may let it end sooner", async () => {
    const { as, time, with: holding } = await openLife();
    await as("editor").send("PUT", PATH, { value: "some-value", expires_at: at(time.now + 5 * DAY) });
    const { send } = holding("secrets:write:a/*");
    for (const expires_at of [null, at(time.now + 6 * DAY)]) {
      for (const method of ["PUT", "PATCH"]) {
        expect((await send(method, PATH, { expires_at })).body.error.code).toBe("ROLE_DENIED");
      }
    }
    expect((await send("PATCH", PATH, { expires_at: at(time.now + DAY) })).status).toBe(200);
    const renewed = await send("PUT", PATH, { value: "new-value", expires_at: at(time.now + 9 * DAY) });
    expect(renewed.status).toBe(200);
  });

  test("attack 91: changes neither hosts nor the tier nor `reveal` of a secret that is there", async () => {
    const { as, with: holding } = await openLife();
    await as("editor").send("PUT", PATH, { value: "some-value" });
    const { send } = holding("secrets:write:a/*");
    for (const method of ["PUT", "PATCH"]) {
      for (const change of [
        { allowed_hosts: ["api.x.com"] },
        { access_tier: "critical" },
        { reveal: "allow" },
      ]) {
        expect((await send(method, PATH, change)).body.error.code).toBe("ROLE_DENIED");
      }
    }
    expect((await send("PATCH", PATH, { metadata: { by: "agent" }, tags: ["x"] })).status).toBe(200);
  });
});

describe("PATCH", () => {
  test("changes what is known about a secret without a new version", async () => {
    const { as, events, sealed } = await openLife();
    const { send } = as("editor");
    await send("PUT", PATH, { value: "some-value", metadata: { a: 1 }, tags: ["x"], secret_type: "api_key" });
    const { status, body } = await send("PATCH", PATH, { metadata: { b: 2 }, access_tier: "sensitive" });
    expect([status, body]).toMatchObject([
      200,
      { version: 1, metadata: { b: 2 }, tags: ["x"], access_tier: "sensitive", secret_type: "api_key" },
    ]);
    expect(await sealed()).toHaveLength(1);
    expect((await events()).at(-1)).toMatchObject({
      event_type: "secret.updated",
      context: { changed: ["accessTier", "metadata"] },
    });
  });

  test("needs a secret that is there, and something to change; a value is not it", async () => {
    const { as } = await openLife();
    const { send } = as("editor");
    expect((await send("PATCH", PATH, { tags: ["x"] })).body.error.code).toBe("SECRET_NOT_FOUND");
    await send("PUT", PATH, { value: "some-value" });
    for (const body of [{}, { value: "other-value" }, { tier: "critical" }]) {
      expect((await send("PATCH", PATH, body)).body.error.code).toBe("VALIDATION_ERROR");
    }
  });

  test("attack 91: lowers no tier and widens no hosts above the standard tier", async () => {
    const { as } = await openLife();
    const { send } = as("admin");
    await send("PUT", PATH, { value: "some-value", access_tier: "critical", allowed_hosts: ["api.x.com"] });
    for (const body of [{ access_tier: "standard" }, { allowed_hosts: ["api.x.com", "evil.com"] }]) {
      expect((await send("PATCH", PATH, body)).body.error.code).toBe("APPROVAL_REQUIRED");
    }
    expect((await send("PATCH", PATH, { allowed_hosts: [] })).body.allowed_hosts).toEqual([]);
  });
});

test("the sweep tells the ledger once of each expiry, and again only of another date", async () => {
  const { as, events, sweep, time } = await openLife();
  const { send } = as("editor");
  await send("PUT", PATH, { value: "some-value", expires_at: at(time.now + DAY) });
  const expiries = async () =>
    (await events())
      .filter(({ event_type: type }) => type === "secret.expired")
      .map(({ context }) => context);
  await sweep();
  expect(await expiries()).toEqual([]);
  time.now += DAY;
  await sweep();
  await sweep();
  expect(await expiries()).toEqual([{ version: 1, expired_at: at(time.now) }]);
  await send("PATCH", PATH, { tags: ["x"] });
  await sweep();
  expect(await expiries()).toHaveLength(1);
  await send("PATCH", PATH, { expires_at: at(time.now + DAY) });
  time.now += 2 * DAY;
  await sweep();
  expect(await expiries()).toHaveLength(2);
});
