import type { Provider } from "../provider.ts";

/** Bot tokens. Discord asks every client for a user agent of this form. */
export const discord: Provider = {
  id: "discord",
  name: "Discord",
  baseUrl: "https://discord.com",
  hosts: ["discord.com"],
  tokenIn: [
    { in: "header", name: "authorization", scheme: "Bot" },
    { in: "header", name: "authorization", scheme: "Bearer" },
  ],
  credential: { kind: "bearer", prefix: "Bot" },
  defaultHeaders: { "user-agent": "DiscordBot (https://valetkey.dev, 1)" },
  docs: "https://discord.com/developers/docs/reference#authentication",
  probe: { method: "GET", path: "/api/v10/users/@me" },
};
