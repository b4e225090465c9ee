import type { Provider } from "../provider.ts";

/** Both hosts serve the same API. */
export const together: Provider = {
  id: "together",
  name: "Together AI",
  baseUrl: "https://api.together.xyz",
  hosts: ["api.together.xyz", "api.together.ai"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.together.ai/docs/quickstart",
  probe: { method: "GET", path: "/v1/models" },
};
