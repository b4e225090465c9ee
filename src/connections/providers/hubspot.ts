import type { Provider } from "../provider.ts";

/** Private app tokens. */
export const hubspot: Provider = {
  id: "hubspot",
  name: "HubSpot",
  baseUrl: "https://api.hubapi.com",
  hosts: ["api.hubapi.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://developers.hubspot.com/docs/guides/apps/authentication/intro-to-auth",
  probe: { method: "GET", path: "/account-info/v3/details" },
};
