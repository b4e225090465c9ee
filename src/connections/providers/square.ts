import type { Provider } from "../provider.ts";

/** The sandbox has a host and keys of its own. */
export const square: Provider = {
  id: "square",
  name: "Square",
  baseUrl: "https://connect.squareup.com",
  hosts: ["connect.squareup.com", "connect.squareupsandbox.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://developer.squareup.com/docs/build-basics/access-tokens",
  probe: { method: "GET", path: "/v2/locations" },
};
