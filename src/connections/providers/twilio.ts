import type { Provider } from "../provider.ts";

/** A connection gives the account id (`AC…`) as `username`: it is no secret, and every answer names it. */
export const twilio: Provider = {
  id: "twilio",
  name: "Twilio",
  baseUrl: "https://api.twilio.com",
  hosts: [
    "api.twilio.com",
    "conversations.twilio.com",
    "lookups.twilio.com",
    "messaging.twilio.com",
    "studio.twilio.com",
    "taskrouter.twilio.com",
    "verify.twilio.com",
    "video.twilio.com",
    "voice.twilio.com",
  ],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Basic" }],
  credential: { kind: "basic" },
  docs: "https://www.twilio.com/docs/usage/requests-to-twilio",
  probe: { method: "GET", path: "/2010-04-01/Accounts.json" },
  hints: [
    {
      method: "POST",
      path: "/2010-04-01/Accounts/{account}/Messages.json",
      title: "Send a message to {to}: {text}",
      fields: {
        to: { at: ["body.To"], missing: "nobody named" },
        from: { at: ["body.From", "body.MessagingServiceSid"] },
        text: { at: ["body.Body"], missing: "without text" },
        media: { at: ["body.MediaUrl"] },
      },
    },
    {
      method: "POST",
      path: "/2010-04-01/Accounts/{account}/Calls.json",
      title: "Call {to}",
      fields: {
        to: { at: ["body.To"], missing: "nobody named" },
        from: { at: ["body.From"] },
        url: { at: ["body.Url"] },
      },
    },
  ],
};
