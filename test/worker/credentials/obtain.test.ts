import { describe, expect, it } from "vitest";
import { Problem } from "../../../src/base/problem.ts";
import { isAllowedHost, parseDestination } from "../../../src/connections/destination.ts";
import { checkUse } from "../../../src/credentials/obtain.ts";
import type { SealedSecret } from "../../../src/vault/vault.ts";

const NOW = Date.UTC(2026, 0, 1);

const sealed = (allowedHosts: readonly string[], expiresAt: number | null = null) =>
  ({ allowedHosts, redactable: true, expiresAt }) as unknown as SealedSecret;

function refusal(secret: SealedSecret, baseUrl: string): string {
  try {
    checkUse(secret, parseDestination(baseUrl, { privateAllowed: true, ownHosts: [] }), NOW);
  } catch (error) {
    if (error instanceof Problem) return error.message;
  }
  return "no refusal";
}

describe("a secret that may not be sent to a host", () => {
  it.each([
    ["https://api.example.com/v1", "api.example.com"],
    ["https://api.example.com:8443", "api.example.com:8443"],
    ["http://api.example.com", "api.example.com:80"],
    ["http://api.example.com:443", "api.example.com"],
    ["http://127.0.0.1:9000", "127.0.0.1:9000"],
    ["https://[2001:db8::1]:8443", "[2001:db8::1]:8443"],
  ])("for %s names %s, which `allowed_hosts` then takes", (baseUrl, named) => {
    expect(refusal(sealed(["other.example.com"]), baseUrl)).toBe(`The secret may not be sent to ${named}.`);
    expect(isAllowedHost(parseDestination(baseUrl, { privateAllowed: true, ownHosts: [] }), [named])).toBe(
      true,
    );
    expect(refusal(sealed([named]), baseUrl)).toBe("no refusal");
  });
});

it("a secret is used for nothing from the moment it expires", () => {
  const host = "api.example.com";
  expect(refusal(sealed([host], NOW + 1), `https://${host}`)).toBe("no refusal");
  expect(refusal(sealed([host], NOW), `https://${host}`)).toBe("The secret has expired.");
});
