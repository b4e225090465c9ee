import type { Provider } from "../provider.ts";

/** User API tokens; tokens owned by an account are verified below `/client/v4/accounts`. */
export const cloudflare: Provider = {
  id: "cloudflare",
  name: "Cloudflare",
  baseUrl: "https://api.cloudflare.com",
  hosts: ["api.cloudflare.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://developers.cloudflare.com/fundamentals/api/",
  probe: { method: "GET", path: "/client/v4/user/tokens/verify" },
};
