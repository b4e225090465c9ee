import type { TrustPreset } from "../preset.ts";

/**
 * SPIFFE JWT-SVIDs. `sub` is the SPIFFE ID; the trust domain and at least one segment of the path are always exact. The
 * server must write `iss` (SPIRE: `jwt_issuer`), which the specification leaves open.
 *
 * https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md
 * https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md
 */
export const spiffe: TrustPreset = {
  id: "spiffe",
  title: "SPIFFE JWT-SVID",
  docs: "https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md",
  issuer: /^https?:\/\/[^*]+$/,
  issuerExample: "https://oidc.spire.example.com",
  pins: [{ sub: /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]{1,255}){1,20}$/ }],
  subjectGlob: /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]{1,255}){1,20}\/[A-Za-z0-9._*/-]{1,400}$/,
  advice: "Pin `subject` to the SPIFFE ID, or to a path such as `spiffe://example.org/ns/production/*`.",
};
