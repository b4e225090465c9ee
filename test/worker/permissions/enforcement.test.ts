import { beforeAll, describe, expect, test } from "vitest";
import { send } from "../api/door.ts";
import { CALL, form, json, type Office, openOffice, raw, REFUND, WANTED } from "./fixtures.ts";

/**
 * `a permission to refund at most 100 to one customer cannot send another refund, whatever the agent does`: through the
 * Worker's own door, byte for byte as an agent would send it.
 */

const REFUND_FORM = { ...REFUND, name: "payment.refund_form" };
const NESTED = {
  name: "payment.nested",
  calls: {
    connection: "up",
    methods: ["POST"],
    paths: ["/v1/customers/{customer}/refunds", "/v2/{customer}/refunds"],
  },
  constraints: {
    customer: { kind: "equals", field: "path.customer" },
    max_amount: { kind: "max_amount", field: "body.refund.amount" },
    order: { kind: "one_of", field: "body.metadata[order]" },
  },
};
const MAIL = {
  name: "email.send",
  calls: {
    connection: "up",
    methods: ["POST"],
    paths: ["/mail"],
    fields: ["body.to", "body.cc", "body.subject", "body.text"],
  },
  constraints: {
    allowed_recipients: { kind: "one_of", field: "body.to[]", also: ["body.cc[].email"] },
    subject_pattern: { kind: "pattern", field: "body.subject" },
    max_size: { kind: "max_size", cap: 2_000 },
    max_recipients: { kind: "max_items", field: "body.to[]", required: false },
  },
};
const LISTING = {
  name: "list.read",
  calls: { connection: "up", methods: ["GET"], paths: ["/v1/*"] },
  constraints: {
    max_limit: { kind: "max_amount", field: "query.limit" },
    only: { kind: "one_of", field: "header.x-account" },
  },
};

const LISTED = {
  name: "listed.fields",
  calls: { connection: "up", methods: ["POST"], paths: ["/listed"], fields: ["query.dry", "body.id"] },
};
const SOCKET = {
  name: "socket.open",
  calls: { connection: "sockets", methods: ["GET"], paths: ["/v1/live"] },
};

let at: Office;
beforeAll(async () => {
  at = await openOffice([REFUND, REFUND_FORM, NESTED, MAIL, LISTING, LISTED, SOCKET]);
  await at.connect("other");
  await at.connect("sockets", { websockets: true });
});

let unique = 0;
const granted = (wanted: object = WANTED) =>
  at.granted({ ...wanted, context: { reason: `test ${unique++}` } });

/** The codes of calls that each have the permission to themselves, or of one permission where a token is given. */
async function code(token: string, init: RequestInit, path = "up/v1/refunds"): Promise<string | null> {
  return (await at.make(token, path, init)).code;
}

