import type { Provider } from "../provider.ts";

/** The platform API, not the AI gateway. */
export const vercel: Provider = {
  id: "vercel",
  name: "Vercel",
  baseUrl: "https://api.vercel.com",
  hosts: ["api.vercel.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://vercel.com/docs/rest-api",
  probe: { method: "GET", path: "/v2/user" },
};
