import type { Provider } from "../provider.ts";

/** The probe lists asynchronous requests, which costs nothing. */
export const perplexity: Provider = {
  id: "perplexity",
  name: "Perplexity",
  baseUrl: "https://api.perplexity.ai",
  hosts: ["api.perplexity.ai"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.perplexity.ai/",
  probe: { method: "GET", path: "/async/chat/completions" },
};
