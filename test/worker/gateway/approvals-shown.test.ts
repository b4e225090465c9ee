import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ExactCall } from "../../../src/approvals/digest.ts";
import { shownCall } from "../../../src/approvals/shown-call.ts";
import { shownCallSchema } from "../../../src/approvals/shown-schema.ts";
import { providers } from "../../../src/connections/providers.ts";
import type { BodyView } from "../../../src/policies/request-view.ts";
import { exactCall, jsonCall } from "./approvals-exact-call.ts";

/** As people get it: through JSON, and as the API describes it. */
function show(call: ExactCall, kind: BodyView["kind"], below = call.path) {
  return shownCallSchema.parse(JSON.parse(JSON.stringify(shownCall(call, below, kind))));
}

function json(body: string) {
  const { body: shown } = show(jsonCall(body), "json");
  if (shown.kind !== "json") throw new Error(`shown as ${shown.kind}`);
  return shown;
}

function valuesOf(fields: readonly { readonly name: string; readonly value: string }[]) {
  return Object.fromEntries(fields.map(({ name, value }) => [name, value]));
}

function of(provider: string, method: string, path: string, body: unknown) {
  const { connection } = exactCall();
  const isForm = typeof body === "string";
  const call = exactCall({
    ...{ method, path, query: "" },
    connection: { ...connection, provider },
    headers: [["content-type", isForm ? "application/x-www-form-urlencoded" : "application/json"]],
    body: body === null ? null : Buffer.from(isForm ? body : JSON.stringify(body)),
  });
  const { title, picked } = show(call, body === null ? "none" : isForm ? "form" : "json");
  return { title, picked: valuesOf(picked) };
}

