import type { Provider } from "../provider.ts";

/** Personal access tokens. */
export const digitalocean: Provider = {
  id: "digitalocean",
  name: "DigitalOcean",
  baseUrl: "https://api.digitalocean.com",
  hosts: ["api.digitalocean.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.digitalocean.com/reference/api/",
  probe: { method: "GET", path: "/v2/account" },
};
