import type { Provider } from "../provider.ts";

/** Octokit sends the scheme `token`, curl examples `Bearer`. GitHub refuses requests without a user agent. */
export const github: Provider = {
  id: "github",
  name: "GitHub",
  baseUrl: "https://api.github.com",
  hosts: ["api.github.com", "uploads.github.com"],
  tokenIn: [
    { in: "header", name: "authorization", scheme: "Bearer" },
    { in: "header", name: "authorization", scheme: "token" },
    { in: "header", name: "authorization", scheme: "Basic" },
  ],
  credential: { kind: "bearer" },
  defaultHeaders: { "user-agent": "valetkey" },
  docs: "https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api",
  probe: { method: "GET", path: "/rate_limit" },
};
