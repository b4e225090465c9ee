import type { Provider } from "../provider.ts";

/** Every site has a host of its own. A connection gives the e-mail address as `username`: it is no secret, and answers name it. */
export const atlassian: Provider = {
  id: "atlassian",
  name: "Atlassian Cloud (Jira, Confluence)",
  baseUrl: null,
  hosts: ["*.atlassian.net"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Basic" }],
  credential: { kind: "basic" },
  docs: "https://developer.atlassian.com/cloud/jira/platform/basic-auth-for-rest-apis/",
  probe: { method: "GET", path: "/rest/api/3/myself" },
};
