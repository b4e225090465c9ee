import type { Provider } from "../provider.ts";

/** Regional hosts (`us-east-1.api.x.ai` …) stand below the same name. */
export const xai: Provider = {
  id: "xai",
  name: "xAI",
  baseUrl: "https://api.x.ai",
  hosts: ["api.x.ai", "*.api.x.ai"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.x.ai/docs/api-reference",
  probe: { method: "GET", path: "/v1/api-key" },
};