describe("a permission to refund at most 100 of one charge to one customer", () => {
  let token: string;
  beforeAll(async () => {
    ({ token } = await granted());
  });

  const others: [what: string, init: RequestInit, path?: string][] = [
    ["of more", json({ ...CALL, amount: 101 })],
    ["of more by a fraction", json({ ...CALL, amount: 100.01 })],
    ["of less than nothing", json({ ...CALL, amount: -5 })],
    ["of less than nothing, as -0", raw('{"charge":"ch_1","customer":"cus_1","amount":-1e-400}')],
    ["of an amount in quotes", json({ ...CALL, amount: "100" })],
    ["of a decimal in quotes", json({ ...CALL, amount: "100.00" })],
    ["of an exponent in quotes", json({ ...CALL, amount: "1e2" })],
    // Who reads digits as far as they go finds 1 or 10,000.
    ["of an exponent", raw('{"charge":"ch_1","customer":"cus_1","amount":1e2}')],
    ["of an exponent that counts down", raw('{"charge":"ch_1","customer":"cus_1","amount":10000E-2}')],
    ["of a plus sign", raw('{"charge":"ch_1","customer":"cus_1","amount":+100}')],
    ["of leading zeros", raw('{"charge":"ch_1","customer":"cus_1","amount":0100}')],
    ["of a point without a fraction", raw('{"charge":"ch_1","customer":"cus_1","amount":100.}')],
    ["of hexadecimal digits", raw('{"charge":"ch_1","customer":"cus_1","amount":0x64}')],
    ["of no number", raw('{"charge":"ch_1","customer":"cus_1","amount":NaN}')],
    ["of an amount that is a list", json({ ...CALL, amount: [1, 10_000] })],
    ["of an amount in an object", json({ ...CALL, amount: { value: 100 } })],
    ["of no amount, which is all of it", json({ charge: "ch_1", customer: "cus_1" })],
    ["of null, which is all of it", json({ ...CALL, amount: null })],
    ["of true", json({ ...CALL, amount: true })],
    ["of a huge amount", raw('{"charge":"ch_1","customer":"cus_1","amount":1e309}')],
    [
      "of an amount beyond what numbers keep",
      raw('{"charge":"ch_1","customer":"cus_1","amount":100.00000000000000001}'),
    ],
    ["of an amount with seven decimals", raw('{"charge":"ch_1","customer":"cus_1","amount":0.0000001}')],
    ["with the amount twice", raw('{"charge":"ch_1","customer":"cus_1","amount":100,"amount":10000}')],
    [
      "with the amount twice, one escaped",
      raw('{"charge":"ch_1","customer":"cus_1","amount":100,"am\\u006funt":10000}'),
    ],
    [
      "with the amount twice, one in capitals",
      raw('{"charge":"ch_1","customer":"cus_1","amount":100,"Amount":10000}'),
    ],
    [
      "with the amount twice, one with a space",
      raw('{"charge":"ch_1","customer":"cus_1","amount":100,"amount ":10000}'),
    ],
    [
      "with the amount nested as well",
      raw('{"charge":"ch_1","customer":"cus_1","amount":100,"amount[value]":10000}'),
    ],
    ["with the amount in the query as well", json(CALL), "up/v1/refunds?amount=10000"],
    ["with the amount in the query as a list", json(CALL), "up/v1/refunds?amount[]=10000"],
    ["with the customer in the query as well", json(CALL), "up/v1/refunds?customer=cus_2"],
    ["to another customer", json({ ...CALL, customer: "cus_2" })],
    ["to another customer as well", json({ ...CALL, customer: ["cus_1", "cus_2"] })],
    ["to a customer written otherwise", json({ ...CALL, customer: "CUS_1" })],
    ["to a customer with a space", json({ ...CALL, customer: "cus_1 " })],
    ["of another charge", json({ ...CALL, charge: "ch_2" })],
    ["of no charge", json({ customer: "cus_1", amount: 100 })],
    ["of several at once", json([CALL, CALL])],
    ["wrapped", json({ refund: CALL })],
    ["in no JSON", raw("charge=ch_1", "application/json")],
    ["in a body that says it is text", raw(JSON.stringify(CALL), "text/plain")],
    ["in a body that says nothing", { method: "POST", body: new TextEncoder().encode(JSON.stringify(CALL)) }],
    ["in another charset", raw(JSON.stringify(CALL), "application/json; charset=utf-16")],
    ["in two types", raw(JSON.stringify(CALL), "application/json, application/x-www-form-urlencoded")],
    [
      "in parts",
      raw(
        '--b\r\nContent-Disposition: form-data; name="amount"\r\n\r\n100\r\n--b--',
        "multipart/form-data; boundary=b",
      ),
    ],
    ["with no body", { method: "POST" }],
    ["by another path", json(CALL), "up/v1/refunds/more"],
    ["by a path with a slash after it", json(CALL), "up/v1/refunds/"],
    ["by another path in capitals", json(CALL), "up/v1/REFUNDS"],
    ["by a path that leads back", json(CALL), "up/v1/refunds%2f..%2fcharges"],
    ["through another connection", json(CALL), "other/v1/refunds"],
    ["by another method", { ...json(CALL), method: "PUT" }],
    [
      "by another method, named in a header",
      { ...json(CALL), headers: { "content-type": "application/json", "x-http-method-override": "DELETE" } },
    ],
    ["by another method, named in the body", json({ ...CALL, _method: "DELETE" })],
    ["by another method, named in the query", json(CALL), "up/v1/refunds?_method=DELETE"],
    ["by reading", { method: "GET" }],
    ["over a WebSocket", { method: "GET", headers: { upgrade: "websocket" } }],
  ];

  test.each(others)("attack 75: sends no refund %s, and costs no use", async (_, init, path) => {
    const { code: refusal, arrived, status } = await at.make(token, path ?? "up/v1/refunds", init);
    expect(arrived).toBeNull();
    expect(status).toBeLessThan(500);
    expect([
      "PERMISSION_DENIED",
      "BODY_AMBIGUOUS",
      "SCOPE_DENIED",
      "PATH_REFUSED",
      "HEADER_REFUSED",
      "VALIDATION_ERROR",
    ]).toContain(refusal);
  });

  test("sends that refund after all of these, byte for byte, and no second one", async () => {
    const body = '{ "charge":"ch_1",\n "amount": 100.0, "customer": "cus_1", "reason": "duplicate" }';
    const first = await at.make(token, "up/v1/refunds", raw(body));
    expect(first.arrived?.body).toBe(body);
    expect(await code(token, raw(body))).toBe("USES_EXHAUSTED");
    expect(await code(token, json(CALL))).toBe("USES_EXHAUSTED");
  });

  test("says which constraint is not met, and never what was sent", async () => {
    const { token } = await granted();
    const refused = await at.refund(token, { ...CALL, amount: 4_711 });
    expect(refused.code).toBe("PERMISSION_DENIED");
    expect(refused.detail + refused.why).toContain("max_amount");
    expect(refused.detail + refused.why).not.toContain("4711");
  });

  test("attack 63: of two at the same time sends one", async () => {
    const { token } = await granted();
    const codes = await Promise.all(Array.from({ length: 20 }, () => code(token, json(CALL))));
    expect(codes.filter((each) => each === null)).toHaveLength(1);
    expect(codes.filter((each) => each !== null)).toEqual(Array(19).fill("USES_EXHAUSTED"));
  });
});

