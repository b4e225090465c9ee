import type { Provider } from "../provider.ts";

/** The SDKs send `apiKey` as `x-api-key` and `authToken` as a bearer token; API keys belong in `x-api-key`. */
export const anthropic: Provider = {
  id: "anthropic",
  name: "Anthropic",
  baseUrl: "https://api.anthropic.com",
  hosts: ["api.anthropic.com"],
  tokenIn: [
    { in: "header", name: "x-api-key" },
    { in: "header", name: "authorization", scheme: "Bearer" },
  ],
  credential: { kind: "header", name: "x-api-key" },
  defaultHeaders: { "anthropic-version": "2023-06-01" },
  docs: "https://docs.anthropic.com/en/api/overview",
  probe: { method: "GET", path: "/v1/models" },
};
