import type { Provider } from "../provider.ts";

/** Every account has a host of its own. A connection gives `address/token` as `username`. */
export const zendesk: Provider = {
  id: "zendesk",
  name: "Zendesk",
  baseUrl: null,
  hosts: ["*.zendesk.com"],
  tokenIn: [
    { in: "header", name: "authorization", scheme: "Basic" },
    { in: "header", name: "authorization", scheme: "Bearer" },
  ],
  credential: { kind: "basic" },
  docs: "https://developer.zendesk.com/api-reference/introduction/security-and-auth/",
  probe: { method: "GET", path: "/api/v2/users/me.json" },
};
