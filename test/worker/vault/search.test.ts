import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Redacted } from "../../../src/base/redacted.ts";
import { door, memberOf, openVault, tokenOf } from "./fixtures.ts";

const DAY = 86_400_000;

async function openRoom() {
  const opened = await openVault();
  const { editor, tenantId, time, vault } = opened;
  const put = (path: string, over: object = {}) =>
    vault.changes.put(editor, path, { value: new Redacted("a-value-of-some-length"), ...over });
  await put("production/payments/STRIPE", {
    secretType: "api_key",
    tags: ["team:payments", "pci"],
    metadata: { owner: "Ada" },
    expiresAt: time.now + 5 * DAY,
  });
  await put("production/payments/ADYEN", { tags: ["team:payments"], expiresAt: time.now + 50 * DAY });
  await put("production/search/KEY", { accessTier: "sensitive", tags: ["team:payments-eu"] });
  await put("staging/payments/STRIPE", { secretType: "api_key" });
  const find = async (query: string, caller: Parameters<typeof door>[1] = memberOf(tenantId, "viewer")) => {
    const { status, body } = await door(vault, caller).send("GET", `/v1/secrets?${query}`);
    return status === 200 ? body.items.map(({ path }: { path: string }) => path) : body.error.code;
  };
  return { ...opened, find, put };
}

const STRIPE = "production/payments/STRIPE";
const ADYEN = "production/payments/ADYEN";
const SEARCH = "production/search/KEY";
const STAGING = "staging/payments/STRIPE";

describe("a search finds", () => {
  test.each([
    ["", [ADYEN, STRIPE, SEARCH, STAGING]],
    ["namespace=production/payments", [ADYEN, STRIPE]],
    ["query=stripe", [STRIPE, STAGING]],
    ["query=PRODUCTION+stripe", [STRIPE]],
    ["query=ada", [STRIPE]],
    ["query=team:pay", [ADYEN, STRIPE, SEARCH]],
    ["query=%25", []],
    ["query=%22", [ADYEN, STRIPE, SEARCH].slice(0, 0)],
    ["tag=team:payments", [ADYEN, STRIPE]],
    ["tag=pci&query=stripe", [STRIPE]],
    ["tag=pc", []],
    ["type=api_key", [STRIPE, STAGING]],
    ["tier=sensitive", [SEARCH]],
    ["expires_before=2026-01-31T00:00:00Z", [STRIPE]],
    ["expires_before=2030-01-01T00:00:00%2B02:00", [ADYEN, STRIPE]],
  ])("by `%s` just what it names", async (query, paths) => {
    const { find } = await openRoom();
    expect(await find(query)).toEqual(paths);
  });

  test("nothing by what is no filter: that is refused", async () => {
    const { find } = await openRoom();
    for (const query of ["tag=%20", "type=x", "tier=x", "expires_before=soon", "word=x", "namespace=a//b"]) {
      expect(await find(query)).toBe("VALIDATION_ERROR");
    }
  });
});

describe("invariant 8: a token's search", () => {
  test.each([
    ["", ["secrets:read:production/payments/*"], [ADYEN, STRIPE]],
    ["", ["secrets:read:*/STRIPE"], [STRIPE, STAGING]],
    ["", ["secrets:read:prod*n/*/KEY", "secrets:*:staging/*"], [SEARCH, STAGING]],
    ["", ["secrets:use:*", "secrets:write:*"], "SCOPE_DENIED"],
    ["namespace=production", ["secrets:read:production/payments/*"], [ADYEN, STRIPE]],
    ["namespace=production", ["secrets:read:*/STRIPE"], [STRIPE]],
    ["namespace=production", ["secrets:read:staging/*"], "SCOPE_DENIED"],
    ["namespace=prod", ["secrets:read:production/*"], "SCOPE_DENIED"],
    ["namespace=nothing", ["secrets:read:production/*"], "SCOPE_DENIED"],
    ["query=stripe", ["secrets:read:production/*"], [STRIPE]],
    ["tag=team:payments", ["secrets:read:staging/*"], []],
  ])("`%s` with %j stays inside its scopes", async (query, scopes, found) => {
    const { find, tenantId } = await openRoom();
    expect(await find(query, tokenOf(tenantId, ...scopes))).toEqual(found);
  });

  test("tells nothing of what it does not find: not by counts, nor by pages, nor by cursors", async () => {
    const { put, tenantId, vault } = await openRoom();
    const { send } = door(vault, tokenOf(tenantId, "secrets:read:*/STRIPE"));
    const before = await send("GET", "/v1/secrets?limit=1");
    for (let at = 0; at < 30; at++) await put(`production/payments/T${at}`);
    const after = await send("GET", "/v1/secrets?limit=1");
    expect(after.body).toEqual(before.body);
    const cursor = Buffer.from(after.body.next_cursor, "base64url").toString();
    expect(cursor).toBe(JSON.stringify([STRIPE]));
    const rest = await send("GET", `/v1/secrets?limit=1&cursor=${after.body.next_cursor}`);
    expect(rest.body).toMatchObject({ items: [{ path: STAGING }], next_cursor: null });
  });

  test("of what was deleted is refused, as a viewer's is", async () => {
    const { find, tenantId } = await openRoom();
    expect(await find("deleted=true", tokenOf(tenantId, "secrets:*:*"))).toBe("ROLE_DENIED");
    expect(await find("deleted=true")).toBe("ROLE_DENIED");
    expect(await find("deleted=true", memberOf(tenantId, "editor"))).toEqual([]);
  });
});