describe("a permission whose call is a form", () => {
  const wanted = { ...WANTED, action: "payment.refund_form" };
  let token: string;
  beforeAll(async () => {
    ({ token } = await granted(wanted));
  });

  test.each([
    "charge=ch_1&customer=cus_1&amount=101",
    "charge=ch_1&customer=cus_1&amount=1e2",
    "charge=ch_1&customer=cus_1&amount=0x64",
    "charge=ch_1&customer=cus_1&amount=+100",
    "charge=ch_1&customer=cus_1&amount=%20100",
    "charge=ch_1&customer=cus_1&amount=-100",
    "charge=ch_1&customer=cus_1&amount=0100",
    "charge=ch_1&customer=cus_1&amount=1,00",
    "charge=ch_1&customer=cus_1&amount=100.",
    "charge=ch_1&customer=cus_1&amount=.5",
    "charge=ch_1&customer=cus_1&amount=NaN",
    "charge=ch_1&customer=cus_1&amount=Infinity",
    "charge=ch_1&customer=cus_1&amount=99999999999999999999",
    "charge=ch_1&customer=cus_1&amount=",
    "charge=ch_1&customer=cus_1&amount",
    "charge=ch_1&customer=cus_1",
    "charge=ch_1&customer=cus_1&amount=100&amount=10000",
    "charge=ch_1&customer=cus_1&amount=10000&amount=100",
    "charge=ch_1&customer=cus_1&amount[]=100",
    "charge=ch_1&customer=cus_1&amount=100&amount[]=10000",
    "charge=ch_1&customer=cus_1&amount=100&amount[value]=10000",
    "charge=ch_1&customer=cus_1&amount=100&Amount=10000",
    "charge=ch_1&customer=cus_1&amount=100&+amount=10000",
    "charge=ch_1&customer=cus_1&amount=100&amount%00=10000",
    "charge=ch_1&customer=cus_1&amount=100&%61mount=10000",
    "charge=ch_1&customer=cus_1&amount=100;amount=10000",
    "charge=ch_1&customer=cus_1&amount=100&x=1;amount=10000",
    "charge=ch_1&customer=cus_2&amount=100",
    "charge=ch_1&customer[]=cus_1&amount=100",
    "charge[]=ch_1&customer=cus_1&amount=100",
    "charge=ch_1&customer=cus_1%00&amount=100",
    "charge=ch_1&customer=cus_1&amount=100&_method=DELETE",
    "?charge=ch_1&customer=cus_1&amount=100",
    '{"charge":"ch_1","customer":"cus_1","amount":100}',
  ])("attack 29: sends nothing for %s", async (body) => {
    expect((await at.make(token, "up/v1/refunds", form(body))).arrived).toBeNull();
  });

  test("takes a decimal as forms write it, and names that it does not bind", async () => {
    const body = "charge=ch_1&customer=cus_1&amount=100.00&metadata%5Border%5D=6735&expand%5B%5D=charge";
    expect((await at.make(token, "up/v1/refunds", form(body))).arrived?.body).toBe(body);
  });
});

