import type { Provider } from "../provider.ts";

/** Access tokens; OAuth tokens need the kind `bearer` in the connection. */
export const gitlab: Provider = {
  id: "gitlab",
  name: "GitLab",
  baseUrl: "https://gitlab.com",
  hosts: ["gitlab.com"],
  tokenIn: [
    { in: "header", name: "private-token" },
    { in: "header", name: "authorization", scheme: "Bearer" },
  ],
  credential: { kind: "header", name: "PRIVATE-TOKEN" },
  docs: "https://docs.gitlab.com/api/rest/authentication/",
  probe: { method: "GET", path: "/api/v4/user" },
};
