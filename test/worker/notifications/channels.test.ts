import { describe, expect, test } from "vitest";
import { maskedText } from "../../../durable-objects/masked-text.ts";
import { connectionChannels } from "../../../src/notifications/channels/channels.ts";
import type { ConnectionChannel } from "../../../src/notifications/channels/channel.ts";
import { sendByBinding } from "../../../src/notifications/channels/email-binding.ts";
import { composeWebhook } from "../../../src/notifications/channels/webhook.ts";
import { cleanData, messageOf } from "../../../src/notifications/message.ts";
import type { NoticeData } from "../../../src/notifications/notice.ts";
import type { ReceiverSettings } from "../../../src/notifications/schemas.ts";
import {
  bindingApi,
  mailgunApi,
  postmarkApi,
  resendApi,
  sendgridApi,
  type Shown,
  slackApi,
  telegramApi,
} from "../../support/channel-emulators.ts";

const ORIGIN = "https://gateway.example.com";
const APPROVAL = "apr_00112233445566778899aabb";
const LINK = `${ORIGIN}/approvals/${APPROVAL}`;
const TOKEN = "vkt_0123456789ABCDEFGHIJabcdefghij0123456789ABCDEFGHIJabcdefghij0123456789abcdefgh";
const KEY = "sk_live_51H8xYzABCDEFGHIJKLMNOPQ";

/** What an agent could write into what it asks for. */
const HOSTILE: NoticeData = {
  approval_id: APPROVAL,
  summary: "<!channel> <https://evil.example/|Approve> <@U012345> *bold* _it_ ~no~ `code` :tada: & &lt;",
  agent: '"><script>alert(1)</script><img src=x onerror=alert(1)>',
  reason: "</code><b>x</b><a href='https://evil.example/'>click</a> javascript:alert(1)",
  path: "/v1/\u202Etxt.exe\r\nApproval: granted\u0000\u2028\u200B",
  mentions: "@everyone /start https://evil.example/ evil.example",
  token: `Bearer ${TOKEN} and ${KEY} and whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`,
  long: "long ".repeat(5_000),
  nested: { "<!here>": ["<b>", { deep: "<i>" }] },
  "<b>name": "x",
  eleventh: 11,
  twelfth: true,
};

function messageFor(data: NoticeData) {
  const notice = { id: "evt_1", type: "approval.requested", at: 0, data: cleanData(data, maskedText) };
  return { notice, message: messageOf(notice, ORIGIN) };
}

type Show = (data: NoticeData) => Promise<Shown>;

function through(
  channel: ConnectionChannel,
  settings: ReceiverSettings,
  provider: string,
  emulator: typeof slackApi,
): Show {
  return async (data) =>
    emulator(channel.compose(messageFor(data).message, settings, { provider, deliveryId: "dlv_1" }));
}

const mails = { connection: "c", from: "valetkey@example.com", to: ["ada@example.com", "bob@example.org"] };
const slack = { kind: "slack", connection: "c", channel: "C0123456789" } as const;
const telegram = { kind: "telegram", connection: "c", chat_id: "-1001234567890" } as const;
const email = connectionChannels.email as ConnectionChannel;

/** Every channel that shows people a message, and each provider of those that have several. */
const CHANNELS: readonly (readonly [name: string, show: Show])[] = [
  ["slack", through(connectionChannels.slack as ConnectionChannel, slack, "slack", slackApi)],
  ["telegram", through(connectionChannels.telegram as ConnectionChannel, telegram, "telegram", telegramApi)],
  ["email by resend", through(email, { kind: "email", ...mails }, "resend", resendApi)],
  ["email by sendgrid", through(email, { kind: "email", ...mails }, "sendgrid", sendgridApi)],
  ["email by postmark", through(email, { kind: "email", ...mails }, "postmark", postmarkApi)],
  ["email by mailgun", through(email, { kind: "email", ...mails }, "mailgun", mailgunApi)],
  [
    "email_binding",
    async (data) => {
      const sent: unknown[] = [];
      const binding = { send: async (mail: unknown) => void sent.push(mail) };
      const { from, to } = mails;
      await sendByBinding(binding, messageFor(data).message, { kind: "email_binding", from, to });
      return bindingApi(sent[0]);
    },
  ],
];

test("every provider of every channel is in this suite", () => {
  const providers = Object.values(connectionChannels).flatMap(({ kind, providers }) =>
    providers.map((provider) => (kind === "email" ? `${kind} by ${provider}` : kind)),
  );
  expect(CHANNELS.map(([name]) => name).toSorted()).toEqual([...providers, "email_binding"].toSorted());
});

describe.each(CHANNELS)("%s", (_name, show) => {
  test("leads to the page where it is answered, and nowhere else", async () => {
    const { links, text } = await show(HOSTILE);
    expect(links).toEqual([LINK]);
    expect(text).toContain("Approval requested");
  });

  test("shows what an agent wrote as text: no mention, tag, link or formatting comes of it", async () => {
    const { markup, text } = await show(HOSTILE);
    expect(markup).toEqual([]);
    expect(text).toContain("<!channel> <https://evil.example/|Approve>");
    expect(text).toContain("</code><b>x</b>");
    expect(text).toContain("<script>alert(1)</script>");
  });

  test("attack 82: writes out characters that turn text around, end lines or cannot be seen", async () => {
    const { text } = await show(HOSTILE);
    expect(text).toContain(String.raw`\u202etxt.exe\u000d\u000aApproval: granted\u0000\u2028\u200b`);
    expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(text.split("\n").filter((line) => line.startsWith("Approval: granted"))).toEqual([]);
  });

  test("cuts what is long, and says how much more there is", async () => {
    const { text } = await show(HOSTILE);
    expect(text).toContain("long long");
    expect(text).toContain("…");
    expect(text.length).toBeLessThan(10_000);
    expect(text).toContain("further details");
  });

  test("holds no token and no known credential", async () => {
    const { text } = await show({ ...HOSTILE, summary: `${"x".repeat(250)} ${TOKEN}` });
    expect(text).toContain("[redacted]");
    for (const secret of [TOKEN.slice(4, 40), KEY.slice(8), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
      expect(text).not.toContain(secret);
  });

  test("has no link for what there is nothing to answer about", async () => {
    for (const approval_id of [undefined, "apr_../../evil", "https://evil.example/", `${APPROVAL}?x`, 7]) {
      const { links } = await show({ message: "hello", approval_id: approval_id ?? null });
      expect(links).toEqual([]);
    }
  });
});

test("a webhook's data are what they were but for what is masked, made visible and cut, and say where it is answered", () => {
  const { body } = composeWebhook(messageFor(HOSTILE).notice, ORIGIN, [], 0);
  const { type, timestamp, data } = JSON.parse(body);
  expect({ type, timestamp }).toEqual({ type: "approval.requested", timestamp: "1970-01-01T00:00:00.000Z" });
  expect(data.url).toBe(LINK);
  expect(data.summary).toBe(HOSTILE["summary"]);
  expect(data.long.length).toBeLessThanOrEqual(2_048);
  expect(data.path).toContain(String.raw`\u202e`);
  for (const secret of [TOKEN.slice(4, 40), KEY.slice(8), "MfKQ9r8GKYqrTwjUPD8"])
    expect(body).not.toContain(secret);
});

test("data beyond 8,000 characters in all are left out, and that is said", () => {
  const data = cleanData(
    Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`m${n}`, "x".repeat(1_000)])),
    String,
  );
  expect(JSON.stringify(data).length).toBeLessThan(9_000);
  expect(data["truncated"]).toBe(true);
});
