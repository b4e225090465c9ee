import type { Provider } from "../provider.ts";

/** OpenAI-compatible below `/inference/v1`. */
export const fireworks: Provider = {
  id: "fireworks",
  name: "Fireworks AI",
  baseUrl: "https://api.fireworks.ai",
  hosts: ["api.fireworks.ai"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.fireworks.ai/api-reference/introduction",
  probe: { method: "GET", path: "/inference/v1/models" },
};