describe("constraints that are bound to nested fields and to the path", () => {
  const wanted = {
    action: "payment.nested",
    scope: { customer: "cus_1", max_amount: 12.5, order: ["6735"] },
  };
  const good = { refund: { amount: 12.5 }, metadata: { order: "6735" } };
  const path = "up/v1/customers/cus_1/refunds";
  let token: string;
  beforeAll(async () => {
    ({ token } = await granted(wanted));
  });

  const others: [init: RequestInit, path?: string][] = [
    [json({ ...good, refund: { amount: 12.51 } })],
    [json({ ...good, refund: [{ amount: 12.5 }] })],
    [json({ ...good, refund: { amount: 12.5, AMOUNT: 100 } })],
    [json({ ...good, refund: { amount: 12.5, "a-mount": 100 } })],
    [json({ ...good, "refund.amount": 100 })],
    [json({ ...good, metadata: { order: "6736" } })],
    [json({ ...good, metadata: { order: ["6735"] } })],
    [json({ ...good, "metadata[order]": "6736" })],
    [json({ metadata: { order: "6735" } })],
    [form("refund[amount]=12.51&metadata[order]=6735")],
    [form("refund[amount]=12.5&metadata[order]=6735&metadata=x")],
    [form("refund[amount]=12.5&metadata[order]=6735&metadata[order][]=6736")],
    [form("refund[amount]=12.5&refund.amount=100&metadata[order]=6735")],
    [json(good), "up/v1/customers/cus_2/refunds"],
    [json(good), "up/v1/customers/cus_1/x/refunds"],
    [json(good), "up/v1/customers//refunds"],
    [json(good), "up/v1/customers/cus_1%2f/refunds"],
    [json(good), "up/v1/customers/CUS_1/refunds"],
    [json(good), "up/v3/cus_1/refunds"],
  ];

  test.each(others)("attack 75: refuse %j on %s", async (init, at_) => {
    expect((await at.make(token, at_ ?? path, init)).arrived).toBeNull();
  });

  test.each([
    [json(good), path],
    [json({ ...good, metadata: { order: 6735, other: "x" } }), "up/v2/cus_1/refunds"],
    [form("refund[amount]=12.50&metadata[order]=6735&metadata[other]=1"), path],
  ])("let what they permit pass", async (init, at_) => {
    const { token } = await granted(wanted);
    expect((await at.make(token, at_, init)).code).toBeNull();
  });
});

describe("a permission to send mail", () => {
  const wanted = {
    action: "email.send",
    scope: {
      allowed_recipients: ["a@example.com", "b@example.com"],
      subject_pattern: String.raw`^Invoice #\d+$`,
      max_recipients: 2,
    },
  };
  const good = { to: "a@example.com", subject: "Invoice #12", text: "hello" };
  let token: string;
  beforeAll(async () => {
    ({ token } = await granted(wanted));
  });

  test.each([
    ["another recipient", { ...good, to: "c@example.com" }],
    ["another recipient among others", { ...good, to: ["a@example.com", "c@example.com"] }],
    ["a recipient hidden in a list", { ...good, to: "a@example.com,c@example.com" }],
    ["a recipient in an object", { ...good, to: { email: "a@example.com" } }],
    ["too many", { ...good, to: ["a@example.com", "b@example.com", "a@example.com"] }],
    ["nobody", { ...good, to: [] }],
    ["another recipient in cc", { ...good, cc: [{ email: "c@example.com" }] }],
    ["a copy to somebody without the name for it", { ...good, cc: ["c@example.com"] }],
    ["a blind copy, which is not listed", { ...good, bcc: "a@example.com" }],
    ["another subject", { ...good, subject: "Invoice #12 and more" }],
    ["another subject on a second line", { ...good, subject: "Invoice #12\nBcc: c@example.com" }],
    ["another subject before it", { ...good, subject: "Re: Invoice #12" }],
    ["no subject", { to: "a@example.com", text: "hello" }],
    ["a subject that is a number", { ...good, subject: 12 }],
    ["too much", { ...good, text: "x".repeat(2_000) }],
  ])("attack 75: sends none with %s", async (_, body) => {
    expect(await code(token, json(body), "up/mail")).toBe("PERMISSION_DENIED");
  });

  test.each([
    good,
    { ...good, to: ["b@example.com", "a@example.com"] },
    { ...good, cc: [{ email: "b@example.com" }] },
    { ...good, cc: null },
  ])("sends %j", async (body) => {
    const { token } = await granted(wanted);
    expect(await code(token, json(body), "up/mail")).toBeNull();
  });

  test("attack 88: an expression that takes others forever is refused or answered at once", async () => {
    const { token } = await granted({ ...wanted, scope: { ...wanted.scope, subject_pattern: "^(a+)+$" } });
    const subject = `${"a".repeat(1_500)}!`;
    expect(await code(token, json({ ...good, subject }), "up/mail")).toBe("PERMISSION_DENIED");
  });
});

