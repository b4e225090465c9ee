import type { TrustPreset } from "../preset.ts";

/** Any other OpenID provider: what it never gives to another is its own promise, so only an exact subject pins. */
export const generic: TrustPreset = {
  id: "generic",
  title: "OpenID Connect",
  docs: "https://openid.net/specs/openid-connect-core-1_0.html#IDToken",
  issuer: /^https?:\/\/[^*]+$/,
  issuerExample: "https://issuer.example.com",
  pins: [{ sub: /^[^*]{1,512}$/ }],
  advice: "Pin `subject` exactly.",
};
