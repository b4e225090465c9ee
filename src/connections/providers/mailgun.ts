import type { Provider } from "../provider.ts";

/** Basic with the fixed username `api`. */
export const mailgun: Provider = {
  id: "mailgun",
  name: "Mailgun",
  baseUrl: "https://api.mailgun.net",
  hosts: ["api.mailgun.net", "api.eu.mailgun.net"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Basic" }],
  credential: { kind: "basic", username: "api" },
  docs: "https://documentation.mailgun.com/docs/mailgun/api-reference/mg-auth",
  probe: { method: "GET", path: "/v4/domains" },
};
