import type { Provider } from "../provider.ts";

/** Codestral's own host takes other keys and is not listed. */
export const mistral: Provider = {
  id: "mistral",
  name: "Mistral AI",
  baseUrl: "https://api.mistral.ai",
  hosts: ["api.mistral.ai"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.mistral.ai/api/",
  probe: { method: "GET", path: "/v1/models" },
};
