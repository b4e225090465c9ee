import type { Provider } from "../provider.ts";

/** SDKs send a bearer token, curl examples `-u sk_…:`. */
export const stripe: Provider = {
  id: "stripe",
  name: "Stripe",
  baseUrl: "https://api.stripe.com",
  hosts: ["api.stripe.com", "files.stripe.com"],
  tokenIn: [
    { in: "header", name: "authorization", scheme: "Bearer" },
    { in: "header", name: "authorization", scheme: "Basic" },
  ],
  credential: { kind: "bearer" },
  docs: "https://docs.stripe.com/api/authentication",
  probe: { method: "GET", path: "/v1/balance" },
};
