import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inAllowlist } from "../../../src/base/address.ts";
import { matchesGlob } from "../../../src/base/glob.ts";
import { newId } from "../../../src/base/ids.ts";
import { Problem } from "../../../src/base/problem.ts";
import { allows } from "../../../src/base/scope.ts";
import { narrow } from "../../../src/tokens/child-bounds.ts";
import { childTokenRequestSchema } from "../../../src/tokens/child-schemas.ts";
import type { Grant } from "../../../src/tokens/grant.ts";
import type { CallRule } from "../../../src/tokens/schemas.ts";

const NOW = 1_800_000_000_000;

const parent = (over: Partial<Grant> = {}): Grant => ({
  ...{
    tokenId: newId("token"),
    tenantId: newId("tenant"),
    agentId: newId("agent"),
    scopes: ["connections:call:*"],
  },
  ...{
    ipAllowlist: [],
    maxUses: null,
    rate: null,
    allow: null,
    tool: null,
    user: null,
    jkt: null,
    permission: null,
    context: {},
  },
  ...{ epoch: 3, issuedAt: NOW - 1000, expiresAt: NOW + 600_000, ancestors: [], ...over },
});

const child = (of: Grant, wanted: object) =>
  narrow(of, childTokenRequestSchema.parse({ scopes: ["connections:call:up"], ...wanted }), NOW);

function refusal(of: Grant, wanted: object): string {
  try {
    child(of, wanted);
    return "none";
  } catch (error) {
    return error instanceof Problem ? error.code : String(error);
  }
}

const get = (connection: string, paths?: string[], methods?: string[]): CallRule => ({
  connection,
  ...(paths === undefined ? {} : { paths }),
  ...(methods === undefined ? {} : { methods }),
});

describe("a child may have nothing that its parent has not", () => {
  test.each<[what: string, parent: Partial<Grant>, wanted: object]>([
    ["another scope", {}, { scopes: ["secrets:use:a/b"] }],
    ["a wider scope", { scopes: ["connections:call:up"] }, { scopes: ["connections:call:*"] }],
    ["reading, where the parent uses", { scopes: ["secrets:use:a/*"] }, { scopes: ["secrets:read:a/b"] }],
    [
      "every action, where the parent has one",
      { scopes: ["secrets:use:a/*"] },
      { scopes: ["secrets:*:a/b"] },
    ],
    ["a longer life", {}, { ttl: "11m" }],
    ["more uses", { maxUses: 5 }, { max_uses: 6 }],
    ["another address", { ipAllowlist: ["192.0.2.0/24"] }, { ip_allowlist: ["192.0.3.1"] }],
    ["a wider network", { ipAllowlist: ["192.0.2.0/24"] }, { ip_allowlist: ["192.0.0.0/16"] }],
    ["another tool", { tool: "a" }, { tool: "b" }],
    ["another user", { user: "a" }, { user: "b" }],
    ["another user in its context", { context: { user: "ada" } }, { context: { user: "bob" } }],
    ["another path", { allow: [get("up", ["/v1/*"])] }, { allow: [get("up", ["/v2/x"])] }],
    ["any path", { allow: [get("up", ["/v1/*"])] }, { allow: [get("up")] }],
    ["any method", { allow: [get("up", undefined, ["GET"])] }, { allow: [get("up", ["/x"])] }],
    [
      "a path with another rule's method",
      { allow: [get("up", ["/a"], ["GET"]), get("up", ["/b"], ["POST"])] },
      { allow: [get("up", ["/b"], ["GET"])] },
    ],
    ["another connection", { allow: [get("up")] }, { allow: [get("down")] }],
  ])("attack 63: %s is refused", (_what, over, wanted) => {
    expect(refusal(parent(over), wanted)).toBe("SCOPE_DENIED");
  });

  test("what is left out is the parent's", () => {
    const of = parent({
      ...{ ipAllowlist: ["192.0.2.0/24"], allow: [get("up", ["/v1/*"])], tool: "t", user: "u", jkt: "k" },
      context: { reason: "r", user: "ada" },
    });
    const { ipAllowlist, allow, tool, user, jkt, context, expiresAt } = of;
    expect(child(of, {})).toMatchObject({ ipAllowlist, allow, tool, user, jkt, context, expiresAt });
  });

  test("its own reason, and what the parent leaves open, are its own", () => {
    const own = { tool: "search", user: "bob", context: { reason: "mine", workflow: "w" } };
    const made = child(parent({ context: { reason: "theirs" } }), own);
    expect(made).toMatchObject({ tool: "search", user: "bob", context: { reason: "mine", workflow: "w" } });
  });
});

