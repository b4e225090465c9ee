import type { Provider } from "../provider.ts";

/** The secret is an access token, which PayPal lets live for hours only. */
export const paypal: Provider = {
  id: "paypal",
  name: "PayPal",
  baseUrl: "https://api-m.paypal.com",
  hosts: ["api-m.paypal.com", "api-m.sandbox.paypal.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://developer.paypal.com/api/rest/authentication/",
  probe: { method: "GET", path: "/v1/notifications/webhooks-event-types" },
};
