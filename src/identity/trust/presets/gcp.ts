import type { TrustPreset } from "../preset.ts";

/**
 * Google Cloud service accounts (identity tokens of the metadata server or of `generateIdToken`). `sub` is the account's
 * unique id: a service account that is deleted and made again under the same e-mail address has another one.
 *
 * https://cloud.google.com/docs/authentication/get-id-token
 * https://cloud.google.com/iam/docs/service-account-overview
 */
export const gcp: TrustPreset = {
  id: "gcp",
  title: "Google Cloud",
  docs: "https://cloud.google.com/docs/authentication/get-id-token",
  issuer: /^https:\/\/accounts\.google\.com$/,
  issuerExample: "https://accounts.google.com",
  pins: [{ sub: /^[0-9]{10,25}$/ }],
  advice:
    "Pin `subject` to the service account's numeric unique id; its e-mail address can be given to another.",
};
