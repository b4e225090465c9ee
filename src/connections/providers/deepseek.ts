import type { Provider } from "../provider.ts";

/** OpenAI-compatible, with and without `/v1`. */
export const deepseek: Provider = {
  id: "deepseek",
  name: "DeepSeek",
  baseUrl: "https://api.deepseek.com",
  hosts: ["api.deepseek.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://api-docs.deepseek.com/",
  probe: { method: "GET", path: "/user/balance" },
};