describe("what people are shown of a call", () => {
  it("is a refund in a line, its parts, and its body as it was sent", () => {
    const shown = show(exactCall(), "form");
    expect(shown.title).toBe("Refund 12.50 EUR (sent as 1250) of ch_1");
    expect(valuesOf(shown.picked)).toEqual({ amount: "12.50 EUR (sent as 1250)", of: "ch_1" });
    expect(shown).toMatchObject({
      ...{ method: "POST", scheme: "https", host: "api.stripe.com", path: "/v1/refunds" },
      query: { text: "expand[]=charge", fields: [{ name: "expand[]", value: "charge" }], more: 0 },
      body: { kind: "form", text: "charge=ch_1&amount=1250&currency=eur", cut: null, bytes: 36 },
      ...{ connection: "stripe", provider: "stripe" },
      secrets: [{ path: "test/stripe/KEY", version: 3 }],
    });
    expect(valuesOf(shown.purpose.fields)).toEqual({
      tool: "refunder",
      user: "ada@example.com",
      "context.reason": "ticket 12",
    });
    // What the digest does not cover is not shown as if it did.
    expect(shown.headers.fields.map(({ name }) => name)).toEqual(["content-type", "stripe-version"]);
  });

  it("characters that deceive are named: bidi, zero-width, controls, odd spaces, tags, fillers", () => {
    const deceiving =
      "pay\u202Eeve\u202C \u2066x\u2069\u200B\u200D\uFEFF\u00AD\u0007\r\u0085\u00A0\u3000\u2009\u3164\u{E0041}\u2028";
    const [field] = json(JSON.stringify({ to: deceiving })).fields;
    expect(field?.value).toBe(
      "pay⟨U+202E⟩eve⟨U+202C⟩ ⟨U+2066⟩x⟨U+2069⟩⟨U+200B⟩⟨U+200D⟩⟨U+FEFF⟩⟨U+00AD⟩⟨U+0007⟩⟨U+000D⟩⟨U+0085⟩⟨U+00A0⟩⟨U+3000⟩⟨U+2009⟩⟨U+3164⟩⟨U+E0041⟩⟨U+2028⟩",
    );
    const whole = JSON.stringify(
      shownCall(jsonCall(JSON.stringify({ [deceiving]: deceiving })), "/", "json"),
    );
    expect(whole).not.toMatch(/[\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u00A0\u3000\u3164]/u);
  });

  it("what only looks as if it had been named is named itself", () => {
    expect(json('{"a":"⟨U+202E⟩"}').fields[0]?.value).toBe("⟨U+27E8⟩U+202E⟩");
  });

  it("a line feed in a value begins no line of its own; in the body as it was sent it does", () => {
    const { fields, text } = json('{"a":\n "x\\nApproved by Ada"}');
    expect(fields[0]?.value).toBe("x⟨U+000A⟩Approved by Ada");
    expect(text).toBe('{"a":\n "x\\nApproved by Ada"}');
  });

  it("letters of several scripts that look alike are told", () => {
    const { fields } = json('{"to":"pаypal.com","cc":"paypal.com","bcc":"пайпал"}');
    expect(fields.map(({ scripts }) => scripts)).toEqual([["Latin", "Cyrillic"], [], []]);
  });

  it("markup stays the text that it is", () => {
    const markup = "<img src=x onerror=alert(1)>*b* [x](javascript:1) <!channel> &amp;";
    expect(json(JSON.stringify({ markup })).fields[0]?.value).toBe(markup);
  });

  it("numbers stand as they were written, names with dots as names, ends by their paths", () => {
    const { fields } = json('{"a":1e3,"b":1.0,"c":{"d":[true,null,{"e":""}],"f":[],"g":{}},"h.i":2,"":3}');
    expect(valuesOf(fields)).toEqual({
      ...{ a: "1e3", b: "1.0", "c.d[0]": "true", "c.d[1]": "null", "c.d[2].e": "", "c.f": "[]", "c.g": "{}" },
      ...{ '["h.i"]': "2", '[""]': "3" },
    });
    expect(valuesOf(json('"x"').fields)).toEqual({ $: "x" });
  });

  it("a long value is cut, with the length and the digest of all of it, and no character in two", () => {
    const long = "€".repeat(999) + "😀" + "x".repeat(5_000);
    const [field] = json(JSON.stringify({ long })).fields;
    expect(field?.value).toBe("€".repeat(999));
    expect(field?.cut).toEqual({
      bytes: Buffer.byteLength(long),
      sha256: createHash("sha256").update(long).digest("hex"),
    });
  });

  it("of very many fields the first are shown, and how many are not", () => {
    const body = JSON.stringify(Array.from({ length: 100_000 }, (_, n) => n));
    const shown = json(body);
    expect(shown.fields).toHaveLength(200);
    expect(shown.more).toBe(99_800);
    expect(shown.cut).toEqual({
      bytes: body.length,
      sha256: createHash("sha256").update(body).digest("hex"),
    });
    expect(shown.cut?.sha256).toBe(shown.sha256);
  });

  it("attack 89: it fits into what is sealed, whatever has to be made visible, and tells what was cut", () => {
    const { connection } = exactCall();
    for (const unseen of ["\u202E", "\u{E0041}", "€", '"', "\\", "\u0001"]) {
      const form = Array.from(
        { length: 200 },
        (_, n) => `f${n}=${encodeURIComponent(unseen.repeat(300))}`,
      ).join("&");
      const amount = `amount=${encodeURIComponent(unseen.repeat(1_000))}`;
      const call = exactCall({
        connection,
        ...{
          path: `/v1/refunds/${"x".repeat(4_000)}`,
          query: form.slice(0, 60_000).replace(/%[0-9A-F]?$/, ""),
        },
        headers: [["content-type", "application/x-www-form-urlencoded"]].concat(
          Array.from({ length: 100 }, (_, n) => [`x-${n}`, "ä".repeat(300)]),
        ) as [string, string][],
        body: Buffer.from(`${amount}&charge=ch_1&${form}`),
      });
      const shown = show(call, "form", "/v1/refunds");
      expect(Buffer.byteLength(JSON.stringify(shown)), unseen).toBeLessThanOrEqual(60 * 1024);
      expect(shown.body).toMatchObject({ kind: "form", cut: { bytes: call.body?.byteLength } });
      expect(shown.picked.map(({ name }) => name)).toEqual(["amount", "of"]);
    }
  });

  it("what matters is picked out behind however many fields that do not", () => {
    const junk = Array.from({ length: 500 }, (_, n) => `metadata[${n}]=x`).join("&");
    expect(of("stripe", "POST", "/v1/refunds", `${junk}&charge=ch_1&amount=5`).picked).toEqual({
      amount: "5 (in the currency's smallest unit)",
      of: "ch_1",
    });
  });

  it.each([
    ["bytes that are no text", Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff, 0x00])],
    ["text that is mostly controls", Buffer.from("\u0000\u0001\u0002\u0003a")],
  ])("%s are a size, a digest and a head", (_what, bytes) => {
    expect(show(jsonCall(bytes, "image/png"), "unreadable").body).toEqual({
      ...{ kind: "binary", type: "image/png", bytes: bytes.byteLength },
      sha256: createHash("sha256").update(bytes).digest("hex"),
      head: bytes.toString("hex"),
    });
  });

  it("a text of no type that is read is shown as it is; no body as none", () => {
    const shown = show(jsonCall("<x>\u202E</x>", "text/xml"), "unreadable").body;
    expect(shown).toMatchObject({ kind: "text", text: "<x>⟨U+202E⟩</x>", fields: [] });
    expect(show(exactCall({ body: null }), "none").body).toEqual({ kind: "none" });
  });

  it("a byte order mark shows", () => {
    expect(show(jsonCall("\uFEFFx", "text/plain"), "unreadable").body).toMatchObject({ text: "⟨U+FEFF⟩x" });
  });

  it("references to secrets stand as they were sent; tokens and headers that hold keys do not", () => {
    const token = `vkt_${"a".repeat(40)}`;
    const shown = show(
      {
        ...jsonCall(JSON.stringify({ key: "vault://test/other/KEY", mine: token })),
        headers: [
          ["content-type", "application/json"],
          ["x-other-api-key", "k-1234567890"],
          ["x-session-token", "s-1234567890"],
        ],
      },
      "json",
    );
    const text = JSON.stringify(shown);
    expect(text).toContain("vault://test/other/KEY");
    expect(text).toContain("[token]");
    for (const hidden of [token, "k-1234567890", "s-1234567890"]) expect(text).not.toContain(hidden);
    expect(valuesOf(shown.headers.fields)["x-other-api-key"]).toMatch(
      /^\[12 characters, SHA-256 [0-9a-f]{16}…\]$/,
    );
  });
});

