import type { Provider } from "../provider.ts";

/** OpenAI-compatible below `/openai/v1`. */
export const groq: Provider = {
  id: "groq",
  name: "Groq",
  baseUrl: "https://api.groq.com",
  hosts: ["api.groq.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://console.groq.com/docs/api-reference",
  probe: { method: "GET", path: "/openai/v1/models" },
};
