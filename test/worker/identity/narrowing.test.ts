import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inAllowlist } from "../../../src/base/address.ts";
import { withinBounds } from "../../../src/base/scope.ts";
import { narrows, type AgentReach } from "../../../src/identity/narrowing.ts";

const reach = (over: Partial<AgentReach> = {}): AgentReach => ({
  allowedScopes: [],
  allowedNamespaces: [],
  ipAllowlist: [],
  ...over,
});

describe("narrowing an agent", () => {
  test.each<[string, Partial<AgentReach>, Partial<AgentReach>]>([
    [
      "a scope less",
      { allowedScopes: ["connections:call:a", "connections:call:b"] },
      { allowedScopes: ["connections:call:a"] },
    ],
    [
      "a narrower pattern",
      { allowedScopes: ["secrets:use:prod/*"] },
      { allowedScopes: ["secrets:use:prod/stripe/*"] },
    ],
    ["a lesser action", { allowedScopes: ["secrets:*:prod/*"] }, { allowedScopes: ["secrets:use:prod/*"] }],
    ["no scopes and no namespaces left", { allowedScopes: ["connections:call:a"] }, {}],
    ["a namespace less", { allowedNamespaces: ["prod", "staging"] }, { allowedNamespaces: ["prod"] }],
    [
      "a child instead of a namespace",
      { allowedNamespaces: ["prod"] },
      { allowedNamespaces: ["prod/stripe"] },
    ],
    [
      "a namespace that only begins like it",
      { allowedNamespaces: ["prod"] },
      { allowedNamespaces: ["prod-old"] },
    ],
    [
      "scopes where namespaces alone bounded",
      { allowedNamespaces: ["prod"] },
      { allowedNamespaces: ["prod"], allowedScopes: ["secrets:use:*"] },
    ],
    [
      "namespaces where scopes alone bounded",
      { allowedScopes: ["secrets:use:*"] },
      { allowedScopes: ["secrets:use:*"], allowedNamespaces: ["prod"] },
    ],
    ["an allowlist where there was none", {}, { ipAllowlist: ["192.0.2.0/24"] }],
    ["a smaller network", { ipAllowlist: ["192.0.2.0/24"] }, { ipAllowlist: ["192.0.2.0/25"] }],
    ["another family", { ipAllowlist: ["192.0.2.0/24"] }, { ipAllowlist: ["2001:db8::/32"] }],
  ])("%s narrows", (_, before, after) => {
    expect(narrows(reach(before), reach(after))).toBe(true);
  });

  test.each<[string, Partial<AgentReach>, Partial<AgentReach>]>([
    [
      "nothing changed",
      { allowedScopes: ["secrets:use:a/*"], ipAllowlist: ["192.0.2.0/24"] },
      { allowedScopes: ["secrets:use:a/*"], ipAllowlist: ["192.0.2.0/24"] },
    ],
    [
      "a scope more",
      { allowedScopes: ["connections:call:a"] },
      { allowedScopes: ["connections:call:b", "connections:call:a"] },
    ],
    [
      "one scope that covers both",
      { allowedScopes: ["secrets:read:a/b", "secrets:use:a/*"] },
      { allowedScopes: ["secrets:*:a/*"] },
    ],
    ["a namespace around it", { allowedNamespaces: ["prod/stripe"] }, { allowedNamespaces: ["prod"] }],
    [
      "namespaces dropped beside scopes",
      { allowedScopes: ["secrets:use:*"], allowedNamespaces: ["prod"] },
      { allowedScopes: ["secrets:use:*"] },
    ],
    ["anything where nothing was allowed", {}, { allowedNamespaces: ["prod"] }],
    [
      "a larger network",
      { ipAllowlist: ["192.0.2.0/25", "192.0.2.128/25"] },
      { ipAllowlist: ["192.0.2.0/24"] },
    ],
    ["the allowlist dropped", { ipAllowlist: ["192.0.2.0/24"] }, {}],
  ])("%s does not", (_, before, after) => {
    expect(narrows(reach(before), reach(after))).toBe(false);
  });

  test("what is said not to narrow refuses nothing that was allowed", () => {
    const scopes = [
      "namespaces:read",
      "connections:call:a",
      "connections:call:*",
      "secrets:use:p/*",
      "secrets:*:p/q/*",
      "secrets:read:p/q/K",
      "secrets:use:*",
    ];
    const addresses = ["192.0.2.1", "192.0.2.200", "2001:db8::1"];
    const some = (all: string[]) => fc.subarray(all, { maxLength: 3 });
    const anyReach = fc.record({
      allowedScopes: some(scopes),
      allowedNamespaces: some(["p", "p/q", "p/*", "r"]),
      ipAllowlist: some(["192.0.2.0/24", "192.0.2.0/25", "2001:db8::/32", "2001:db8::1/128"]),
    });
    const admits = (list: readonly string[], address: string) =>
      list.length === 0 || inAllowlist(address, list);
    fc.assert(
      fc.property(anyReach, anyReach, (before, after) => {
        if (narrows(before, after)) return;
        for (const scope of scopes)
          if (withinBounds(before, scope)) expect(withinBounds(after, scope)).toBe(true);
        for (const address of addresses) {
          if (admits(before.ipAllowlist, address)) expect(admits(after.ipAllowlist, address)).toBe(true);
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
