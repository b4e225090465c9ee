import type { Provider } from "../provider.ts";

/** `api.cohere.ai` is the older name of the same API. */
export const cohere: Provider = {
  id: "cohere",
  name: "Cohere",
  baseUrl: "https://api.cohere.com",
  hosts: ["api.cohere.com", "api.cohere.ai"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.cohere.com/reference/about",
  probe: { method: "GET", path: "/v1/models" },
};
