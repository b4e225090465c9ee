import type { Provider } from "../provider.ts";

/** Every shop has a host of its own. Versions that have ended are answered by the oldest that still stands. */
export const shopify: Provider = {
  id: "shopify",
  name: "Shopify Admin",
  baseUrl: null,
  hosts: ["*.myshopify.com"],
  tokenIn: [{ in: "header", name: "x-shopify-access-token" }],
  credential: { kind: "header", name: "X-Shopify-Access-Token" },
  docs: "https://shopify.dev/docs/api/usage/authentication",
  probe: { method: "GET", path: "/admin/api/2025-07/shop.json" },
};
