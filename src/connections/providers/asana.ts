import type { Provider } from "../provider.ts";

/** The API stands below `/api/1.0`. */
export const asana: Provider = {
  id: "asana",
  name: "Asana",
  baseUrl: "https://app.asana.com",
  hosts: ["app.asana.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://developers.asana.com/docs/personal-access-token",
  probe: { method: "GET", path: "/api/1.0/users/me" },
};
