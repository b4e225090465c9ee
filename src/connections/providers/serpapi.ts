import type { Provider } from "../provider.ts";

/** The account endpoint is free. */
export const serpapi: Provider = {
  id: "serpapi",
  name: "SerpApi",
  baseUrl: "https://serpapi.com",
  hosts: ["serpapi.com"],
  tokenIn: [{ in: "query", name: "api_key" }],
  credential: { kind: "query", name: "api_key" },
  docs: "https://serpapi.com/search-api",
  probe: { method: "GET", path: "/account.json" },
};
