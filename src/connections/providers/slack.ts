import type { Provider } from "../provider.ts";

/** The Web API below `/api`. Failures come with status 200 and `ok: false`. */
export const slack: Provider = {
  id: "slack",
  name: "Slack",
  baseUrl: "https://slack.com",
  hosts: ["slack.com", "files.slack.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://docs.slack.dev/authentication/",
  probe: { method: "POST", path: "/api/auth.test" },
  hints: [
    {
      method: "POST",
      path: "/api/chat.postMessage",
      title: "Write to {channel}: {text}",
      fields: {
        channel: { at: ["body.channel", "query.channel"] },
        text: { at: ["body.text", "query.text"], missing: "a message in blocks" },
      },
    },
    {
      method: "POST",
      path: "/api/chat.delete",
      title: "Delete a message in {channel}",
      fields: {
        channel: { at: ["body.channel", "query.channel"] },
        message: { at: ["body.ts", "query.ts"] },
      },
    },
    {
      method: "POST",
      path: "/api/conversations.invite",
      title: "Invite {users} to {channel}",
      fields: {
        channel: { at: ["body.channel", "query.channel"] },
        users: { at: ["body.users", "query.users"] },
      },
    },
  ],
};