describe("fields that are listed", () => {
  test.each([
    ["a list of what has others", [{ id: 1, all: true }]],
    ["a list in a list", [[{ all: true }]]],
    ["a text", "all"],
  ])("attack 75: are all that there are: not %s", async (_, body) => {
    const { token } = await granted({ action: "listed.fields" });
    expect(await code(token, json({ id: 1, all: true }), "up/listed")).toBe("PERMISSION_DENIED");
    expect(await code(token, json(body), "up/listed")).toBe("PERMISSION_DENIED");
    expect(await code(token, json({ id: 1 }), "up/listed?dry=1")).toBeNull();
  });
});

describe("constraints that are bound to the query and to headers", () => {
  const wanted = { action: "list.read", scope: { max_limit: 10, only: ["acct_1"] }, max_uses: 1 };
  let token: string;
  beforeAll(async () => {
    ({ token } = await granted(wanted));
  });
  const headers = { "x-account": "acct_1" };

  const others: [path: string, headers: Record<string, string>][] = [
    ["up/v1/x?limit=11", headers],
    ["up/v1/x", headers],
    ["up/v1/x?limit=5&limit=50", headers],
    ["up/v1/x?limit=5&limit[]=50", headers],
    ["up/v1/x?limit=5&LIMIT=50", headers],
    ["up/v1/x?limit=5%00", headers],
    ["up/v1/x?limit=5", {}],
    ["up/v1/x?limit=5", { "x-account": "acct_2" }],
    ["up/v1/x?limit=5", { "x-account": "acct_1, acct_2" }],
    ["up/v1/x?limit=5", { "x-account": "acct_1", x_account: "acct_2" }],
  ];

  test.each(others)("attack 29: refuse %s %j", async (path, sent) => {
    expect((await at.make(token, path, { headers: sent })).arrived).toBeNull();
  });

  test("let what they permit pass", async () => {
    expect(await at.make(token, "up/v1/x?limit=5&starting_after=x", { headers })).toMatchObject({
      code: null,
    });
  });

  test("attack 75: are not met by a WebSocket, in which anything is sent", async () => {
    const { token } = await granted({ action: "socket.open" });
    const init = { headers: { upgrade: "websocket", connection: "upgrade" } };
    expect(await code(token, init, "sockets/v1/live")).toBe("PERMISSION_DENIED");
    expect(await code(token, {}, "sockets/v1/live")).toBeNull();
  });
});

describe("a child of a permission's token", () => {
  test("is bound to the permission, and its use is the permission's", async () => {
    const { token } = await granted();
    const made = await send("POST", "/v1/tokens/child", {
      credential: token,
      body: { scopes: ["connections:call:up"] },
    });
    expect(made.status).toBe(201);
    const child = made.body.token as string;
    expect(await code(child, json({ ...CALL, amount: 101 }))).toBe("PERMISSION_DENIED");
    expect(await code(child, json(CALL), "other/v1/refunds")).toBe("SCOPE_DENIED");
    expect(await code(child, json(CALL))).toBeNull();
    expect(await code(token, json(CALL))).toBe("USES_EXHAUSTED");
    expect(await code(child, json(CALL))).toBe("USES_EXHAUSTED");
  });
});
