/**
 * What the providers behind the channels make of a request, by their public documentation: they refuse what they would
 * refuse, and tell what a person would see and could press.
 */
export interface Shown {
  /** All text that a person sees, markup taken off. */
  readonly text: string;
  /** What leads somewhere when it is pressed. */
  readonly links: readonly string[];
  /** Whatever else is more than text: mentions, tags, attributes, formatting that is on. */
  readonly markup: readonly string[];
}

export interface ProviderRequest {
  readonly path: string;
  readonly contentType: string;
  readonly body: string;
}

/** Throws what the provider would refuse it with. */
export type Emulator = (request: ProviderRequest) => Shown;

// oxlint-disable-next-line typescript/no-explicit-any -- JSON from over the wire; the emulators say what it must be.
type Json = any;

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const isText = (value: unknown, most: number): value is string =>
  typeof value === "string" && value.length > 0 && value.length <= most;

function json({ contentType, body }: ProviderRequest): Json {
  must(contentType.startsWith("application/json"), "invalid content type");
  return JSON.parse(body);
}

function unescaped(text: string): string {
  must(!/&(?!(?:amp|lt|gt|quot|#39);)/.test(text), "a bare ampersand");
  const plain = text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'");
  return plain.replaceAll("&amp;", "&");
}

/** docs.slack.dev: chat.postMessage, and the blocks of Block Kit that are used. */
export const slackApi: Emulator = (request) => {
  must(request.path === "/api/chat.postMessage", "unknown_method");
  const message = json(request);
  must(isText(message.channel, 100), "channel_not_found");
  must(isText(message.text, 40_000), "no_text");
  must(Array.isArray(message.blocks) && message.blocks.length <= 50, "invalid_blocks");
  const [texts, links, markup]: [string[], string[], string[]] = [[], [], []];
  const see = (text: string) => {
    // `<…>` is a link, a mention, or `<!channel>`.
    markup.push(...(text.match(/<[^>]*>?/g) ?? []));
    texts.push(unescaped(text));
  };
  const textObject = (object: Json, most: number) => {
    must(object?.type === "plain_text" || object?.type === "mrkdwn", "invalid_blocks");
    must(isText(object.text, most), "invalid_blocks");
    if (object.type === "mrkdwn") markup.push("mrkdwn");
    if (object.emoji !== false) markup.push("emoji");
    see(object.text);
  };
  see(message.text);
  if (message.mrkdwn !== false || message.parse !== "none" || message.link_names !== false)
    markup.push("parsed");
  if (message.unfurl_links !== false || message.unfurl_media !== false) markup.push("unfurled");
  for (const block of message.blocks) {
    if (block.type === "header") textObject(block.text, 150);
    else if (block.type === "section") {
      must(block.fields.length >= 1 && block.fields.length <= 10, "invalid_blocks");
      for (const field of block.fields) textObject(field, 2_000);
    } else {
      must(block.type === "actions" && block.elements.length <= 25, "invalid_blocks");
      for (const button of block.elements) {
        must(
          button.type === "button" && isText(button.url, 3_000) && isText(button.action_id, 255),
          "invalid_blocks",
        );
        textObject(button.text, 75);
        links.push(button.url);
      }
    }
  }
  return { text: texts.join("\n"), links, markup };
};

/** core.telegram.org/bots/api: sendMessage with `parse_mode` HTML. The credential stands before the method. */
export const telegramApi: Emulator = (request) => {
  must(/^(?:\/bot[^/]+)?\/sendMessage$/.test(request.path), "Not Found");
  const message = json(request);
  must(
    Number.isSafeInteger(message.chat_id) || /^@\w{4,32}$/.test(message.chat_id),
    "Bad Request: chat not found",
  );
  must(message.parse_mode === "HTML", "Bad Request: unsupported parse_mode");
  const markup: string[] = [];
  const open: string[] = [];
  let text = "";
  let outside = "";
  for (const piece of message.text.split(/(<[^>]*>)/)) {
    if (!piece.startsWith("<")) {
      must(!/[<>]/.test(piece), "Bad Request: can't parse entities");
      text += unescaped(piece);
      if (!open.includes("code")) outside += unescaped(piece);
      continue;
    }
    const [, close, tag = ""] = /^<(\/?)([a-z]+)>$/.exec(piece) ?? [];
    must(tag === "b" || tag === "code", `Bad Request: tag ${piece}`);
    if (close === "/") must(open.pop() === tag, "Bad Request: can't parse entities");
    else open.push(tag);
  }
  must(open.length === 0, "Bad Request: can't parse entities");
  must(text.length > 0 && text.length <= 4_096, "Bad Request: message is too long");
  // What Telegram makes a link, a mention or a command of by itself, but for what stands in `<code>`.
  markup.push(...(outside.match(/[@/]\w{3,}|\w+\.\w{2,}/g) ?? []));
  if (message.link_preview_options?.is_disabled !== true) markup.push("preview");
  const rows: Json[][] = message.reply_markup?.inline_keyboard ?? [];
  const links = rows.flat().map((button) => {
    must(isText(button.text, 64) && URL.canParse(button.url), "Bad Request: BUTTON_URL_INVALID");
    return String(button.url);
  });
  return { text, links, markup };
};

/** A mail as its reader sees it: the HTML part, and what of the plain part is one line too many. */
function mail(parts: {
  subject: unknown;
  text: unknown;
  html: unknown;
  from: unknown;
  to: unknown[];
}): Shown {
  const address = /^[^\s@<>,]+@[^\s@<>,]+$/;
  must(typeof parts.from === "string" && address.test(parts.from), "from is not an address");
  must(parts.to.length > 0 && parts.to.every((one) => address.test(String(one))), "to is not an address");
  must(isText(parts.subject, 200) && !/[\r\n]/.test(parts.subject), "subject is not a line");
  must(isText(parts.text, 100_000) && isText(parts.html, 100_000), "no content");
  const links: string[] = [];
  const markup: string[] = [];
  const OURS = new Set(["!doctype", "html", "body", "h2", "table", "tr", "td", "code", "p", "a"]);
  const text = parts.html
    .split(/(<[^>]*>)/)
    .map((piece) => {
      if (!piece.startsWith("<")) {
        must(!/[<>]/.test(piece), "broken HTML");
        return unescaped(piece);
      }
      const [, name = ""] = /^<\/?([a-z0-9!]+)/i.exec(piece) ?? [];
      if (!OURS.has(name) || /\son\w+=|javascript:/i.test(piece)) markup.push(piece);
      const [, href] = /\shref="([^"]*)"/.exec(piece) ?? [];
      if (href !== undefined) links.push(unescaped(href));
      return "";
    })
    .join("\n");
  return { text: `${parts.subject}\n${text}\n${parts.text}`, links, markup };
}

export const resendApi: Emulator = (request) => {
  must(request.path === "/emails", "not_found");
  const { from, to, subject, text, html } = json(request);
  return mail({ from, to, subject, text, html });
};

export const sendgridApi: Emulator = (request) => {
  must(request.path === "/v3/mail/send", "not found");
  const { personalizations, from, subject, content } = json(request);
  must(
    content[0].type === "text/plain" && content[1].type === "text/html" && content.length === 2,
    "content order",
  );
  const to = personalizations[0].to.map(({ email }: Json) => email);
  return mail({ from: from.email, to, subject, text: content[0].value, html: content[1].value });
};

export const postmarkApi: Emulator = (request) => {
  must(request.path === "/email", "not found");
  const { From, To, Subject, TextBody, HtmlBody } = json(request);
  return mail({ from: From, to: To.split(","), subject: Subject, text: TextBody, html: HtmlBody });
};

export const mailgunApi: Emulator = (request) => {
  must(request.contentType === "application/x-www-form-urlencoded", "invalid content type");
  const form = new URLSearchParams(request.body);
  const from = form.get("from") ?? "";
  must(request.path === `/v3/${from.split("@")[1]}/messages`, "domain not found");
  const [subject, text, html] = ["subject", "text", "html"].map((name) => form.get(name));
  return mail({ from, to: form.getAll("to"), subject, text, html });
};

/** Cloudflare's `send_email` binding, given a mail by its parts. */
export const bindingApi = (parts: Json): Shown => mail(parts);