describe("what providers' hints pick out", () => {
  it.each([
    ["amount=500&currency=jpy&charge=ch_1", "Refund 500 JPY (sent as 500) of ch_1"],
    ["amount=5&currency=usd&charge=ch_1", "Refund 0.05 USD (sent as 5) of ch_1"],
    ["amount=100000&currency=EUR&charge=ch_1", "Refund 1000.00 EUR (sent as 100000) of ch_1"],
    ["amount=5120&currency=kwd&charge=ch_1", "Refund 5.120 KWD (sent as 5120) of ch_1"],
    ["amount=500&currency=ugx&charge=ch_1", "Refund 5.00 UGX (sent as 500) of ch_1"],
    ["amount=500&charge=ch_1", "Refund 500 (in the currency's smallest unit) of ch_1"],
    ["payment_intent=pi_1", "Refund everything of pi_1"],
    ["amount=1e9&currency=usd&charge=ch_1", "Refund 1e9 of ch_1"],
    ["charge=ch\u202E_1", "Refund everything of ch⟨U+202E⟩_1"],
  ])("stripe: %s", (body, title) => {
    expect(of("stripe", "POST", "/v1/refunds", body).title).toBe(title);
  });

  it.each([
    ["amount=5&currency=constructor&charge=ch_1", "Refund 5 (in the currency's smallest unit) of ch_1"],
    [
      `amount=999999&currency=${encodeURIComponent("eur (sent as 5) of ch_1")}&charge=ch_9`,
      "Refund 999999 (in the currency's smallest unit) of ch_9",
    ],
  ])("attack 75: stripe: what is no currency is none in the title: %s", (body, title) => {
    expect(of("stripe", "POST", "/v1/refunds", body).title).toBe(title);
  });

  it("attack 75: what stands in the query as well as in the body is told with both", () => {
    const call = exactCall({ query: "amount=999999&charge=ch_9" });
    const { title, picked } = show(call, "form");
    expect(title).toBe("Refund 1250, 999999 of ch_1, ch_9");
    expect(valuesOf(picked)).toMatchObject({ amount: "1250, 999999", of: "ch_1, ch_9" });
    expect(show({ ...call, body: null }, "none").title).toBe(
      "Refund 999999 (in the currency's smallest unit) of ch_9",
    );
  });

  it("attack 75: of a body that cannot be read nothing is told as if it had been", () => {
    const { title, picked } = show(exactCall({ headers: [] }), "unreadable");
    expect([title, picked]).toEqual(["POST api.stripe.com/v1/refunds", []]);
  });

  it("stripe: whom the money goes to", () => {
    const body = "amount=100&currency=usd&customer=cus_1&transfer_data[destination]=acct_2";
    expect(of("stripe", "POST", "/v1/payment_intents", body).picked).toMatchObject({
      customer: "cus_1",
      destination: "acct_2",
    });
    expect(of("stripe", "POST", "/v1/transfers", "amount=7&currency=usd&destination=acct_3").title).toBe(
      "Transfer 0.07 USD (sent as 7) to acct_3",
    );
  });

  it.each([
    ["github", "PUT", "/repos/o/r/pulls/7/merge", { merge_method: "squash" }, "Merge pull request 7 of o/r"],
    [
      "github",
      "POST",
      "/repos/o/r/pulls",
      { head: "x", base: "main" },
      "Open a pull request in o/r: x into main",
    ],
    ["github", "PUT", "/repos/o/r/contents/a/b%20c.ts", { message: "m" }, "Write a/b c.ts in o/r"],
    ["github", "DELETE", "/repos/o/r", null, "Delete o/r"],
    ["openai", "POST", "/v1/chat/completions", { model: "gpt-5", messages: [] }, "Ask gpt-5"],
    ["anthropic", "POST", "/v1/messages", { model: "claude-x" }, "Ask claude-x"],
    ["slack", "POST", "/api/chat.postMessage", { channel: "C1", text: "hi" }, "Write to C1: hi"],
    ["slack", "POST", "/api/chat.postMessage", "channel=C1&text=hi+there", "Write to C1: hi there"],
    ["resend", "POST", "/emails", { to: ["a@x", "b@x"], subject: "Hi" }, "Send “Hi” to a@x, b@x"],
    [
      "twilio",
      "POST",
      "/2010-04-01/Accounts/AC1/Messages.json",
      "To=%2B1&Body=yo",
      "Send a message to +1: yo",
    ],
    [
      "sendgrid",
      "POST",
      "/v3/mail/send",
      { personalizations: [{ to: [{ email: "a@x" }] }, { to: [{ email: "b@x" }] }], subject: "S" },
      "Send “S” to a@x, b@x",
    ],
  ])("%s: %s %s", (provider, method, path, body, title) => {
    expect(of(provider, method, path, body).title).toBe(title);
  });

  it("of very many recipients the first are named, and how many more there are", () => {
    const to = Array.from({ length: 50 }, (_, n) => `${n}@x`);
    expect(of("resend", "POST", "/emails", { to, subject: "S" }).picked["to"]).toMatch(
      /, 19@x, and 30 more$/,
    );
  });

  it("a call that no hint fits is its method and its URL", () => {
    expect(of("github", "POST", "/repos/o/r/forks", {}).title).toBe("POST api.stripe.com/repos/o/r/forks");
    expect(of("stripe", "GET", "/v1/refunds", null).title).toBe("GET api.stripe.com/v1/refunds");
  });

  it("a title names only what its path or its fields define", () => {
    for (const { id, hints = [] } of providers.values()) {
      for (const { title, path, fields = {} } of hints) {
        const known = [...path.matchAll(/\{\+?(\w+)\}/g)].map(([, name]) => name).concat(Object.keys(fields));
        for (const [, name] of title.matchAll(/\{(\w+)\}/g)) expect(known, `${id}: ${title}`).toContain(name);
        for (const { at } of Object.values(fields)) {
          for (const place of at) expect(place, id).toMatch(/^(?:body|query|path|header)[.[]/);
        }
      }
    }
  });
});
