import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newId } from "../../../src/base/ids.ts";
import { Problem } from "../../../src/base/problem.ts";
import { checkCondition } from "../../../src/policies/policy-condition.ts";
import { draftOf } from "../../../src/policies/policies.ts";
import { policySetOf } from "../../../src/policies/set.ts";
import { describeTemplates, TEMPLATES } from "../../../src/policies/templates.ts";
import type { PolicyVerdict } from "../../../src/policies/verdict.ts";
import { callFacts, type CallLike } from "./call-facts.ts";

function asked(
  template: string,
  parameters: Readonly<Record<string, unknown>>,
  call: CallLike,
): PolicyVerdict {
  const draft = draftOf({ name: "a policy", template, parameters });
  const policy = { ...draft, id: newId("policy"), version: 1, createdAt: 0, updatedAt: 0 };
  return policySetOf([policy]).decide(callFacts(call));
}

const POST = { method: "POST", path: "/v1/refunds" } as const;
const AMOUNT = { max: 100, paths: ["/v1/refunds"] };
const BERLIN = { time_zone: "Europe/Berlin", from: "09:00", to: "17:30" };
const PASSING_AMOUNTS: readonly CallLike[] = [
  { ...POST, json: { amount: 100 } },
  { ...POST, json: { amount: 99.5 } },
  { ...POST, form: { amount: "100" } },
  { ...POST, form: { amount: "0.01" } },
  { ...POST, path: "/v1/charges", json: { amount: 1_000 } },
  { method: "GET", path: "/v1/refunds" },
];
const REFUSED_AMOUNTS: readonly CallLike[] = [
  { ...POST, json: { amount: 100.01 } },
  { ...POST, json: { amount: -1 } },
  { ...POST, json: { amount: "1e3" } },
  { ...POST, json: { amount: 1e30 } },
  { ...POST, json: { amount: null } },
  { ...POST, json: { amount: [1] } },
  { ...POST, json: { amount: true } },
  { ...POST, json: {} },
  { ...POST, json: [100] },
  ...["101", "", " 1", "0x1", "1,000", "١", "NaN", "-1", "+1", "1."].map((amount) => ({
    ...POST,
    form: { amount },
  })),
  { ...POST, form: { amount: ["1", "1000"] } },
  POST,
  { ...POST, body: { kind: "unreadable", why: "not JSON" } },
];

/** For each template: parameters, calls that it has nothing against, and calls that it refuses or asks about. */
const CASES: Readonly<
  Record<string, readonly (readonly [object, pass: readonly CallLike[], stop: readonly CallLike[]])[]>
