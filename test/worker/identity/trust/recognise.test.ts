import { beforeAll, describe, expect, it } from "vitest";
import { recognise } from "../../../../src/identity/trust/recognise.ts";
import type { TrustRule } from "../../../../src/identity/trust/rule.ts";
import {
  ISSUER,
  IssuerDocuments,
  type SigningKey,
  signingKey,
  tokenOf,
  Verifier,
} from "../oidc/issuer-documents.ts";
import { ruleOf } from "./rules.ts";

let key: SigningKey;
let documents: IssuerDocuments;

beforeAll(async () => {
  key = await signingKey("ES256", "one");
});

const recognised = async (rules: readonly TrustRule[], token: string, kind = "workload" as const) =>
  recognise(rules, token, kind, new Verifier(documents).dependencies);

describe("a workload", () => {
  it("is recognised by the rule that its verified token satisfies", async () => {
    documents = new IssuerDocuments(key);
    const rule = ruleOf("generic");
    const outcome = await recognised([ruleOf("gitlab"), rule], await tokenOf(key));
    expect(outcome).toMatchObject({ kind: "recognised", rule, claims: { iss: ISSUER, sub: "workload-1" } });
  });

  it("attack 55: of an issuer or audience that no rule names is refused, and nobody is asked", async () => {
    documents = new IssuerDocuments(key);
    const rules = [ruleOf("generic")];
    for (const claims of [{ iss: "https://attacker.example" }, { iss: `${ISSUER}/` }, { aud: "other" }]) {
      expect(await recognised(rules, await tokenOf(key, claims))).toEqual({
        kind: "refused",
        reason: "untrusted",
      });
    }
    expect(await recognised(rules, "junk")).toEqual({ kind: "refused", reason: "malformed" });
    expect(await recognised([], await tokenOf(key))).toEqual({ kind: "refused", reason: "untrusted" });
    expect(documents.asked).toEqual([]);
  });

  it("that is genuine and satisfies no rule is told apart from one that is not genuine", async () => {
    documents = new IssuerDocuments(key);
    const rules = [ruleOf("generic")];
    expect(await recognised(rules, await tokenOf(key, { sub: "workload-2" }))).toEqual({
      kind: "refused",
      reason: "no_match",
    });
    const impostor = await signingKey("ES256", "one");
    expect(await recognised(rules, await tokenOf(impostor))).toEqual({
      kind: "refused",
      reason: "signature",
    });
  });

  it("attack 55: verified by one rule's keys satisfies no rule with other keys", async () => {
    documents = new IssuerDocuments(key);
    const trusted = { ...ruleOf("generic"), id: "trusted" };
    const elsewhere = {
      ...ruleOf("generic", { subject: "workload-2", jwks_uri: "https://elsewhere.example/none" }),
      id: "elsewhere",
    };
    const token = await tokenOf(key, { sub: "workload-2" });
    const outcome = await recognised([trusted, elsewhere], token);
    expect(outcome.kind).not.toBe("recognised");
    const reachable = { ...elsewhere, jwks_uri: "https://elsewhere.example/keys" };
    expect(await recognised([trusted, reachable], token)).toMatchObject({ rule: { id: "elsewhere" } });
  });

  it("attack 52: verified with another algorithm than a rule takes does not satisfy that rule", async () => {
    documents = new IssuerDocuments(key);
    const rsaOnly = { ...ruleOf("generic", { algorithms: ["RS256"] }), id: "rsa-only" };
    const other = { ...ruleOf("generic", { subject: "workload-2" }), id: "other" };
    expect((await recognised([rsaOnly, other], await tokenOf(key))).kind).toBe("refused");
    const taken = { ...rsaOnly, algorithms: ["ES256" as const] };
    expect(await recognised([other, taken], await tokenOf(key))).toMatchObject({ rule: { id: "rsa-only" } });
  });

  it("of Cloudflare Access has an empty subject and keys where Access keeps them", async () => {
    documents = new IssuerDocuments(key);
    documents.instead = async () => Response.json({ keys: documents.keys });
    const rule = ruleOf("cloudflare-access");
    const claims = { iss: rule.issuer, aud: [rule.audience], sub: "", type: "app", ...rule.claims };
    expect(await recognised([rule], await tokenOf(key, claims))).toMatchObject({ kind: "recognised" });
    expect(documents.asked).toEqual(["https://acme.cloudflareaccess.com/cdn-cgi/access/certs"]);
  });

  it("whose issuer does not answer is neither recognised nor refused", async () => {
    documents = new IssuerDocuments(key);
    documents.instead = async () => new Response("down", { status: 503 });
    expect(await recognised([ruleOf("generic")], await tokenOf(key))).toEqual({
      kind: "unavailable",
      failure: "status",
    });
  });
});
