import type { Provider } from "../provider.ts";

/** The list of models is public; `/api/v1/key` tells about the key itself. */
export const openrouter: Provider = {
  id: "openrouter",
  name: "OpenRouter",
  baseUrl: "https://openrouter.ai",
  hosts: ["openrouter.ai", "eu.openrouter.ai"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://openrouter.ai/docs/api-reference/authentication",
  probe: { method: "GET", path: "/api/v1/key" },
};
