import { describe, expect, it } from "vitest";
import { claimAt, matchesClaim } from "../../../../src/identity/trust/claim.ts";
import { keysUriOf, matchTrust, type VerifiedToken } from "../../../../src/identity/trust/match.ts";
import type { TrustRule } from "../../../../src/identity/trust/rule.ts";
import { EXAMPLES, type Provider, ruleOf } from "./rules.ts";

const providers = Object.keys(EXAMPLES) as Provider[];

/** A verified token that satisfies the provider's example, with changes to its claims. */
function tokenFor(rule: TrustRule, provider: Provider, changes: object = {}): VerifiedToken {
  const { issuer, audience } = rule;
  const claims = { iss: issuer, aud: audience, exp: 2, iat: 1, ...EXAMPLES[provider].claims, ...changes };
  return { issuer, audience, jwksUri: keysUriOf(rule), claims };
}

describe("trust", () => {
  it.each(providers)(
    "of %s matches its workload, and none with a claim less or another value",
    (provider) => {
      const rule = ruleOf(provider);
      const token = tokenFor(rule, provider);
      expect(matchTrust([rule], token)).toEqual({ kind: "match", rule });
      const asked = [...Object.keys(rule.claims).map((name) => name.split("/")[1] ?? name)].map((name) =>
        name.replaceAll("~1", "/"),
      );
      for (const name of rule.subject === undefined ? asked : [...asked, "sub"]) {
        for (const value of [undefined, "another", ["another"], null, {}]) {
          expect(matchTrust([rule], tokenFor(rule, provider, { [name]: value })), name).toEqual({
            kind: "none",
          });
        }
      }
    },
  );

  it.each(providers)("attack 55: of %s is not had with another issuer, audience or key set", (provider) => {
    const rule = ruleOf(provider);
    const token = tokenFor(rule, provider);
    for (const change of [
      { issuer: `${rule.issuer}/` },
      { issuer: rule.issuer.toUpperCase() },
      { audience: "https://other.example.com" },
      { jwksUri: "https://attacker.example/keys" },
    ]) {
      expect(matchTrust([rule], { ...token, ...change })).toEqual({ kind: "none" });
    }
  });

  it("attack 55: a repository of the same name with other ids is another repository", () => {
    const rule = ruleOf("github-actions");
    for (const changes of [
      { repository_id: "999999" },
      { repository_owner_id: "999999" },
      { repository_id: ["456789"] },
      { repository_id: { toString: "456789" } },
    ]) {
      expect(matchTrust([rule], tokenFor(rule, "github-actions", changes))).toEqual({ kind: "none" });
    }
    const renamed = { repository: "new-org/new-name", sub: "repo:new-org/new-name:ref:refs/heads/release/1" };
    expect(matchTrust([rule], tokenFor(rule, "github-actions", renamed)).kind).toBe("match");
  });

  it("attack 55: a SPIFFE path matches within its trust domain and below its path only", () => {
    const rule = ruleOf("spiffe");
    const kindFor = (sub: string) => matchTrust([rule], tokenFor(rule, "spiffe", { sub })).kind;
    expect(kindFor("spiffe://prod.example.org/ns/payments/sa/other")).toBe("match");
    for (const sub of [
      "spiffe://staging.example.org/ns/payments/sa/worker",
      "spiffe://prod.example.org.attacker.example/ns/payments/sa/worker",
      "spiffe://prod.example.org/ns/payments-old/sa/worker",
      "spiffe://prod.example.org/ns/payments",
      "SPIFFE://prod.example.org/ns/payments/sa/worker",
    ]) {
      expect(kindFor(sub), sub).toBe("none");
    }
  });

  it("a person's session of Cloudflare Access is no service token", () => {
    const rule = ruleOf("cloudflare-access");
    expect(keysUriOf(rule)).toBe("https://acme.cloudflareaccess.com/cdn-cgi/access/certs");
    for (const type of ["org", undefined]) {
      expect(matchTrust([rule], tokenFor(rule, "cloudflare-access", { type }))).toEqual({ kind: "none" });
    }
  });

  it("is had by the first rule that is satisfied completely, and by none of no rules", () => {
    const narrow = { ...ruleOf("generic", { claims: { env: "production" } }), id: "narrow" };
    const wide = { ...ruleOf("generic"), id: "wide" };
    const rules = [narrow, wide];
    expect(matchTrust(rules, tokenFor(wide, "generic"))).toMatchObject({ rule: { id: "wide" } });
    expect(matchTrust(rules, tokenFor(wide, "generic", { env: "production" }))).toMatchObject({
      rule: { id: "narrow" },
    });
    expect(matchTrust([], tokenFor(wide, "generic"))).toEqual({ kind: "none" });
  });
});

describe("a claim", () => {
  it("is compared as it is written in JSON, and a list or an object is no value", () => {
    expect(matchesClaim(12_270_835, "12270835")).toBe(true);
    expect(matchesClaim(true, "true")).toBe(true);
    for (const value of [1e21, 0.5, null, undefined, [], ["x"], {}, "X", "x "]) {
      expect(matchesClaim(value, "x")).toBe(false);
      expect(matchesClaim(value, ["x", "y"])).toBe(false);
      expect(matchesClaim(value, { like: ["x"] })).toBe(false);
    }
    for (const value of [1e21, 0.5, Number.MAX_SAFE_INTEGER + 1]) {
      expect(matchesClaim(value, String(value))).toBe(false);
    }
    expect(matchesClaim("y", ["x", "y"])).toBe(true);
  });

  it("that is a list matches by what it contains, exactly", () => {
    expect(matchesClaim(["a", "b"], { contains: "b" })).toBe(true);
    for (const value of [["ab"], "b", [["b"]], { b: "b" }, [], null]) {
      expect(matchesClaim(value, { contains: "b" })).toBe(false);
    }
  });

  it("is found by its name or by a pointer, and never on a prototype", () => {
    const claims = { "a/b": { "c~d": 1 }, list: ["x"], a: 2 };
    expect(claimAt(claims, "/a~1b/c~0d")).toBe(1);
    expect(claimAt(claims, "a")).toBe(2);
    expect(claimAt(claims, "/a")).toBe(2);
    for (const name of [
      "a/b/c~d",
      "/list/0",
      "/list/length",
      "/a/b",
      "__proto__",
      "/__proto__/toString",
      "constructor",
      "/",
    ]) {
      expect(claimAt(claims, name), name).toBeUndefined();
    }
  });
});
