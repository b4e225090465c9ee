import { beforeEach, describe, expect, test } from "vitest";
import { epochOf } from "../support/tenant.ts";
import { CANARY, expectRefused, KEY, openConnections, own, refusalOf, stateOf } from "./fixtures.ts";

const STRIPE_HOSTS = ["api.stripe.com", "files.stripe.com"];

let room: Awaited<ReturnType<typeof openConnections>>;
beforeEach(async () => {
  room = await openConnections();
});

describe("a connection from the catalogue", () => {
  test("takes base URL and credential from the provider", async () => {
    const { connection } = await room.create({
      slug: "stripe",
      provider: "stripe",
      secret: await room.secret(KEY),
    });
    expect(connection).toMatchObject({
      slug: "stripe",
      provider: "stripe",
      baseUrl: "https://api.stripe.com",
      credential: { kind: "bearer" },
      secrets: { secret: KEY },
      allow: null,
      limits: {},
      references: [],
      websockets: false,
      redact: { shapes: true, entropy: false, minted: true },
      default: "allow",
    });
    expect(await room.connections.get(room.tenantId, "stripe")).toEqual(connection);
  });

  test("adds its own options to the provider's credential, and another kind stands for itself", async () => {
    const secret = await room.secret(KEY);
    const options = { credential: { username: "AC0123" }, secret };
    const added = await room.create({ slug: "twilio", provider: "twilio", ...options });
    expect(added.connection.credential).toEqual({ kind: "basic", username: "AC0123" });
    const header = await room.secret("staging/shop/KEY");
    const shop = { slug: "shop", provider: "shopify", base_url: "https://a.myshopify.com", secret: header };
    const kept = await room.create({ ...shop, credential: { kind: "header", format: "Token {secret}" } });
    expect(kept.connection.credential).toEqual({
      kind: "header",
      name: "X-Shopify-Access-Token",
      format: "Token {secret}",
    });
    const other = await room.create({ ...shop, slug: "other", credential: { kind: "bearer" } });
    expect(other.connection.credential).toEqual({ kind: "bearer" });
  });

  test("needs a path for each secret of its credential, and for no other", async () => {
    const secret = await room.secret(KEY);
    const twilio = { slug: "twilio", provider: "twilio" };
    for (const secrets of [
      { secret },
      { username: secret },
      { username: secret, password: secret, x: secret },
    ]) {
      await expectRefused(room.tenantId, () => room.create({ ...twilio, secrets }), "VALIDATION_ERROR");
    }
    const { connection } = await room.create({ ...twilio, secrets: { username: secret, password: secret } });
    expect(connection.secrets).toEqual({ username: secret, password: secret });
  });

  test("gives a secret without hosts those of the provider, in the same batch, with a line in the ledger", async () => {
    await room.create({ slug: "stripe", provider: "stripe", secret: await room.secret(KEY) });
    expect(await room.hostsOf(KEY)).toEqual(STRIPE_HOSTS);
    const landed = room.changes.landed.at(-1);
    expect(landed?.statements).toHaveLength(2);
    expect(landed?.events.map((event) => [event.event_type, event.resource])).toEqual([
      ["connection.created", "stripe"],
      ["secret.updated", KEY],
    ]);
    expect(landed?.events[1]?.context).toMatchObject({ allowed_hosts: STRIPE_HOSTS, connection: "stripe" });
  });

  test("of another provider cannot have a secret that was first connected to one", async () => {
    const secret = await room.secret(KEY);
    await room.create({ slug: "stripe", provider: "stripe", secret });
    const github = { slug: "github", provider: "github", secret };
    await expectRefused(room.tenantId, () => room.create(github), "DESTINATION_DENIED", /allowed_hosts/);
  });

  test("leaves hosts that were decided as they are, also where there are none", async () => {
    const some = await room.secret(KEY, { allowedHosts: ["api.stripe.com"] });
    await room.create({ slug: "stripe", provider: "stripe", secret: some });
    expect(await room.hostsOf(KEY)).toEqual(["api.stripe.com"]);
    const none = await room.secret("staging/none/KEY", { allowedHosts: [] });
    const input = { slug: "none", provider: "stripe", secret: none };
    await expectRefused(room.tenantId, () => room.create(input), "DESTINATION_DENIED", /"api\.stripe\.com"/);
  });

  test("may lead to another of the provider's hosts, and not elsewhere", async () => {
    const input = { slug: "files", provider: "stripe", secret: await room.secret(KEY) };
    await expectRefused(
      room.tenantId,
      () => room.create({ ...input, base_url: "https://test.example.org" }),
      "DESTINATION_DENIED",
      /"test\.example\.org"/,
    );
    await room.create({ ...input, base_url: "https://files.stripe.com" });
    expect(await room.hostsOf(KEY)).toEqual(STRIPE_HOSTS);
  });

  test("may lead elsewhere where every one of its secrets names the host itself", async () => {
    const there = { allowedHosts: ["test.example.org:8443"] };
    const named = await room.secret(KEY, there);
    const undecided = await room.secret("staging/undecided/KEY");
    const input = { slug: "twilio", provider: "twilio", base_url: "https://test.example.org:8443/v2/" };
    await expectRefused(
      room.tenantId,
      () => room.create({ ...input, secrets: { username: named, password: undecided } }),
      "DESTINATION_DENIED",
    );
    const { connection } = await room.create({ ...input, secrets: { username: named, password: named } });
    expect(connection.baseUrl).toBe("https://test.example.org:8443/v2");
  });

  test("attack 91: where every customer has a host, a secret gets the connection's alone", async () => {
    const secret = await room.secret(KEY);
    const azure = { slug: "azure", provider: "azure-openai", secret };
    await room.create({ ...azure, base_url: "https://ours.openai.azure.com" });
    expect(await room.hostsOf(KEY)).toEqual(["ours.openai.azure.com"]);
    const theirs = { ...azure, slug: "theirs", base_url: "https://evil.openai.azure.com" };
    await expectRefused(room.tenantId, () => room.create(theirs), "DESTINATION_DENIED");
  });

  test("attack 91: nobody alone chooses the host of a secret above the standard tier", async () => {
    for (const accessTier of ["sensitive", "critical"] as const) {
      const secret = await room.secret(`staging/${accessTier}/KEY`, { accessTier });
      const azure = {
        slug: accessTier,
        provider: "azure-openai",
        secret,
        base_url: "https://x.openai.azure.com",
      };
      await expectRefused(room.tenantId, () => room.create(azure), "APPROVAL_REQUIRED", /allowed_hosts/);
      await room.create({ slug: accessTier, provider: "stripe", secret });
      expect(await room.hostsOf(secret)).toEqual(STRIPE_HOSTS);
    }
  });
});

