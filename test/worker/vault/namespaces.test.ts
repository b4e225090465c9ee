import { eq } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { secrets, secretVersions } from "../../../src/vault/tables.ts";
import { db } from "./fixtures.ts";
import { openLife } from "./lifecycle-fixtures.ts";

const at = (namespace: string) => `/v1/namespaces/${namespace}`;

describe("a namespace's settings", () => {
  test("hold in it and below it, each as the nearest says that says anything", async () => {
    const { as } = await openLife({ tier_default: "sensitive" });
    const { send } = as("admin");
    await send("PUT", at("production"), { tier_default: "critical", kek: "prod" });
    const { status, body } = await send("PUT", at("production/payments"), {
      reveal: "deny",
      kek: "payments",
    });
    expect([status, body]).toMatchObject([
      200,
      {
        namespace: "production/payments",
        settings: { tier_default: null, reveal: "deny", kek: "payments" },
        effective: { tier_default: "critical", reveal: "deny", kek: "payments" },
      },
    ]);
    const effective = async (namespace: string) =>
      (await as("viewer").send("GET", at(namespace))).body.effective;
    expect(await effective("production/payments/stripe")).toMatchObject({ kek: "payments" });
    expect(await effective("production/search")).toMatchObject({ tier_default: "critical", kek: "prod" });
    for (const namespace of ["production-old", "prod", "staging/production"]) {
      expect(await effective(namespace)).toEqual({
        ...{ tier_default: "sensitive", reveal: "deny", kek: null },
        approval_delay_seconds: 300,
      });
    }
    const tierOf = async (path: string) =>
      (await send("PUT", `/v1/secrets/${path}`, { value: "some-value" })).body.access_tier;
    expect(await tierOf("production/payments/KEY")).toBe("critical");
    expect(await tierOf("staging/KEY")).toBe("sensitive");
    const named = await send("PUT", "/v1/secrets/production/NAMED", {
      value: "v-a-l-u-e",
      access_tier: "standard",
    });
    expect(named.body.access_tier).toBe("standard");
  });

  test("are replaced as a whole, go with DELETE, and are listed beside what holds secrets", async () => {
    const { as, with: holding } = await openLife();
    const { send } = as("admin");
    await send("PUT", at("a/b"), { tier_default: "sensitive", kek: "mine" });
    expect((await send("PUT", at("a/b"), { kek: "other" })).body.settings).toEqual({
      tier_default: null,
      reveal: null,
      kek: "other",
      approval_delay_seconds: null,
    });
    await send("PUT", "/v1/secrets/c/KEY", { value: "some-value" });
    expect((await as("viewer").send("GET", "/v1/namespaces")).body.namespaces).toEqual([
      {
        namespace: "a/b",
        secrets: 0,
        settings: { tier_default: null, reveal: null, kek: "other", approval_delay_seconds: null },
      },
      { namespace: "c", secrets: 1 },
    ]);
    const token = holding("namespaces:read", "secrets:read:*");
    expect((await token.send("GET", "/v1/namespaces")).body.namespaces).toEqual([
      { namespace: "c", secrets: 1 },
    ]);
    expect((await send("DELETE", at("a%2Fb"))).status).toBe(204);
    expect((await send("DELETE", at("a/b"))).body.error.code).toBe("NOT_FOUND");
    expect((await send("GET", at("a/b"))).body.settings).toEqual({
      tier_default: null,
      reveal: null,
      kek: null,
      approval_delay_seconds: null,
    });
  });

  test("say how long what reaches a critical secret waits after its approval", async () => {
    const { as } = await openLife();
    const { send } = as("admin");
    await send("PUT", at("production"), { approval_delay_seconds: 3_600 });
    await send("PUT", at("production/fast"), { approval_delay_seconds: 30 });
    const delayIn = async (namespace: string) =>
      (await as("viewer").send("GET", at(namespace))).body.effective.approval_delay_seconds;
    expect(await delayIn("production/payments")).toBe(3_600);
    expect(await delayIn("production/fast/lane")).toBe(30);
    expect(await delayIn("staging")).toBe(300);
  });

  test("leave their line in the ledger", async () => {
    const { as, events } = await openLife();
    await as("admin").send("PUT", at("a"), { tier_default: "critical" });
    await as("admin").send("DELETE", at("a"));
    expect(await events()).toMatchObject([
      {
        event_type: "namespace.updated",
        resource_type: "namespace",
        resource: "a",
        context: { tier_default: "critical", reveal: null, kek: null },
      },
      { event_type: "namespace.reset", resource: "a" },
    ]);
  });

  test("attack 73: are another tenant's nothing", async () => {
    const mine = await openLife();
    const theirs = await openLife();
    await mine.as("admin").send("PUT", at("a"), { tier_default: "critical" });
    expect((await theirs.as("admin").send("GET", at("a"))).body.effective.tier_default).toBe("standard");
    expect((await theirs.as("admin").send("DELETE", at("a"))).body.error.code).toBe("NOT_FOUND");
    expect((await theirs.as("admin").send("GET", "/v1/namespaces")).body.namespaces).toEqual([]);
  });

  test.each([
    { kek: "" },
    { kek: "A b" },
    { kek: "a/b" },
    { tier_default: "none" },
    { reveal: "maybe" },
    { approval_delay_seconds: 0 },
    { x: 1 },
  ])("such as %j are refused", async (body) => {
    const { as } = await openLife();
    expect((await as("admin").send("PUT", at("a"), body)).body.error.code).toBe("VALIDATION_ERROR");
  });
});

