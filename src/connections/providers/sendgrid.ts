import type { Provider } from "../provider.ts";

/** `/v3/scopes` answers every key, however narrow. */
export const sendgrid: Provider = {
  id: "sendgrid",
  name: "Twilio SendGrid",
  baseUrl: "https://api.sendgrid.com",
  hosts: ["api.sendgrid.com", "api.eu.sendgrid.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/authentication",
  probe: { method: "GET", path: "/v3/scopes" },
  hints: [
    {
      method: "POST",
      path: "/v3/mail/send",
      title: "Send “{subject}” to {to}",
      fields: {
        to: { at: ["body.personalizations[*].to[*].email"], missing: "nobody named" },
        cc: { at: ["body.personalizations[*].cc[*].email"] },
        bcc: { at: ["body.personalizations[*].bcc[*].email"] },
        from: { at: ["body.from.email"] },
        subject: { at: ["body.personalizations[*].subject", "body.subject"], missing: "no subject" },
      },
    },
  ],
};
