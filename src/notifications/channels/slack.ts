import type { Message } from "../message.ts";
import type { SettingsOf } from "../schemas.ts";
import { type ConnectionChannel, escapeAngles, JSON_TYPE, memberOf, type Verdict } from "./channel.ts";

/** Errors of `chat.postMessage` that are told by name. Others are `refused`: an answer could say anything. */
const ERRORS = new Set([
  "account_inactive",
  "channel_not_found",
  "invalid_auth",
  "is_archived",
  "missing_scope",
  "not_authed",
  "not_in_channel",
  "ratelimited",
  "restricted_action",
  "token_expired",
  "token_revoked",
]);

/**
 * `chat.postMessage` (docs.slack.dev/reference/methods/chat.postMessage). All text is `plain_text`, which takes no
 * formatting and links nothing; `&`, `<` and `>` are escaped all the same, since they begin `<!channel>` and mentions.
 */
export const slack: ConnectionChannel<SettingsOf<"slack">> = {
  kind: "slack",
  providers: ["slack"],
  readsAnswer: true,
  compose(message, { channel }) {
    const blocks: unknown[] = [{ type: "header", text: plain(message.title) }];
    const fields = message.fields.map(({ label, value }) => plain(`${label}\n${value}`));
    if (fields.length > 0) blocks.push({ type: "section", fields });
    if (message.link !== null) {
      const { label, url } = message.link;
      const button = { type: "button", action_id: "open", text: plain(label), url };
      blocks.push({ type: "actions", elements: [button] });
    }
    return {
      path: "/api/chat.postMessage",
      contentType: JSON_TYPE,
      body: JSON.stringify({
        channel,
        // Shown in notifications, and where blocks are not.
        text: escapeAngles(fallback(message)),
        blocks,
        mrkdwn: false,
        parse: "none",
        link_names: false,
        unfurl_links: false,
        unfurl_media: false,
      }),
    };
  },
  verdict({ status, body }): Verdict {
    if (status >= 200 && status < 300 && memberOf(body, "ok") === true) return { ok: true };
    const error = memberOf(body, "error");
    const isKnown = typeof error === "string" && ERRORS.has(error);
    return { ok: false, reason: isKnown ? `slack_${error}` : "refused", retryAfterSeconds: null };
  },
};

/** Slack takes 150 characters in a header and 2,000 in a field: titles and values are shorter, escaped too. */
function plain(text: string) {
  return { type: "plain_text", emoji: false, text: escapeAngles(text) };
}

function fallback({ title, link }: Message): string {
  return link === null ? title : `${title}: ${link.url}`;
}
