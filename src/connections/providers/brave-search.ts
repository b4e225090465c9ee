import type { Provider } from "../provider.ts";

/** The probe counts as one search. */
export const braveSearch: Provider = {
  id: "brave-search",
  name: "Brave Search",
  baseUrl: "https://api.search.brave.com",
  hosts: ["api.search.brave.com"],
  tokenIn: [{ in: "header", name: "x-subscription-token" }],
  credential: { kind: "header", name: "x-subscription-token" },
  docs: "https://api-dashboard.search.brave.com/app/documentation",
  probe: { method: "GET", path: "/res/v1/web/search?q=valetkey&count=1" },
};
