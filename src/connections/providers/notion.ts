import type { Provider } from "../provider.ts";

/** Notion refuses requests without a version. */
export const notion: Provider = {
  id: "notion",
  name: "Notion",
  baseUrl: "https://api.notion.com",
  hosts: ["api.notion.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  defaultHeaders: { "notion-version": "2022-06-28" },
  docs: "https://developers.notion.com/reference/authentication",
  probe: { method: "GET", path: "/v1/users/me" },
};
