/**
 * Shapes of credentials that their issuers made recognisable: a literal prefix, then a run of characters of one class.
 *
 * Converted from the rules of gitleaks (config/gitleaks.toml, 009e025ad410, MIT, © 2019 Zachary Rice) and of
 * secretlint (@secretlint/secretlint-rule-preset-recommend 13.0.7, MIT, © 2020 azu). Kept is what can be told by its
 * prefix alone; expressions became a class and lengths, so that matching is linear (attack 88). Left out is what is
 * meant for clients or names a key without being one (Stripe's `pk_…` and `pi_…_secret_…`, Twilio's `SK…`), JSON Web
 * Tokens (mostly signed facts, not keys), and what needs words around it to be told from any other identifier.
 */

/** The characters that may follow a prefix. `token`: those of base64url and the dots between its parts. */
export const CLASSES = {
  hex: /[0-9A-Fa-f]/,
  base32: /[A-Z2-7]/,
  alnum: /[A-Za-z0-9]/,
  dashed: /[A-Za-z0-9-]/,
  word: /[A-Za-z0-9_]/,
  base64url: /[A-Za-z0-9_-]/,
  token: /[A-Za-z0-9_.-]/,
  base64: /[A-Za-z0-9+/=_-]/,
} as const;

export interface ShapeRule {
  readonly id: string;
  readonly prefixes: readonly string[];
  readonly body: keyof typeof CLASSES;
  /** The fewest characters of the body. Prefix and body together are never less than 20. */
  readonly min: number;
  /** The most; a longer run is something else. Left out: the run is masked to its end, since issuers lengthen keys. */
  readonly max?: number;
  /** It is something else too where one of these follows. */
  readonly notBefore?: string;
}

