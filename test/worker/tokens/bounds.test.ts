import { describe, expect, it } from "vitest";
import { connectionPatchSchema } from "../../../src/connections/schemas.ts";
import { tokenRequestSchema } from "../../../src/tokens/schemas.ts";

const accepts = (over: object): boolean =>
  tokenRequestSchema.safeParse({ scopes: ["namespaces:read"], ttl: "10m", ...over }).success;

/** A list of `count` scopes of `length` characters each. */
const scopes = (count: number, length: number): string[] =>
  Array.from({ length: count }, (_, index) => `secrets:use:${index}${"x".repeat(length)}`.slice(0, length));

/** A path glob of `length` characters. */
const path = (length: number): string => `/*${"a".repeat(length - 3)}b`;

describe("attack 88: what a token request may carry is bounded", () => {
  it.each([
    ["rules of ordinary size", { allow: [{ connection: "up", methods: ["GET"], paths: ["/v1/*"] }] }, true],
    [
      "rules of 8,000 characters",
      { allow: [{ connection: "up", paths: Array.from({ length: 30 }, () => path(250)) }] },
      true,
    ],
    [
      "rules of more",
      { allow: [{ connection: "up", paths: Array.from({ length: 34 }, () => path(250)) }] },
      false,
    ],
    ["a long path", { allow: [{ connection: "up", paths: [path(257)] }] }, false],
    ["a path of nine stars", { allow: [{ connection: "up", paths: [`/${"*a".repeat(9)}`] }] }, false],
    ["a long connection glob", { allow: [{ connection: "u".repeat(64) }] }, false],
    ["scopes of 8,000 characters", { scopes: scopes(16, 500) }, true],
    ["scopes of more", { scopes: scopes(17, 500) }, false],
    ["100 addresses", { ip_allowlist: Array.from({ length: 100 }, (_, index) => `10.0.0.${index}`) }, true],
    ["101 addresses", { ip_allowlist: Array.from({ length: 101 }, (_, index) => `10.0.0.${index}`) }, false],
  ])("%s", (_what, over, accepted) => {
    expect(accepts(over)).toBe(accepted);
  });

  it("and so is what a connection lets through", () => {
    const patch = (paths: string[]) => connectionPatchSchema.safeParse({ allow: [{ paths }] }).success;
    expect(patch(Array.from({ length: 30 }, () => path(250)))).toBe(true);
    expect(patch(Array.from({ length: 34 }, () => path(250)))).toBe(false);
    expect(patch([`/${"*a".repeat(9)}`])).toBe(false);
  });
});