describe("a connection of one's own", () => {
  test("needs its host in the secret's allowed_hosts; the refusal says so", async () => {
    const undecided = await room.secret(KEY);
    const next = /"api\.example\.org".*allowed_hosts/;
    await expectRefused(room.tenantId, () => room.create(own(undecided)), "DESTINATION_DENIED", next);
    const elsewhere = await room.secret("staging/elsewhere/KEY", {
      allowedHosts: ["example.org", "x.api.example.org"],
    });
    await expectRefused(room.tenantId, () => room.create(own(elsewhere)), "DESTINATION_DENIED", next);
    const allowed = await room.secret("staging/allowed/KEY", { allowedHosts: ["api.example.org"] });
    expect((await room.create(own(allowed))).connection).toMatchObject({
      provider: null,
      secrets: { secret: allowed },
    });
  });

  test("keeps everything that was asked for", async () => {
    const wanted = {
      allow: [{ methods: ["GET"], paths: ["/v1/*"] }],
      limits: { max_body_bytes: 1_000, timeout_seconds: 5 },
      references: ["body", "headers"],
      websockets: true,
      redact: { shapes: false, entropy: true, minted: false },
      default: "deny",
    };
    const secret = await room.secret(KEY, { allowedHosts: ["api.example.org"] });
    await room.create(own(secret, wanted));
    expect(await room.connections.get(room.tenantId, "up")).toMatchObject(wanted);
  });

  test("needs a credential that its kind takes; nothing of it is repeated", async () => {
    const secret = await room.secret(KEY, { allowedHosts: ["api.example.org"] });
    for (const credential of [
      { kind: CANARY },
      { kind: "bearer", token: CANARY },
      { kind: "header", format: CANARY },
      { kind: "query", name: [CANARY] },
      { kind: "constructor" },
      {},
    ]) {
      await expectRefused(room.tenantId, () => room.create(own(secret, { credential })), "VALIDATION_ERROR");
    }
  });
});

describe("the secrets of a connection", () => {
  test("must be there: not of another tenant, not deleted", async () => {
    const other = await openConnections();
    await other.secret(KEY, { allowedHosts: ["api.example.org"] });
    await expectRefused(room.tenantId, () => room.create(own(KEY)), "SECRET_NOT_FOUND", /PUT/);
    await room.secret(KEY, { allowedHosts: ["api.example.org"] });
    await room.vault.removal.delete(room.editor, KEY);
    await expectRefused(room.tenantId, () => room.create(own(KEY)), "SECRET_NOT_FOUND");
  });

  test("attack 44: must be such that they can be kept out of responses", async () => {
    const short = await room.secret(KEY, { text: "short", allowedHosts: ["api.example.org"] });
    await expectRefused(room.tenantId, () => room.create(own(short)), "SECRET_UNUSABLE", /8 bytes/);
    const plain = await room.secret("staging/plain/KEY", { text: "aaaaaaaaaaaaaaaa" });
    const stripe = { slug: "stripe", provider: "stripe", secret: plain };
    await expectRefused(room.tenantId, () => room.create(stripe), "SECRET_UNUSABLE");
  });

  test("invariant 1: their values are in no answer, event or row of a connection", async () => {
    const secret = await room.secret(KEY, { allowedHosts: ["api.example.org"] });
    const made = await room.create(own(secret));
    const changed = await room.update("up", { default: "deny" });
    expect(JSON.stringify([made, changed, await stateOf(room.tenantId)])).not.toContain(CANARY);
  });
});

