import type { Provider } from "../provider.ts";

/** Older clients send the scheme `Token`. */
export const replicate: Provider = {
  id: "replicate",
  name: "Replicate",
  baseUrl: "https://api.replicate.com",
  hosts: ["api.replicate.com"],
  tokenIn: [
    { in: "header", name: "authorization", scheme: "Bearer" },
    { in: "header", name: "authorization", scheme: "token" },
  ],
  credential: { kind: "bearer" },
  docs: "https://replicate.com/docs/reference/http",
  probe: { method: "GET", path: "/v1/account" },
};