const word = fc.constantFrom("a", "b", "ab", "*", "a*", "*b");
const path = fc.array(word, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
const rule = fc.record(
  {
    connection: fc.constantFrom("up", "u*", "*", "down"),
    methods: fc.uniqueArray(fc.constantFrom("GET", "POST"), { minLength: 1, maxLength: 2 }),
    paths: fc.array(path, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ["connection"] },
);
const rules = fc.option(fc.array(rule, { minLength: 1, maxLength: 3 }), { nil: undefined });
const scope = fc.oneof(
  fc.constantFrom("up", "u*", "*").map((slug) => `connections:call:${slug}`),
  fc
    .tuple(fc.constantFrom("use", "read", "*"), fc.constantFrom("a/*", "a/b", "*", "a/b*"))
    .map(([action, pattern]) => `secrets:${action}:${pattern}`),
);
const scopes = fc.array(scope, { minLength: 1, maxLength: 3 });
const addresses = fc.array(
  fc.constantFrom("192.0.2.0/24", "192.0.2.7/32", "198.51.100.0/24", "2001:db8::/32"),
  {
    maxLength: 2,
  },
);

const covers = (list: readonly CallRule[] | null, slug: string, method: string, at: string): boolean =>
  list === null ||
  list.some(
    ({ connection, methods, paths }) =>
      matchesGlob(connection, slug) &&
      (methods === undefined || methods.includes(method)) &&
      (paths === undefined || paths.some((each) => matchesGlob(each, at))),
  );

test("attack 63: whatever a child allows, its parent allows", () => {
  let made = 0;
  fc.assert(
    fc.property(
      fc.record({ scopes, allow: rules, ipAllowlist: addresses }),
      fc.record({ scopes, allow: rules, ip_allowlist: addresses }, { requiredKeys: ["scopes"] }),
      (has, wants) => {
        const of = parent({ ...has, allow: has.allow ?? null });
        let narrowed;
        try {
          narrowed = child(of, wants);
        } catch (error) {
          if (error instanceof Problem) return;
          throw error;
        }
        made++;
        for (const [resource, action, target] of [
          ["connections", "call", "up"],
          ["connections", "call", "down"],
          ["secrets", "use", "a/b"],
          ["secrets", "read", "a/b"],
          ["secrets", "write", "c/d"],
        ] as const) {
          if (allows(narrowed.scopes, resource, action, target)) {
            expect(allows(of.scopes, resource, action, target)).toBe(true);
          }
        }
        for (const slug of ["up", "down"]) {
          for (const method of ["GET", "POST", "PUT"]) {
            for (const at of ["/a", "/a/b", "/ab/b", "/c"]) {
              if (covers(narrowed.allow, slug, method, at))
                expect(covers(of.allow, slug, method, at)).toBe(true);
            }
          }
        }
        const from = (list: readonly string[], address: string) =>
          list.length === 0 || inAllowlist(address, list);
        for (const address of ["192.0.2.7", "192.0.2.8", "198.51.100.1", "2001:db8::1", "203.0.113.1"]) {
          if (from(narrowed.ipAllowlist, address)) expect(from(of.ipAllowlist, address)).toBe(true);
        }
        expect(narrowed.expiresAt).toBeLessThanOrEqual(of.expiresAt);
      },
    ),
    { numRuns: 3_000, seed: 63 },
  );
  expect(made).toBeGreaterThan(50);
});