describe("reading plaintext: the nearest setting wins", () => {
  test.each([
    { tenant: "deny", outer: "allow", inner: null, secret: null, status: 200 },
    { tenant: "allow", outer: "deny", inner: null, secret: null, status: 403 },
    { tenant: "deny", outer: "deny", inner: "allow", secret: null, status: 200 },
    { tenant: "allow", outer: "allow", inner: "deny", secret: null, status: 403 },
    { tenant: "allow", outer: "allow", inner: "deny", secret: "allow", status: 200 },
    { tenant: "deny", outer: "allow", inner: "allow", secret: "deny", status: 403 },
  ] as const)("tenant $tenant, a $outer, a/b $inner, secret $secret is $status", async (given) => {
    const { as, with: holding } = await openLife({}, given.tenant);
    const { send } = as("admin");
    await send("PUT", "/v1/secrets/a/b/KEY", { value: "some-value", reveal: given.secret });
    await send("PUT", at("a"), { reveal: given.outer });
    if (given.inner !== null) await send("PUT", at("a/b"), { reveal: given.inner });
    const { status } = await holding("secrets:read:a/*").send("GET", "/v1/secrets/a/b/KEY");
    expect(status).toBe(given.status);
  });
});

describe("attack 91: nobody alone lets agents read above the standard tier by a word about the namespace", () => {
  const sensitive = { value: "some-value", access_tier: "sensitive" };

  test("attack 91: neither where such a secret is there, nor where new ones are of such a tier", async () => {
    const { as } = await openLife();
    const { send } = as("admin");
    await send("PUT", "/v1/secrets/a/b/KEY", sensitive);
    for (const namespace of ["a", "a/b"]) {
      expect((await send("PUT", at(namespace), { reveal: "allow" })).body.error.code).toBe(
        "APPROVAL_REQUIRED",
      );
    }
    await send("PUT", at("c"), { tier_default: "critical" });
    for (const body of [{ reveal: "allow" }, { reveal: "allow", tier_default: "standard" }]) {
      expect((await send("PUT", at("c"), body)).body.error.code).toBe("APPROVAL_REQUIRED");
    }
    expect((await send("PUT", at("d"), { reveal: "allow", tier_default: "critical" })).body.error.code).toBe(
      "APPROVAL_REQUIRED",
    );
    expect((await send("GET", at("c"))).body.effective.reveal).toBe("deny");
  });

  test("attack 91: nor by taking back what denied it", async () => {
    const { as } = await openLife();
    const { send } = as("admin");
    await send("PUT", at("a"), { reveal: "allow" });
    await send("PUT", at("a/b"), { reveal: "deny", kek: "mine" });
    await send("PUT", "/v1/secrets/a/b/KEY", sensitive);
    expect((await send("DELETE", at("a/b"))).body.error.code).toBe("APPROVAL_REQUIRED");
    expect((await send("PUT", at("a/b"), { kek: "other" })).body.error.code).toBe("APPROVAL_REQUIRED");
    expect((await send("PUT", at("a/b"), { reveal: "deny" })).status).toBe(200);
  });

  test("attack 91: nor while such a secret is deleted, which could then be restored", async () => {
    const { as, admin, vault } = await openLife();
    const { send } = as("admin");
    await send("PUT", "/v1/secrets/a/GONE", sensitive);
    await send("DELETE", "/v1/secrets/a/GONE");
    expect((await send("PUT", at("a"), { reveal: "allow" })).body.error.code).toBe("APPROVAL_REQUIRED");
    await vault.removal.purge(admin, "a/GONE", undefined);
    expect((await send("PUT", at("a"), { reveal: "allow" })).status).toBe(200);
  });

  test("attack 91: nor by a word about the whole tenant, which is about standard secrets", async () => {
    const { as, with: holding } = await openLife({}, "allow");
    const { send } = as("admin");
    await send("PUT", "/v1/secrets/a/KEY", sensitive);
    await send("PUT", "/v1/secrets/a/MILD", { value: "some-value" });
    const read = async (path: string) => (await holding("secrets:read:a/*").send("GET", path)).status;
    expect(await read("/v1/secrets/a/KEY")).toBe(403);
    expect(await read("/v1/secrets/a/MILD")).toBe(200);
    await send("PATCH", "/v1/secrets/a/MILD", { access_tier: "critical" });
    expect(await read("/v1/secrets/a/MILD")).toBe(403);
    // What the tenant says is no reason to let a namespace say it.
    expect((await send("PUT", at("a"), { reveal: "allow" })).body.error.code).toBe("APPROVAL_REQUIRED");
  });

  test.each(["sensitive", "critical"])(
    "attack 91: nor by a word about the %s secret itself",
    async (tier) => {
      const { as, with: holding } = await openLife({}, "allow");
      const { send } = as("admin");
      const path = "/v1/secrets/a/KEY";
      await send("PUT", path, { value: "some-value", access_tier: tier });
      const opening = { reveal: "allow" };
      for (const [method, body] of [
        ["PATCH", opening],
        ["PUT", opening],
        ["PUT", { ...opening, value: "another-value" }],
      ] as const) {
        expect((await send(method, path, body)).body.error.code, method).toBe("APPROVAL_REQUIRED");
      }
      await send("PUT", "/v1/secrets/a/MILD", { value: "some-value" });
      const raised = await send("PATCH", "/v1/secrets/a/MILD", { ...opening, access_tier: tier });
      expect(raised.body.error.code).toBe("APPROVAL_REQUIRED");
      expect((await holding("secrets:read:a/*").send("GET", path)).status).toBe(403);
      expect((await send("PATCH", path, { reveal: "deny" })).status).toBe(200);
    },
  );

  test("attack 91: nor by taking back what the secret denied, where its namespace allows", async () => {
    const { as } = await openLife();
    const { send } = as("admin");
    await send("PUT", "/v1/secrets/a/OWN", { ...sensitive, reveal: "deny" });
    expect((await send("PUT", at("a"), { reveal: "allow" })).status).toBe(200);
    expect((await send("PATCH", "/v1/secrets/a/OWN", { reveal: null })).body.error.code).toBe(
      "APPROVAL_REQUIRED",
    );
    expect((await send("PATCH", "/v1/secrets/a/OWN", { tags: ["x"] })).status).toBe(200);
  });

  test("who makes such a secret knows its value, and says who reads it from the start", async () => {
    const { as, with: holding } = await openLife();
    const { send } = as("admin");
    expect((await send("PUT", "/v1/secrets/a/NEW", { ...sensitive, reveal: "allow" })).status).toBe(201);
    expect((await holding("secrets:read:a/*").send("GET", "/v1/secrets/a/NEW")).status).toBe(200);
    expect((await send("PUT", "/v1/secrets/a/NEW", { value: "new-value-1", reveal: "allow" })).status).toBe(
      200,
    );
  });

  test("standard secrets, secrets that say so themselves and namespaces that do are nobody's hindrance", async () => {
    const { as } = await openLife();
    const { send } = as("admin");
    await send("PUT", "/v1/secrets/a/KEY", { value: "some-value" });
    await send("PUT", "/v1/secrets/a/OWN", { ...sensitive, reveal: "deny" });
    await send("PUT", at("a/b"), { reveal: "deny" });
    await send("PUT", "/v1/secrets/a/b/KEY", sensitive);
    await send("PUT", "/v1/secrets/ab/KEY", sensitive);
    expect((await send("PUT", at("a"), { reveal: "allow" })).status).toBe(200);
  });
});