export const SHAPE_RULES: readonly ShapeRule[] = [
  {
    id: "valetkey",
    prefixes: ["vkt_", "vka_", "vkm_", "vkb_", "vko_", "vks_", "vke_"],
    body: "base64url",
    min: 16,
  },
  {
    id: "stripe",
    prefixes: ["sk_live_", "sk_test_", "sk_prod_", "rk_live_", "rk_test_", "rk_prod_"],
    body: "alnum",
    min: 12,
  },
  { id: "openai", prefixes: ["sk-proj-", "sk-svcacct-", "sk-admin-"], body: "base64url", min: 20 },
  { id: "anthropic", prefixes: ["sk-ant-"], body: "base64url", min: 20 },
  // Not in either rule set, and what OpenAI began with is used by many who followed (DeepSeek, OpenRouter's `sk-or-v1-`).
  { id: "openai-like", prefixes: ["sk-", "sk-or-v1-"], body: "alnum", min: 32 },
  { id: "github", prefixes: ["ghp_", "gho_", "ghu_", "ghr_", "github_pat_"], body: "word", min: 36 },
  { id: "github-app", prefixes: ["ghs_"], body: "token", min: 36 },
  {
    id: "gitlab",
    prefixes: [
      "glpat-",
      "gldt-",
      "glrt-",
      "glptt-",
      "glcbt-",
      "glft-",
      "glagent-",
      "gloas-",
      "glimt-",
      "glsoat-",
      "glffct-",
    ],
    body: "token",
    min: 20,
  },
  {
    id: "slack",
    prefixes: [
      "xoxb-",
      "xoxp-",
      "xoxa-",
      "xoxo-",
      "xoxr-",
      "xoxs-",
      "xoxe-",
      "xoxe.xoxb-",
      "xoxe.xoxp-",
      "xapp-",
    ],
    body: "dashed",
    min: 20,
  },
  // The key's id, that mostly stands beside its key. In a signed URL it has to stay: the link is what was asked for.
  {
    id: "aws",
    prefixes: ["AKIA", "ASIA", "ABIA", "ACCA"],
    body: "base32",
    min: 16,
    max: 16,
    notBefore: "/%&",
  },
  { id: "google-api-key", prefixes: ["AIza"], body: "base64url", min: 35, max: 35 },
  // Not in either rule set: Google's OAuth access tokens and client secrets, as its documentation shows them.
  { id: "google-oauth", prefixes: ["ya29."], body: "token", min: 20 },
  { id: "google-client", prefixes: ["GOCSPX-"], body: "base64url", min: 28, max: 28 },
  { id: "sendgrid", prefixes: ["SG."], body: "token", min: 60, max: 72 },
  { id: "sendinblue", prefixes: ["xkeysib-"], body: "dashed", min: 81, max: 81 },
  { id: "mailgun", prefixes: ["key-"], body: "hex", min: 32, max: 32 },
  { id: "npm", prefixes: ["npm_"], body: "alnum", min: 36 },
  { id: "pypi", prefixes: ["pypi-AgE"], body: "base64url", min: 50 },
  { id: "rubygems", prefixes: ["rubygems_"], body: "hex", min: 48, max: 48 },
  { id: "clojars", prefixes: ["CLOJARS_"], body: "alnum", min: 60, max: 60 },
  { id: "docker", prefixes: ["dckr_pat_", "dckr_oat_"], body: "base64url", min: 27 },
  { id: "digitalocean", prefixes: ["dop_v1_", "doo_v1_", "dor_v1_"], body: "hex", min: 64, max: 64 },
  { id: "cloudflare", prefixes: ["cfk_", "cfut_", "cfat_"], body: "alnum", min: 48, max: 48 },
  { id: "vercel", prefixes: ["vcp_", "vci_", "vca_", "vcr_", "vck_"], body: "alnum", min: 20, max: 60 },
  { id: "fly", prefixes: ["fo1_"], body: "base64url", min: 43, max: 43 },
  { id: "fly-macaroon", prefixes: ["fm1r_", "fm1a_", "fm2_"], body: "base64", min: 100 },
  { id: "heroku", prefixes: ["HRKU-AA"], body: "base64url", min: 58, max: 58 },
  { id: "databricks", prefixes: ["dapi"], body: "hex", min: 32, max: 32 },
  { id: "planetscale", prefixes: ["pscale_tkn_", "pscale_oauth_", "pscale_pw_"], body: "token", min: 32 },
  { id: "vault", prefixes: ["hvs.", "hvb.", "hvr."], body: "base64url", min: 90 },
  { id: "doppler", prefixes: ["dp.pt."], body: "alnum", min: 43, max: 43 },
  { id: "1password", prefixes: ["ops_eyJ"], body: "base64", min: 100 },
  { id: "age", prefixes: ["AGE-SECRET-KEY-1"], body: "alnum", min: 58, max: 58 },
  { id: "pulumi", prefixes: ["pul-"], body: "hex", min: 40, max: 40 },
  { id: "artifactory", prefixes: ["AKCp"], body: "alnum", min: 69, max: 69 },
  { id: "artifactory-reference", prefixes: ["cmVmd"], body: "alnum", min: 59, max: 59 },
  { id: "grafana", prefixes: ["glc_"], body: "base64", min: 32 },
  { id: "grafana-service-account", prefixes: ["glsa_"], body: "word", min: 41, max: 41 },
  { id: "sentry-organization", prefixes: ["sntrys_eyJ"], body: "base64", min: 60 },
  { id: "sentry-user", prefixes: ["sntryu_"], body: "hex", min: 64, max: 64 },
  { id: "dynatrace", prefixes: ["dt0c01."], body: "token", min: 89, max: 89 },
  { id: "newrelic", prefixes: ["NRAK-"], body: "alnum", min: 27, max: 27 },
  { id: "postman", prefixes: ["PMAK-"], body: "dashed", min: 59, max: 59 },
  { id: "shopify", prefixes: ["shpat_", "shpca_", "shppa_", "shpss_"], body: "alnum", min: 32, max: 64 },
  { id: "square", prefixes: ["sq0atp-", "sq0csp-"], body: "base64url", min: 22, max: 60 },
  { id: "square-personal", prefixes: ["EAAA"], body: "base64url", min: 60, max: 60 },
  { id: "facebook", prefixes: ["EAAM", "EAAC"], body: "alnum", min: 100 },
  { id: "easypost", prefixes: ["EZAK", "EZTK"], body: "alnum", min: 54, max: 54 },
  { id: "shippo", prefixes: ["shippo_live_", "shippo_test_"], body: "hex", min: 40, max: 40 },
  { id: "duffel", prefixes: ["duffel_live_", "duffel_test_"], body: "base64url", min: 43, max: 43 },
  { id: "atlassian", prefixes: ["ATATT3"], body: "base64", min: 180 },
  { id: "linear", prefixes: ["lin_api_", "lin_oauth_"], body: "word", min: 32 },
  { id: "notion", prefixes: ["ntn_"], body: "alnum", min: 46, max: 46 },
  { id: "figma", prefixes: ["figd_"], body: "base64url", min: 40 },
  { id: "frameio", prefixes: ["fio-u-"], body: "base64url", min: 64, max: 64 },
  { id: "readme", prefixes: ["rdme_"], body: "alnum", min: 70, max: 70 },
  { id: "huggingface", prefixes: ["hf_", "api_org_"], body: "alnum", min: 34 },
  { id: "groq", prefixes: ["gsk_"], body: "alnum", min: 52 },
  { id: "perplexity", prefixes: ["pplx-"], body: "alnum", min: 48 },
  // Not in either rule set: as Replicate's documentation shows it.
  { id: "replicate", prefixes: ["r8_"], body: "alnum", min: 37, max: 37 },
  { id: "prefect", prefixes: ["pnu_"], body: "alnum", min: 36, max: 36 },
  { id: "adobe", prefixes: ["p8e-"], body: "alnum", min: 32, max: 32 },
];