> = {
  "read-only": [
    [
      {},
      ["GET", "HEAD", "OPTIONS"].map((method) => ({ method })),
      ["POST", "PUT", "PATCH", "DELETE", "LINK", "get"].map((method) => ({ method })),
    ],
    [
      { paths: ["/v1/*/secret"] },
      [{ method: "POST", path: "/v1/a" }],
      [{ method: "POST", path: "/v1/a/b/secret" }],
    ],
  ],
  "no-deletes": [
    [{}, [{}, POST], [{ method: "DELETE" }]],
    [
      { paths: ["/api/*.delete"] },
      [{ method: "POST", path: "/api/chat.deleteAll" }, { path: "/api/chatXdelete" }],
      [{ method: "DELETE" }, { method: "POST", path: "/api/chat.delete" }],
    ],
  ],
  "approve-writes": [
    [
      { paths: ["/v1/refunds"] },
      [{}, { method: "POST", path: "/v1/refunds/x" }, { method: "POST", path: "/v1/refundsX" }],
      // Servers that ignore case, a slash behind it, or escapes, take these for the same (attack 28).
      ["", "/"].flatMap((end) =>
        ["/v1/refunds", "/V1/Refunds", "/v1%2Frefunds"].map((path) => ({ method: "POST", path: path + end })),
      ),
    ],
    [
      { paths: ["/v1/*/Send", "/v2/*"] },
      [
        { method: "POST", path: "/v1/a/sendX" },
        { method: "POST", path: "/v2" },
      ],
      ["/v1/a/send", "/V1/a/SEND/", "/v1%2Fa/Send", "/V2/x", "/v2%2Fx"].map((path) => ({
        method: "POST",
        path,
      })),
    ],
  ],
  "business-hours": [
    [
      BERLIN,
      // Winter, summer; the first minute and the last.
      ["2026-11-18T08:00:00Z", "2026-11-18T16:29:59Z", "2026-07-15T07:00:00Z", "2026-07-15T15:29:00Z"].map(
        (at) => ({ at }),
      ),
      [
        ...["2026-11-18T07:59:59Z", "2026-11-18T16:30:00Z", "2026-07-15T15:30:00Z", "2026-07-15T06:59:00Z"],
        // A Saturday, and a Sunday.
        ...["2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z"],
      ].map((at) => ({ at })),
    ],
    // In Auckland it is Monday already.
    [
      { time_zone: "Pacific/Auckland", from: "00:00", to: "24:00", days: ["mon"] },
      [{ at: "2026-11-22T11:00:00Z" }, { at: "2026-11-23T10:59:00Z" }],
      [{ at: "2026-11-22T10:59:00Z" }, { at: "2026-11-23T11:00:00Z" }],
    ],
  ],
  "ip-range": [
    [
      { cidrs: ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7"] },
      ["203.0.113.255", "2001:db8::1", "198.51.100.7"].map((ip) => ({ ip })),
      ["203.0.114.0", "2001:db9::1", "198.51.100.8", "127.0.0.1"].map((ip) => ({ ip })),
    ],
  ],
  "approve-untrusted": [
    [{}, [{ trustTier: "standard" }, { trustTier: "trusted" }], [{ trustTier: "untrusted" }]],
  ],
  "approve-critical": [[{}, [{ tier: "standard" }, { tier: "sensitive" }], [{ tier: "critical" }]]],
  "amount-limit": [
    [AMOUNT, PASSING_AMOUNTS, REFUSED_AMOUNTS],
    [
      { field: "total.value", max: 5 },
      [{ ...POST, json: { total: { value: 5 } } }],
      [
        { ...POST, json: { total: { value: 6 } } },
        { ...POST, json: { "total.value": 5 } },
        { ...POST, json: { total: 5 } },
      ],
    ],
    [
      { field: "lines[0]", max: 5 },
      [{ ...POST, form: { "lines[0]": "5" } }],
      [{ ...POST, form: { "lines[0]": "6" } }],
    ],
  ],
  "require-approval-above": [[AMOUNT, PASSING_AMOUNTS, REFUSED_AMOUNTS]],
  "one-recipient": [
    [
      { field: "to", recipients: ["a@example.com", "b@example.com"] },
      [
        { ...POST, json: { to: "a@example.com", subject: "cc", ccy: "EUR" } },
        { ...POST, form: { to: "b@example.com" } },
        {},
      ],
      [
        { ...POST, json: { to: "c@example.com" } },
        { ...POST, json: { to: ["a@example.com", "c@example.com"] } },
        { ...POST, json: { to: ["a@example.com"] } },
        { ...POST, json: { to: "A@example.com" } },
        { ...POST, json: { to: "a@example.com, c@example.com" } },
        ...["cc", "bcc", "Bcc", "bccRecipients", "bcc_list"].map((copy) => ({
          ...POST,
          json: { to: "a@example.com", [copy]: ["c@example.com"] },
        })),
        ...["cc", "bcc[]", "bcc[0]"].map((copy) => ({
          ...POST,
          form: { to: "a@example.com", [copy]: "c@example.com" },
        })),
        { ...POST, json: {} },
        POST,
      ],
    ],
  ],
  "model-allow-list": [
    [
      { models: ["gpt-5-mini"], paths: ["/v1/chat/completions"] },
      [
        { method: "POST", path: "/v1/chat/completions", json: { model: "gpt-5-mini" } },
        { method: "POST", path: "/v1/files", json: { model: "gpt-5" } },
        { method: "GET", path: "/v1/models" },
      ],
      [
        { method: "POST", path: "/v1/chat/completions", json: { model: "gpt-5" } },
        { method: "POST", path: "/v1/chat/completions", json: { model: "gpt-5-mini-2" } },
        { method: "POST", path: "/v1/chat/completions", json: {} },
      ],
    ],
  ],
  "model-in-path": [
    [
      { models: ["gemini-2.5-flash"] },
      [
        ...[":generateContent", ":streamGenerateContent", "", "/operations/1"].map((end) => ({
          method: "POST",
          path: `/v1beta/models/gemini-2.5-flash${end}`,
        })),
        { path: "/v1beta/models" },
        { path: "/v1beta/files/x" },
      ],
      [
        ...["gemini-2.5-pro:generateContent", "gemini-2.5-flash-x:generateContent", "gemini-2x5-flash"].map(
          (model) => ({ method: "POST", path: `/v1beta/models/${model}` }),
        ),
        { path: "/v1beta/models/" },
      ],
    ],
  ],
  "size-limit": [[{ bytes: 10 }, [{ size: 10 }, { size: 0 }], [{ size: 11 }, { size: null }]]],
};

describe("every template", () => {
  test("is tried here", () => {
    expect(Object.keys(CASES).toSorted()).toEqual([...TEMPLATES.keys()].toSorted());
  });

  const tried = Object.entries(CASES).flatMap(([id, cases]) =>
    cases.map(([parameters, pass, stop]) => ({ id, parameters, pass, stop })),
  );

  test.each(tried)("$id $parameters has nothing against what it is for", ({ id, parameters, pass }) => {
    for (const call of pass) {
      expect([call, asked(id, { ...parameters }, call).kind]).toEqual([call, "none"]);
    }
  });

  test.each(tried)("$id $parameters stops all else", ({ id, parameters, stop }) => {
    const effect = TEMPLATES.get(id)?.effect;
    for (const call of stop) {
      expect([call, asked(id, { ...parameters }, call).kind]).toEqual([call, effect]);
    }
  });

  test.each([...TEMPLATES.values()])("$id has an example that can be sent", ({ id, example }) => {
    expect(() => draftOf({ name: "a policy", template: id, parameters: example })).not.toThrow();
  });

  test("is described with what its parameters are", () => {
    for (const { parameters } of describeTemplates()) expect(parameters).toMatchObject({ type: "object" });
  });
});

describe("a parameter", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 40 }),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
    fc.constantFrom(
      '"',
      "\\",
      '\\"',
      '"] || true || [""',
      '")',
      "\n",
      "\\u0022",
      "'",
      "`",
      "${1}",
      "\u2028",
      "😀",
    ),
  );
  const value = fc.array(text, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(""));

  test("is the text that it is, and never a part of the condition", () => {
    fc.assert(
      fc.property(value, value, (recipient, other) => {
        const parameters = { field: "to", recipients: [recipient] };
        expect(asked("one-recipient", parameters, { ...POST, json: { to: recipient } }).kind).toBe("none");
        const verdict = asked("one-recipient", parameters, { ...POST, json: { to: `${other}.` } });
        expect(verdict.kind).toBe(recipient === `${other}.` ? "none" : "deny");
      }),
      { numRuns: 200 },
    );
  });

  test("names the field that it names, and no other", () => {
    fc.assert(
      fc.property(value, (field) => {
        const name = field.replaceAll(".", "");
        fc.pre(name !== "");
        const parameters = { field: name, recipients: ["ours"] };
        const body = Object.fromEntries([[name, "ours"]]);
        expect(asked("one-recipient", parameters, { ...POST, json: body }).kind).toBe("none");
        expect(asked("one-recipient", parameters, { ...POST, json: { [`${name} `]: "ours" } }).kind).toBe(
          "deny",
        );
      }),
      { numRuns: 200 },
    );
  });

  test("that is a path stands for itself but for its stars", () => {
    const path = fc
      .string({ unit: fc.constantFrom(..."ab.*+?()[]{}|^$\\\"'-_~/:"), maxLength: 30 })
      .filter((glob) => glob.split("*").length <= 4);
    fc.assert(
      fc.property(path, (rest) => {
        const glob = `/${rest}`;
        const parameters = { paths: [glob] };
        const same = { method: "POST", path: glob.replaceAll("*", "x/y") };
        expect(asked("read-only", parameters, same).kind).toBe("deny");
        const another = { method: "POST", path: `/!${rest}` };
        expect(asked("read-only", parameters, another).kind).toBe(glob.startsWith("/*") ? "deny" : "none");
      }),
      { numRuns: 200 },
    );
  });

  test.each([
    ["business-hours", { time_zone: 'UTC") || (true' }],
    ["business-hours", { time_zone: "Mars/Olympus" }],
    ["business-hours", { ...BERLIN, from: "18:00" }],
    ["business-hours", { ...BERLIN, to: "25:00" }],
    ["ip-range", { cidrs: ['10.0.0.0/8") || ip.inRange("0.0.0.0/0'] }],
    ["ip-range", { cidrs: [] }],
    ["amount-limit", { max: "100 || true" }],
    ["amount-limit", { max: -1 }],
    ["amount-limit", {}],
    ["amount-limit", { max: 1, methods: ['POST"] || true'] }],
    ["amount-limit", { max: 1, field: "a..b" }],
    ["one-recipient", { field: "to", recipients: ["\ud800"] }],
    ["model-in-path", { models: ["m"], prefix: "/v1beta/models" }],
  ])("%s refuses %j", (template, parameters) => {
    expect(() => draftOf({ name: "a policy", template, parameters })).toThrow(Problem);
  });
});

describe("a condition that is none", () => {
  function faultOf(condition: string) {
    try {
      checkCondition({ ...draftOf({ name: "a policy", effect: "deny" }), condition });
    } catch (error) {
      if (error instanceof Problem) return error.options.errors?.[0];
    }
    throw new Error("there was nothing wrong with it");
  }

  test("is refused with the place, and a caret below it", () => {
    const fault = faultOf('request.method == "GET" &&\n  request.metod == "GET"');
    expect(fault).toMatchObject({ path: "condition", line: 2 });
    const [message, text, caret] = fault?.message.split("\n") ?? [];
    expect(message).toContain("metod");
    expect(text).toBe('  request.metod == "GET"');
    expect(caret).toBe(`${" ".repeat((fault?.column ?? 0) - 1)}^`);
  });

  test("is shown around the place where it is long", () => {
    const fault = faultOf(`${'request.method == "GET" && '.repeat(40)}nothing`);
    const [, text = "", caret = ""] = fault?.message.split("\n") ?? [];
    expect(text.length).toBeLessThanOrEqual(70);
    expect(text.slice(caret.length - 1)).toBe("nothing");
  });
});
