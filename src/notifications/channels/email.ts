import type { SettingsOf } from "../schemas.ts";
import { type Composed, type ConnectionChannel, JSON_TYPE, verdictByStatus } from "./channel.ts";
import { type Mail, mailOf } from "./mail.ts";

interface Addressed extends Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly deliveryId: string;
}

/** How each provider's API takes a mail: see the `docs` of its entry in the catalogue. */
const PROVIDERS: Readonly<Record<string, (mail: Addressed) => Composed>> = {
  // resend.com/docs/api-reference/emails/send-email: with a key, a repeat within a day is not sent again.
  resend: ({ from, to, subject, text, html, deliveryId }) => ({
    path: "/emails",
    contentType: JSON_TYPE,
    headers: { "idempotency-key": deliveryId },
    body: JSON.stringify({ from, to, subject, text, html }),
  }),
  // docs.sendgrid.com, v3 Mail Send. The plain text goes first (RFC 2046, 5.1.4).
  sendgrid: ({ from, to, subject, text, html }) => ({
    path: "/v3/mail/send",
    contentType: JSON_TYPE,
    body: JSON.stringify({
      personalizations: [{ to: to.map((email) => ({ email })) }],
      from: { email: from },
      subject,
      content: [
        { type: "text/plain", value: text },
        { type: "text/html", value: html },
      ],
    }),
  }),
  // postmarkapp.com/developer/api/email-api
  postmark: ({ from, to, subject, text, html }) => ({
    path: "/email",
    contentType: JSON_TYPE,
    headers: { accept: "application/json" },
    body: JSON.stringify({ From: from, To: to.join(","), Subject: subject, TextBody: text, HtmlBody: html }),
  }),
  // documentation.mailgun.com: messages are sent for a domain, the sender's.
  mailgun: ({ from, to, subject, text, html }) => ({
    path: `/v3/${from.slice(from.lastIndexOf("@") + 1)}/messages`,
    contentType: "application/x-www-form-urlencoded",
    body: new URLSearchParams([
      ["from", from],
      ...to.map((address) => ["to", address]),
      ["subject", subject],
      ["text", text],
      ["html", html],
    ]).toString(),
  }),
};

/** Mail through a provider's API. */
export const email: ConnectionChannel<SettingsOf<"email">> = {
  kind: "email",
  providers: Object.keys(PROVIDERS),
  readsAnswer: false,
  compose(message, { from, to }, { provider, deliveryId }) {
    const compose = PROVIDERS[provider];
    if (compose === undefined) throw new TypeError("a connection to another provider is refused before");
    return compose({ ...mailOf(message), from, to, deliveryId });
  },
  verdict: verdictByStatus,
};
