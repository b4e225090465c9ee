import type { SettingsOf } from "../schemas.ts";
import { type ConnectionChannel, escapeAngles, JSON_TYPE, memberOf, type Verdict } from "./channel.ts";

/** Telegram takes 4,096 characters, counted without markup. */
const MAX_TEXT = 4_000;
const MAX_WAIT_SECONDS = 86_400;

/**
 * `sendMessage` (core.telegram.org/bots/api#sendmessage). Values stand in `<code>`, where Telegram makes no links,
 * mentions or commands of what looks like one.
 */
export const telegram: ConnectionChannel<SettingsOf<"telegram">> = {
  kind: "telegram",
  providers: ["telegram"],
  readsAnswer: true,
  compose(message, { chat_id }) {
    const lines = [`<b>${escapeAngles(message.title)}</b>`];
    let left = MAX_TEXT - message.title.length;
    for (const { label, value } of message.fields) {
      left -= label.length + value.length + 3;
      if (left < 0) break;
      lines.push(`${escapeAngles(label)}: <code>${escapeAngles(value)}</code>`);
    }
    const { link } = message;
    const keyboard = { inline_keyboard: [[{ text: link?.label, url: link?.url }]] };
    return {
      // The credential goes before it: `/bot{token}/sendMessage`.
      path: "/sendMessage",
      contentType: JSON_TYPE,
      body: JSON.stringify({
        chat_id: chat_id.startsWith("@") ? chat_id : Number(chat_id),
        text: lines.join("\n"),
        parse_mode: "HTML",
        link_preview_options: { is_disabled: true },
        ...(link === null ? {} : { reply_markup: keyboard }),
      }),
    };
  },
  verdict({ status, body }): Verdict {
    if (status >= 200 && status < 300 && memberOf(body, "ok") === true) return { ok: true };
    const seconds = memberOf(memberOf(body, "parameters"), "retry_after");
    const retryAfterSeconds =
      typeof seconds === "number" && seconds > 0 ? Math.min(Math.ceil(seconds), MAX_WAIT_SECONDS) : null;
    return { ok: false, reason: "refused", retryAfterSeconds };
  },
};