describe("a namespace's own key", () => {
  const keyVersions = async (path: string) => {
    const rows = await db
      .select({ version: secretVersions.version, key: secretVersions.keyVersion })
      .from(secretVersions)
      .innerJoin(secrets, eq(secrets.id, secretVersions.secretId))
      .where(eq(secrets.path, path));
    return rows.toSorted((a, b) => a.version - b.version).map(({ key }) => key);
  };

  test("wraps new versions; old ones open throughout, under whatever they were wrapped", async () => {
    const { as, with: holding } = await openLife({}, "allow");
    const { send } = as("admin");
    const path = `/v1/secrets/keks/KEY`;
    const kek = (name: string | null) => send("PUT", at("keks"), { kek: name });
    await send("PUT", path, { value: "the-first-value" });
    await kek("mine");
    await send("PUT", path, { value: "the-second-value" });
    await kek("other");
    await send("PUT", path, { value: "the-third-value" });
    await kek(null);
    await send("POST", `${path}/rollback`, { version: 2 });
    expect(await keyVersions("keks/KEY")).toEqual([
      "embedded/1",
      "embedded/1/mine",
      "embedded/1/other",
      "embedded/1",
    ]);
    const { send: read } = holding("secrets:read:keks/*");
    const values = await Promise.all(
      [1, 2, 3, 4].map(async (version) => (await read("GET", `${path}?version=${version}`)).body.value),
    );
    expect(values).toEqual(["the-first-value", "the-second-value", "the-third-value", "the-second-value"]);
  });

  test("attack 70: what is wrapped under one key does not open as wrapped under another", async () => {
    const { as, with: holding } = await openLife({}, "allow");
    await as("admin").send("PUT", at("swap"), { kek: "mine" });
    await as("admin").send("PUT", "/v1/secrets/swap/KEY", { value: "some-value" });
    for (const keyVersion of ["embedded/1", "embedded/1/other", "embedded/1/mine/x", "embedded/1/"]) {
      await db
        .update(secretVersions)
        .set({ keyVersion })
        .where(eq(secretVersions.keyVersion, "embedded/1/mine"));
      const { status, body } = await holding("secrets:read:swap/*").send("GET", "/v1/secrets/swap/KEY");
      expect([keyVersion, status, body.error?.code]).toEqual([keyVersion, 500, "INTERNAL"]);
      await db
        .update(secretVersions)
        .set({ keyVersion: "embedded/1/mine" })
        .where(eq(secretVersions.keyVersion, keyVersion));
    }
  });
});
