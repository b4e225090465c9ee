import type { Provider } from "../provider.ts";

/** API keys take the scheme `Token`; `Bearer` is for Deepgram's temporary tokens. */
export const deepgram: Provider = {
  id: "deepgram",
  name: "Deepgram",
  baseUrl: "https://api.deepgram.com",
  hosts: ["api.deepgram.com"],
  tokenIn: [
    { in: "header", name: "authorization", scheme: "token" },
    { in: "header", name: "authorization", scheme: "Bearer" },
  ],
  credential: { kind: "bearer", prefix: "Token" },
  docs: "https://developers.deepgram.com/reference/deepgram-api-overview",
  probe: { method: "GET", path: "/v1/projects" },
};