test("however secrets come and go, what is there all the while is met exactly once, in order", async () => {
  const name = fc.integer({ min: 0, max: 40 }).map((number) => `n${String(number).padStart(2, "0")}/K`);
  const step = fc.record({
    limit: fc.integer({ min: 1, max: 5 }),
    adds: fc.array(name, { maxLength: 3 }),
    removes: fc.array(name, { maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { maxLength: 20 }),
      fc.array(step, { minLength: 3 }),
      async (start, steps) => {
        const { editor, tenantId, vault } = await openVault();
        const there = new Set<string>();
        const add = async (path: string) => {
          await vault.changes.put(editor, path, { value: new Redacted("a-value-of-some-length") });
          there.add(path);
        };
        for (const path of start) await add(path);
        const always = new Set(start);
        const seen: string[] = [];
        let cursor: string | undefined;
        for (let at = 0; ; at++) {
          const { limit, adds, removes } = steps[at % steps.length] ?? { limit: 1, adds: [], removes: [] };
          const filter = { within: ["n*"] };
          const page = await vault.index.search(tenantId, filter, { limit, cursor });
          seen.push(...page.items.map(({ path }) => path));
          if (page.nextCursor === null) break;
          cursor = page.nextCursor;
          for (const path of adds) await add(path);
          for (const path of removes) {
            if (!there.delete(path)) continue;
            await vault.removal.delete(editor, path);
            always.delete(path);
          }
        }
        expect(seen).toEqual([...new Set(seen)].toSorted());
        for (const path of always) expect(seen).toContain(path);
      },
    ),
    { numRuns: 15 },
  );
}, 30_000);

describe("tags", () => {
  test("come with a put, an import or a patch, each once, and stay where they are left out", async () => {
    const { tenantId, vault } = await openVault();
    const { send } = door(vault, memberOf(tenantId, "editor"));
    const put = await send("PUT", "/v1/secrets/a/B", { value: "some-value", tags: ["x", "y:z", "x"] });
    expect(put.body.tags).toEqual(["x", "y:z"]);
    expect((await send("PUT", "/v1/secrets/a/B", { value: "other-value" })).body.tags).toEqual(["x", "y:z"]);
    const patched = await send("PATCH", "/v1/secrets/a/B", { tags: [] });
    expect(patched.body).toMatchObject({ tags: [], version: 2 });
    await send("POST", "/v1/secrets/import", {
      namespace: "a",
      content: "B=one-two\nC=three-four",
      tags: ["t"],
    });
    expect((await send("GET", "/v1/secrets?tag=t")).body.items).toHaveLength(2);
  });

  test.each([
    [Array.from({ length: 21 }, (_, at) => `t${at}`)],
    [["a b"]],
    [['"']],
    [[""]],
    [["x".repeat(65)]],
    ["x"],
  ])("such as %j are refused", async (tags) => {
    const { tenantId, vault } = await openVault();
    const { send } = door(vault, memberOf(tenantId, "editor"));
    const { body } = await send("PUT", "/v1/secrets/a/B", { value: "some-value", tags });
    expect(body.error.code).toBe("VALIDATION_ERROR");
  });
});
