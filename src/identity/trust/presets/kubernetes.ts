import type { TrustPreset } from "../preset.ts";

/** `system:serviceaccount:{namespace}:{name}`, both RFC 1123 names. */
export const SERVICE_ACCOUNT =
  /^system:serviceaccount:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?:[a-z0-9][a-z0-9.-]{0,252}$/;

/** The audience of the token that every pod has without asking for one. */
const API_SERVER_AUDIENCE = {
  form: /^(?:https:\/\/kubernetes\.default|api$|kubernetes$)/,
  why: "this is the audience of the token that every pod has; project one with an audience of its own",
};

/**
 * Kubernetes service account tokens (projected, bound). A namespace and a name can be deleted and made again in the same
 * cluster; where that matters, add `/kubernetes.io/serviceaccount/uid`. A cluster whose issuer is not public (the default
 * `https://kubernetes.default.svc.cluster.local` is many clusters' name) needs a `jwks_uri`, which then says whose it is.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
 */
export const kubernetes: TrustPreset = {
  id: "kubernetes",
  title: "Kubernetes",
  docs: "https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/",
  issuer: /^https?:\/\/[^*]+$/,
  issuerExample: "https://cluster.example.com",
  pins: [{ sub: SERVICE_ACCOUNT }],
  foreignAudience: API_SERVER_AUDIENCE,
  advice:
    "Pin `subject` to `system:serviceaccount:{namespace}:{name}`, and add the account's uid where it can be recreated.",
};
