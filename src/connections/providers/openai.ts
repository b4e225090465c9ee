import type { Provider } from "../provider.ts";

/** Regional hosts (`eu.api.openai.com`, `us.api.openai.com` …) are for projects with data residency. */
export const openai: Provider = {
  id: "openai",
  name: "OpenAI",
  baseUrl: "https://api.openai.com",
  hosts: ["api.openai.com", "*.api.openai.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://platform.openai.com/docs/api-reference/authentication",
  probe: { method: "GET", path: "/v1/models" },
};
