import type { Provider } from "../provider.ts";

/** API keys are the whole value of `Authorization`; `Bearer` is for OAuth tokens. */
export const linear: Provider = {
  id: "linear",
  name: "Linear",
  baseUrl: "https://api.linear.app",
  hosts: ["api.linear.app"],
  tokenIn: [
    { in: "header", name: "authorization" },
    { in: "header", name: "authorization", scheme: "Bearer" },
  ],
  credential: { kind: "header", name: "Authorization" },
  docs: "https://linear.app/developers/graphql",
  probe: { method: "POST", path: "/graphql" },
};
