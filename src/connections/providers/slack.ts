import type { Provider } from "../provider.ts";

/** The Web API below `/api`. Failures come with status 200 and `ok: false`. */
export const slack: Provider = {
  id: "slack",
  name: "Slack",
  baseUrl: "https://slack.com",
  hosts: ["slack.com", "files.slack.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.slack.dev/authentication/",
  probe: { method: "POST", path: "/api/auth.test" },
};
