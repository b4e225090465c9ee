import type { Provider } from "../provider.ts";

/** Server tokens; account tokens go into another header. */
export const postmark: Provider = {
  id: "postmark",
  name: "Postmark",
  baseUrl: "https://api.postmarkapp.com",
  hosts: ["api.postmarkapp.com"],
  tokenIn: [{ in: "header", name: "x-postmark-server-token" }],
  credential: { kind: "header", name: "X-Postmark-Server-Token" },
  defaultHeaders: { accept: "application/json" },
  docs: "https://postmarkapp.com/developer/api/overview",
  probe: { method: "GET", path: "/server" },
};
