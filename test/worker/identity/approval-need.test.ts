import { describe, expect, test } from "vitest";
import { approvalNeed, isTrustedLess, TRUST_TIERS } from "../../../src/identity/approval-need.ts";

const SECRET_TIERS = ["standard", "sensitive", "critical"] as const;
const weight = ({ approvals, delaySeconds }: ReturnType<typeof approvalNeed>) =>
  approvals * 1e6 + delaySeconds;

describe("what a request needs in approvals", () => {
  test("as usual: nothing for a standard secret, one for a sensitive, two and a delay for a critical one", () => {
    const needs = SECRET_TIERS.map((tier) => approvalNeed(tier, "standard"));
    expect(needs.map(({ approvals }) => approvals)).toEqual([0, 1, 2]);
    expect(needs.map(({ delaySeconds }) => delaySeconds > 0)).toEqual([false, false, true]);
  });

  test("less trust never needs less, nor does a more critical secret", () => {
    for (const tier of SECRET_TIERS) {
      const needs = TRUST_TIERS.map((trust) => weight(approvalNeed(tier, trust)));
      expect(needs).toEqual(needs.toSorted((a, b) => b - a));
    }
    for (const trust of TRUST_TIERS) {
      const needs = SECRET_TIERS.map((tier) => weight(approvalNeed(tier, trust)));
      expect(needs).toEqual(needs.toSorted((a, b) => a - b));
    }
  });

  test("nobody gets at a critical secret unapproved or at once, however trusted", () => {
    for (const trust of TRUST_TIERS) {
      const { approvals, delaySeconds } = approvalNeed("critical", trust);
      expect([approvals >= 1, delaySeconds > 0]).toEqual([true, true]);
    }
  });

  test("an agent that is not trusted gets nothing unapproved", () => {
    for (const tier of SECRET_TIERS) expect(approvalNeed(tier, "untrusted").approvals).toBeGreaterThan(0);
  });

  test("the tiers are in order", () => {
    expect(isTrustedLess("trusted", "standard")).toBe(true);
    expect(isTrustedLess("standard", "untrusted")).toBe(true);
    expect(isTrustedLess("standard", "standard")).toBe(false);
    expect(isTrustedLess("untrusted", "trusted")).toBe(false);
  });
});
