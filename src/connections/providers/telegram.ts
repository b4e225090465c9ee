import type { Provider } from "../provider.ts";

/** The key stands in the path: `/bot{key}/getMe`, and `/file/bot{key}/…` for downloads. */
export const telegram: Provider = {
  id: "telegram",
  name: "Telegram Bot API",
  baseUrl: "https://api.telegram.org",
  hosts: ["api.telegram.org"],
  tokenIn: [
    { in: "path", prefix: "/bot" },
    { in: "path", prefix: "/file/bot" },
  ],
  credential: { kind: "path", prefix: "/bot", after: ["/file"] },
  docs: "https://core.telegram.org/bots/api#making-requests",
  probe: { method: "GET", path: "/getMe" },
};
