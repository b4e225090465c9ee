import type { Provider } from "../provider.ts";

/** One host per region. */
export const intercom: Provider = {
  id: "intercom",
  name: "Intercom",
  baseUrl: "https://api.intercom.io",
  hosts: ["api.intercom.io", "api.eu.intercom.io", "api.au.intercom.io"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://developers.intercom.com/docs/build-an-integration/learn-more/authentication",
  probe: { method: "GET", path: "/me" },
};
