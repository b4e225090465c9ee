import type { Provider } from "../provider.ts";

/** Organisations live on regional hosts (`us.sentry.io`, `de.sentry.io`). */
export const sentry: Provider = {
  id: "sentry",
  name: "Sentry",
  baseUrl: "https://sentry.io",
  hosts: ["sentry.io", "*.sentry.io"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.sentry.io/api/auth/",
  probe: { method: "GET", path: "/api/0/organizations/" },
};
