import type { Provider } from "../provider.ts";

/** Web search for agents. */
export const tavily: Provider = {
  id: "tavily",
  name: "Tavily",
  baseUrl: "https://api.tavily.com",
  hosts: ["api.tavily.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.tavily.com/documentation/api-reference/introduction",
  probe: { method: "GET", path: "/usage" },
};
