import type { TrustPreset } from "../preset.ts";

/**
 * Cloudflare Access. A service token's JWT has an empty `sub` and the client id in `common_name`; a person's has a `sub`
 * that is given anew when they are removed and added again. The audience is the application's AUD tag. Access has no
 * discovery document for its application tokens; the keys are at `/cdn-cgi/access/certs`.
 *
 * https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/application-token/
 */
export const cloudflareAccess: TrustPreset = {
  id: "cloudflare-access",
  title: "Cloudflare Access",
  docs: "https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/application-token/",
  issuer: /^https:\/\/[a-z0-9-]{1,63}\.(?:cloudflareaccess|fed\.cloudflareaccess)\.com$/,
  issuerExample: "https://your-team.cloudflareaccess.com",
  keysPath: "/cdn-cgi/access/certs",
  audience: /^[0-9a-f]{64}$/,
  pins: [
    { common_name: /^[0-9a-f]{32}\.access$/ },
    { sub: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/ },
  ],
  required: { type: "app" },
  emptySubject: true,
  advice: "Pin `common_name` to the service token's client id; `audience` is the application's AUD tag.",
};
