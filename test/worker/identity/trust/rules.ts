import { type TrustRule, trustRuleSchema } from "../../../../src/identity/trust/rule.ts";

export const AUDIENCE = "https://valetkey.example.com";

const GUID = "3f0c0a2e-9a57-4d2b-8d3c-2a1f6f1f0001";
const OTHER_GUID = "3f0c0a2e-9a57-4d2b-8d3c-2a1f6f1f0002";

/** A rule as an admin would write it and a workload's claims that satisfy it, for every provider. */
export const EXAMPLES = {
  "github-actions": {
    rule: {
      issuer: "https://token.actions.githubusercontent.com",
      claims: {
        repository_id: "456789",
        repository_owner_id: "123456",
        ref: { like: ["refs/heads/release/*"] },
      },
    },
    claims: {
      sub: "repo:octo-org/octo-repo:ref:refs/heads/release/1",
      repository: "octo-org/octo-repo",
      repository_id: "456789",
      repository_owner: "octo-org",
      repository_owner_id: "123456",
      ref: "refs/heads/release/1",
    },
  },
  gitlab: {
    rule: {
      issuer: "https://gitlab.com",
      claims: { project_id: "46573356", namespace_id: "68413579", ref_protected: "true" },
    },
    claims: {
      sub: "project_path:org/repo:ref_type:branch:ref:main",
      project_id: "46573356",
      namespace_id: "68413579",
      ref_protected: "true",
    },
  },
  gcp: {
    rule: { issuer: "https://accounts.google.com", subject: "112233445566778899001" },
    claims: { sub: "112233445566778899001", email: "bot@acme.iam.gserviceaccount.com", email_verified: true },
  },
  azure: {
    rule: {
      issuer: `https://login.microsoftonline.com/${GUID}/v2.0`,
      claims: { tid: GUID, oid: OTHER_GUID },
    },
    claims: { sub: OTHER_GUID, tid: GUID, oid: OTHER_GUID, ver: "2.0" },
  },
  aws: {
    rule: {
      issuer: "https://abc123-def456.tokens.sts.global.api.aws",
      subject: "arn:aws:iam::123456789012:role/DataProcessingRole",
      claims: { "/https:~1~1sts.amazonaws.com~1/aws_account": "123456789012" },
    },
    claims: {
      sub: "arn:aws:iam::123456789012:role/DataProcessingRole",
      "https://sts.amazonaws.com/": { aws_account: "123456789012", source_region: "us-east-1" },
    },
  },
  "aws-eks": {
    rule: {
      issuer: "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
      subject: "system:serviceaccount:payments:worker",
    },
    claims: { sub: "system:serviceaccount:payments:worker" },
  },
  kubernetes: {
    rule: {
      issuer: "https://cluster.example.com",
      subject: "system:serviceaccount:payments:worker",
      claims: { "/kubernetes.io/serviceaccount/uid": GUID },
    },
    claims: {
      sub: "system:serviceaccount:payments:worker",
      "kubernetes.io": { namespace: "payments", serviceaccount: { name: "worker", uid: GUID } },
    },
  },
  spiffe: {
    rule: {
      issuer: "https://oidc.spire.example.com",
      subject: { like: ["spiffe://prod.example.org/ns/payments/*"] },
    },
    claims: { sub: "spiffe://prod.example.org/ns/payments/sa/worker" },
  },
  "cloudflare-access": {
    rule: {
      issuer: "https://acme.cloudflareaccess.com",
      audience: "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228",
      claims: { common_name: "e367826f93b8d71185e03fe518aff3b4.access" },
    },
    claims: { sub: "", type: "app", common_name: "e367826f93b8d71185e03fe518aff3b4.access" },
  },
  generic: {
    rule: { issuer: "https://issuer.example.com", subject: "workload-1" },
    claims: { sub: "workload-1" },
  },
} as const;

export type Provider = keyof typeof EXAMPLES;

/** The example rule of a provider as the API would get it, with changes. */
export function ruleInput(provider: Provider, changes: object = {}): Record<string, unknown> {
  return { name: provider, provider, audience: AUDIENCE, ...EXAMPLES[provider].rule, ...changes };
}

export function ruleOf(provider: Provider, changes: object = {}): TrustRule {
  return { ...trustRuleSchema.parse(ruleInput(provider, changes)), id: `rule-${provider}` };
}

/** What a rule is refused for, as `path: message`; empty where it is taken. */
export function complaints(provider: Provider, changes: object = {}): string {
  const parsed = trustRuleSchema.safeParse(ruleInput(provider, changes));
  if (parsed.success) return "";
  return parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("\n");
}
