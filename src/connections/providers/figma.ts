import type { Provider } from "../provider.ts";

/** Personal access tokens; OAuth tokens need the kind `bearer` in the connection. */
export const figma: Provider = {
  id: "figma",
  name: "Figma",
  baseUrl: "https://api.figma.com",
  hosts: ["api.figma.com"],
  tokenIn: [
    { in: "header", name: "x-figma-token" },
    { in: "header", name: "authorization", scheme: "Bearer" },
  ],
  credential: { kind: "header", name: "X-Figma-Token" },
  docs: "https://developers.figma.com/docs/rest-api/authentication/",
  probe: { method: "GET", path: "/v1/me" },
};