describe("a slug", () => {
  test("is taken once in a tenant, whoever is first, and free in every other", async () => {
    const other = await openConnections();
    for (const tenant of [room, other]) await tenant.secret(KEY, { allowedHosts: ["api.example.org"] });
    const results = await Promise.allSettled([1, 2, 3].map(() => room.create(own(KEY))));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await expectRefused(room.tenantId, () => room.create(own(KEY)), "CONFLICT", /PATCH/);
    await other.create(own(KEY));
  });
});

describe("a change", () => {
  beforeEach(async () => {
    await room.secret(KEY, { allowedHosts: ["api.example.org", "eu.example.org"] });
    await room.create(own(KEY, { allow: [{ paths: ["/v1/*"] }], limits: { timeout_seconds: 5 } }));
  });

  test("keeps what the patch does not name", async () => {
    const before = await room.connections.get(room.tenantId, "up");
    const { connection } = await room.update("up", { websockets: true });
    expect(connection).toEqual({ ...before, websockets: true, updatedAt: before.updatedAt + 1 });
    const { connection: open } = await room.update("up", { allow: null });
    expect(open).toMatchObject({ allow: null, limits: { timeout_seconds: 5 }, websockets: true });
    expect(await room.connections.get(room.tenantId, "up")).toEqual(open);
  });

  test("is checked like a new connection", async () => {
    const short = await room.secret("staging/short/KEY", {
      text: "short",
      allowedHosts: ["api.example.org"],
    });
    const refused = [
      [{ base_url: "https://evil.example.org" }, "DESTINATION_DENIED"],
      [{ base_url: "https://api.example.org:8443" }, "DESTINATION_DENIED"],
      [{ base_url: "http://api.example.org" }, "DESTINATION_DENIED"],
      [{ secret: "staging/none/KEY" }, "SECRET_NOT_FOUND"],
      [{ secret: short }, "SECRET_UNUSABLE"],
      [{ secrets: { username: KEY, password: KEY } }, "VALIDATION_ERROR"],
      [{ credential: { kind: "basic" } }, "VALIDATION_ERROR"],
      [{ credential: { kind: "nothing" } }, "VALIDATION_ERROR"],
    ] as const;
    for (const [patch, code] of refused)
      await expectRefused(room.tenantId, () => room.update("up", patch), code);
  });

  test("of what does not lead anywhere works while the secret is gone", async () => {
    await room.vault.removal.delete(room.editor, KEY);
    await room.update("up", { default: "deny", allow: [] });
    await expectRefused(room.tenantId, () => room.update("up", { secret: KEY }), "SECRET_NOT_FOUND");
  });

  test("of a connection that is not there, or another tenant's, is NOT_FOUND", async () => {
    const other = await openConnections();
    await expectRefused(room.tenantId, () => other.update("up", { default: "deny" }), "NOT_FOUND");
    await expectRefused(room.tenantId, () => other.connections.remove(other.editor, "up"), "NOT_FOUND");
    expect((await refusalOf(other.connections.get(other.tenantId, "up"))).code).toBe("NOT_FOUND");
    expect((await other.connections.list(other.tenantId, { limit: 50 })).connections).toEqual([]);
  });

  test("says in the ledger what was and what is", async () => {
    await room.update("up", { base_url: "https://eu.example.org", default: "allow" });
    const event = room.changes.landed.at(-1)?.events[0];
    expect(event).toMatchObject({
      event_type: "connection.updated",
      resource_type: "connection",
      resource: "up",
      actor: room.editor.actor,
      ip_address: room.editor.request.ip,
      context: {
        changed: ["base_url"],
        before: { base_url: "https://api.example.org" },
        after: { base_url: "https://eu.example.org" },
        request_id: room.editor.request.requestId,
      },
    });
  });

  test("is not lost among others made at the same time", async () => {
    const patches = [{ websockets: true }, { default: "deny" }, { references: ["body"] }];
    await Promise.all(patches.map((patch) => room.update("up", patch)));
    expect(await room.connections.get(room.tenantId, "up")).toMatchObject(Object.assign({}, ...patches));
  });

  test("attack 91: nobody alone moves a secret above the standard tier to another host", async () => {
    const hosts = { allowedHosts: ["api.example.org", "eu.example.org"] };
    const critical = await room.secret("staging/critical/KEY", { ...hosts, accessTier: "critical" });
    const move = { base_url: "https://eu.example.org" };
    await expectRefused(
      room.tenantId,
      () => room.update("up", { ...move, secret: critical }),
      "APPROVAL_REQUIRED",
    );
    await room.update("up", { secret: critical });
    await expectRefused(
      room.tenantId,
      () => room.update("up", move),
      "APPROVAL_REQUIRED",
      /another connection/,
    );
    await expectRefused(
      room.tenantId,
      () => room.update("up", { ...move, secret: KEY }),
      "APPROVAL_REQUIRED",
    );
    const there = { base_url: "https://api.example.org/v2", credential: { kind: "query", name: "key" } };
    expect((await room.update("up", there)).connection.baseUrl).toBe("https://api.example.org/v2");
    await room.update("up", { secret: KEY });
    expect((await room.update("up", move)).connection.baseUrl).toBe("https://eu.example.org");
  });
});

