import fc from "fast-check";
import { describe, it } from "vitest";
import { checkBounds, checkCover, checkScope } from "../../fuzz/targets/scope.ts";

const runs = { numRuns: 3_000, seed: 20_261_122 };
const few = (symbols: readonly string[], maxLength: number) =>
  fc.array(fc.constantFrom(...symbols), { minLength: 1, maxLength }).map((parts) => parts.join(""));
const pattern = few(["a", "b", "/", "*", "-", "."], 7);
const target = few(["a", "b", "/", "-", "."], 8);
const secretPath = fc
  .array(few(["a", "b"], 2), { minLength: 2, maxLength: 3 })
  .map((parts) => parts.join("/"));
const scope = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("secrets:read", "secrets:use", "secrets:*", "connections:call", "secrets:rotate"),
      pattern,
    )
    .map((parts) => parts.join(":")),
  fc.constantFrom(
    "namespaces:read",
    "namespaces:read:a",
    "connections:*:a",
    "*:*:*",
    "secrets:use",
    "secrets:use:a:b",
  ),
);
const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 3 });

describe("a scope, against its definition", () => {
  it("allows what it says and nothing else", () => {
    fc.assert(fc.property(scope, fc.oneof(target, secretPath), checkScope), runs);
    fc.assert(fc.property(pattern, target, checkScope), runs);
  });

  it("is within an agent's bounds only if these allow all that it allows", () => {
    fc.assert(
      fc.property(
        some(scope),
        some(pattern),
        scope,
        fc.oneof(target, secretPath),
        (allowedScopes, allowedNamespaces, asked, on) =>
          checkBounds({ allowedScopes, allowedNamespaces }, asked, on),
      ),
      runs,
    );
  });

  it("covers another pattern only if it matches all that the other one matches", () => {
    fc.assert(fc.property(pattern, pattern, target, checkCover), runs);
  });
});
