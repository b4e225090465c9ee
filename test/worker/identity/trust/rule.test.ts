import { describe, expect, it } from "vitest";
import { PRESETS, PROVIDER_IDS } from "../../../../src/identity/trust/presets.ts";
import { trustRuleSchema, trustRulesSchema } from "../../../../src/identity/trust/rule.ts";
import { complaints, EXAMPLES, type Provider, ruleInput, ruleOf } from "./rules.ts";

const providers = Object.keys(EXAMPLES) as Provider[];

describe("a trust rule", () => {
  it("has an example here for every provider, and each is taken", () => {
    expect(providers.toSorted()).toEqual([...PROVIDER_IDS].toSorted());
    for (const provider of providers) expect(complaints(provider)).toBe("");
  });

  it("each preset is told by its own id and takes its own example of an issuer", () => {
    for (const id of PROVIDER_IDS) {
      const { issuer, issuerExample, docs, ...preset } = PRESETS[id];
      expect(preset.id).toBe(id);
      expect(issuerExample).toMatch(issuer);
      expect(docs).toMatch(/^https:\/\//);
    }
  });

  it("is parsed to what is stored: durations in seconds, claims empty where there are none", () => {
    expect(trustRuleSchema.parse(ruleInput("generic", { max_ttl: "15m" }))).toEqual({
      name: "generic",
      provider: "generic",
      issuer: "https://issuer.example.com",
      audience: "https://valetkey.example.com",
      subject: "workload-1",
      claims: {},
      max_ttl: 900,
    });
  });

  it.each<[Provider, object]>([
    ["github-actions", { claims: { repository: "octo-org/octo-repo" } }],
    ["github-actions", { claims: { repository_id: "456789" } }],
    ["github-actions", { claims: { repository_owner_id: "123456" } }],
    ["github-actions", { claims: { repository_id: { like: ["4*"] }, repository_owner_id: "123456" } }],
    ["github-actions", { claims: { repository_id: "octo-repo", repository_owner_id: "octo-org" } }],
    ["github-actions", { claims: { repository_id: ["456789", "x"], repository_owner_id: "123456" } }],
    ["github-actions", { claims: {}, subject: "repo:octo-org/octo-repo:ref:refs/heads/main" }],
    ["github-actions", { claims: {}, subject: { like: ["repo:octo-org/*"] } }],
    ["github-actions", { claims: {}, subject: { like: ["repo:octo-org@123456/*"] } }],
    ["github-actions", { claims: {}, subject: "repo:octo-org@123456/octo-repo:ref:refs/heads/main" }],
    ["gitlab", { claims: { project_path: "org/repo" } }],
    ["gitlab", { claims: { project_id: "46573356" } }],
    ["gitlab", { claims: {}, subject: "project_path:org/repo:ref_type:branch:ref:main" }],
    ["gcp", { subject: "bot@acme.iam.gserviceaccount.com" }],
    ["gcp", { subject: undefined, claims: { email: "bot@acme.iam.gserviceaccount.com" } }],
    ["gcp", { subject: { like: ["1122*"] } }],
    ["azure", { claims: { oid: "3f0c0a2e-9a57-4d2b-8d3c-2a1f6f1f0002" } }],
    ["azure", { claims: { tid: "3f0c0a2e-9a57-4d2b-8d3c-2a1f6f1f0001" } }],
    [
      "azure",
      {
        claims: {
          tid: "3f0c0a2e-9a57-4d2b-8d3c-2a1f6f1f0001",
          azp: "3f0c0a2e-9a57-4d2b-8d3c-2a1f6f1f0003",
        },
      },
    ],
    ["aws", { subject: { like: ["arn:aws:iam::123456789012:role/*"] } }],
    ["aws-eks", { subject: { like: ["system:serviceaccount:payments:*"] } }],
    ["kubernetes", { subject: "system:serviceaccount:payments" }],
    ["kubernetes", { subject: "system:serviceaccount:*:worker" }],
    ["kubernetes", { subject: "system:node:worker" }],
    ["spiffe", { subject: { like: ["spiffe://*/ns/payments/sa/worker"] } }],
    ["spiffe", { subject: { like: ["spiffe://prod.example.org*"] } }],
    ["spiffe", { subject: { like: ["spiffe://prod.example.org/*"] } }],
    ["spiffe", { subject: { like: ["spiffe://prod.example.org/ns/payments/*", "spiffe://*"] } }],
    ["spiffe", { subject: "spiffe://prod.example.org" }],
    ["cloudflare-access", { claims: { email: "someone@example.com" } }],
    ["cloudflare-access", { claims: { common_name: { like: ["e36782*"] } } }],
    ["generic", { subject: undefined }],
    ["generic", { subject: { like: ["workload-*"] } }],
    ["generic", { subject: { like: ["*"] } }],
    ["generic", { subject: "*" }],
    ["generic", { subject: undefined, claims: { email: "someone@example.com" } }],
  ])("attack 55: of %s that leaves who it is open is refused: %j", (provider, changes) => {
    expect(complaints(provider, changes)).toMatch(/must pin|is compared exactly|matches everything/);
  });

  it("attack 55: with GitHub's immutable subject pins by it alone; names may vary where ids pin", () => {
    const subject = "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main";
    expect(complaints("github-actions", { claims: {}, subject })).toBe("");
    expect(complaints("github-actions", { subject: { like: ["repo:octo-org/*:ref:refs/heads/main"] } })).toBe(
      "",
    );
  });

  it("attack 55: cannot go around a provider's rules by calling it something else", () => {
    for (const provider of providers.filter((id) => !["generic", "kubernetes", "spiffe"].includes(id))) {
      for (const other of ["generic", "kubernetes", "spiffe"]) {
        const changed = complaints(provider, { provider: other, subject: "x", claims: {} });
        expect(changed, `${provider} as ${other}`).toContain(`must be "${provider}", whose issuer this is`);
      }
    }
  });

  it.each<[Provider, string]>([
    ["github-actions", "https://token.actions.githubusercontent.com/"],
    ["github-actions", "https://token.actions.githubusercontent.com.attacker.example"],
    ["github-actions", "https://attacker.example/token.actions.githubusercontent.com"],
    ["gcp", "https://accounts.google.com/"],
    ["gcp", "http://accounts.google.com"],
    ["azure", "https://login.microsoftonline.com/common/v2.0"],
    ["azure", "https://login.microsoftonline.com/organizations/v2.0"],
    ["azure", "https://sts.windows.net/3f0c0a2e-9a57-4d2b-8d3c-2a1f6f1f0001"],
    ["aws", "https://tokens.sts.global.api.aws"],
    ["aws-eks", "https://oidc.eks.eu-central-1.amazonaws.com"],
    ["cloudflare-access", "https://cloudflareaccess.com"],
  ])("attack 55: of %s does not take the look-alike %s", (provider, issuer) => {
    expect(complaints(provider, { issuer })).toContain("issuer: must");
  });

  it.each<[Provider, string]>([
    ["github-actions", "https://github.com/octo-org"],
    ["kubernetes", "https://kubernetes.default.svc.cluster.local"],
    ["kubernetes", "https://kubernetes.default.svc"],
    ["aws-eks", "sts.amazonaws.com"],
    ["azure", "api://AzureADTokenExchange"],
    ["cloudflare-access", "https://valetkey.example.com"],
  ])("attack 54: of %s does not take the audience %s, which is made for others", (provider, audience) => {
    expect(complaints(provider, { audience })).toContain("audience: must be");
  });

  it.each([
    { claims: { iss: "x" } },
    { claims: { aud: "x" } },
    { claims: { sub: "x" } },
    { claims: { "a b": "x" } },
    { claims: { a: "" } },
    { claims: { a: 7 } },
    { claims: { a: [] } },
    { claims: { a: { like: [] } } },
    { claims: { a: { like: ["*"] } } },
    { claims: { a: { like: ["**"] } } },
    { claims: { a: { like: ["a*".repeat(9)] } } },
    { claims: { a: { like: ["x"], contains: "x" } } },
    { claims: { a: "x".repeat(513) } },
    { claims: { a: "ä" } },
    { claims: { a: "x*" } },
    { claims: Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`c${at}`, "x"])) },
    { audience: "" },
    { audience: undefined },
    { jwks_uri: "ftp://x.example" },
    { jwks_uri: "https://user@x.example/keys" },
    { algorithms: ["HS256"] },
    { algorithms: ["none"] },
    { algorithms: [] },
    { allowed_scopes: ["everything"] },
    { max_ttl: "48h" },
    { max_ttl: 900 },
    { provider: "myspace" },
    { surprise: true },
  ])("is refused with %j", (changes) => {
    expect(complaints("generic", changes)).not.toBe("");
  });

  it("there are at most 20 of an agent, and 32 KB in all", () => {
    const rule = ruleInput("generic");
    expect(trustRulesSchema.safeParse(Array.from({ length: 20 }, () => rule)).success).toBe(true);
    expect(trustRulesSchema.safeParse(Array.from({ length: 21 }, () => rule)).success).toBe(false);
    const long = ruleInput("generic", { claims: { a: Array.from({ length: 50 }, () => "x".repeat(500)) } });
    expect(trustRulesSchema.safeParse([long]).success).toBe(true);
    expect(trustRulesSchema.safeParse([long, long]).success).toBe(false);
  });

  it("keeps what was written, so that what is stored parses again to the same", () => {
    for (const provider of providers) {
      const { id: _id, ...stored } = ruleOf(provider);
      expect(trustRuleSchema.parse(stored)).toEqual(stored);
    }
  });
});