describe("a removed connection", () => {
  test("is gone, its tokens with it, and the ledger says what it was", async () => {
    await room.secret(KEY, { allowedHosts: ["api.example.org"] });
    await room.create(own(KEY));
    await room.connections.remove(room.editor, "up");
    const landed = room.changes.landed.at(-1);
    expect(landed?.watermarks).toEqual([{ kind: "connection", key: "up" }]);
    expect(landed?.events[0]).toMatchObject({
      event_type: "connection.deleted",
      resource: "up",
      context: { base_url: "https://api.example.org", secrets: { secret: KEY } },
    });
    expect((await stateOf(room.tenantId))["connections"]).toEqual([]);
    expect((await refusalOf(room.connections.remove(room.editor, "up"))).code).toBe("NOT_FOUND");
  });

  test("is removed once, whoever is first", async () => {
    await room.secret(KEY, { allowedHosts: ["api.example.org"] });
    await room.create(own(KEY));
    const remove = () => room.connections.remove(room.editor, "up");
    const results = await Promise.allSettled([remove(), remove(), remove()]);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(room.changes.landed.filter(({ watermarks }) => watermarks !== undefined)).toHaveLength(1);
  });
});

describe("for calls", () => {
  const find = async () =>
    room.connections.find(room.tenantId, "up", await epochOf(room.tenantId)).then(({ value }) => value);

  test("every change is seen by who knows of its epoch, and only then", async () => {
    await room.secret(KEY, { allowedHosts: ["api.example.org"] });
    expect(await find()).toBeNull();
    const { connection, change } = await room.create(own(KEY));
    expect(await find()).toEqual(connection);
    expect((await room.connections.find(room.tenantId, "up", 1)).epoch).toBe(change.epoch);
    const { connection: changed } = await room.update("up", { default: "deny" });
    expect((await room.connections.find(room.tenantId, "up", change.epoch)).value).toEqual(connection);
    expect(await find()).toEqual(changed);
    await room.connections.remove(room.editor, "up");
    expect(await find()).toBeNull();
  });

  test("what is at hand is the same object, so that it is compiled once", async () => {
    await room.secret(KEY, { allowedHosts: ["api.example.org"] });
    await room.create(own(KEY));
    expect(await find()).toBe(await find());
  });

  test("one of another tenant is not found, nor is what no slug can be", async () => {
    await room.secret(KEY, { allowedHosts: ["api.example.org"] });
    await room.create(own(KEY));
    await find();
    const other = await openConnections();
    expect((await other.connections.find(other.tenantId, "up", 1)).value).toBeNull();
    // Not even looked for: an epoch that D1 has not reached would be UNAVAILABLE.
    for (const slug of ["UP", "up ", "../up", "", "a".repeat(65), `${room.tenantId} up`]) {
      expect(await room.connections.find(room.tenantId, slug, 1e9), slug).toEqual({
        epoch: 1e9,
        value: null,
      });
    }
  });

  test("an epoch that D1 has not reached is UNAVAILABLE, never an older answer", async () => {
    const epoch = (await epochOf(room.tenantId)) + 1;
    const problem = await refusalOf(room.connections.find(room.tenantId, "up", epoch));
    expect(problem.code).toBe("UNAVAILABLE");
  });
});

test("lists page by slug, each connection once", async () => {
  await room.secret(KEY, { allowedHosts: ["api.example.org"] });
  const slugs = ["a", "a-1", "b", "c", "d"];
  for (const slug of slugs.toReversed()) await room.create(own(KEY, { slug }));
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await room.connections.list(room.tenantId, { limit: 2, cursor });
    seen.push(...page.connections.map(({ slug }) => slug));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(seen).toEqual(slugs);
});
