import type { Provider } from "../provider.ts";

/** Resend refuses requests without a user agent. Keys that may only send are refused by the probe. */
export const resend: Provider = {
  id: "resend",
  name: "Resend",
  baseUrl: "https://api.resend.com",
  hosts: ["api.resend.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  defaultHeaders: { "user-agent": "valetkey" },
  docs: "https://resend.com/docs/api-reference/introduction",
  probe: { method: "GET", path: "/domains" },
  hints: [
    {
      method: "POST",
      path: "/emails",
      title: "Send “{subject}” to {to}",
      fields: {
        to: { at: ["body.to"], missing: "nobody named" },
        cc: { at: ["body.cc"] },
        bcc: { at: ["body.bcc"] },
        from: { at: ["body.from"] },
        subject: { at: ["body.subject"], missing: "no subject" },
      },
    },
    {
      method: "POST",
      path: "/emails/batch",
      title: "Send several mails to {to}",
      fields: {
        to: { at: ["body[*].to"], missing: "nobody named" },
        from: { at: ["body[*].from"] },
        subject: { at: ["body[*].subject"] },
      },
    },
  ],
};
