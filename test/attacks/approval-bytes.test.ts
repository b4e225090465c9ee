import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makePolicies } from "./policies.ts";
import { codeOf, type Lab, openLab } from "./support.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({ paid: {}, asked: {}, closed: { default: "deny" }, free: {} }));
  await makePolicies(lab, {
    // Whatever can be read otherwise than as a small amount does not go out.
    paid: { effect: "deny", condition: "!(request.body.amount <= 100.0)" },
    asked: { effect: "require_approval", condition: 'request.path == "/ask"' },
    closed: { effect: "allow", condition: 'request.body["amount"] == "10"' },
  });
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
});

const JSON_TYPE = "Content-Type: application/json";
const FORM_TYPE = "Content-Type: application/x-www-form-urlencoded";

/** A body in chunks of so many bytes, with what else a chunk may say. */
function chunked(body: string, size: number, extension = ""): string {
  const bytes = Buffer.from(body).toString("latin1");
  const chunks = bytes.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
  return `${chunks.map((chunk) => `${chunk.length.toString(16)}${extension}\r\n${chunk}\r\n`).join("")}0\r\n\r\n`;
}

async function post(target: string, headers: readonly string[], body: string) {
  return lab.send(target, { method: "POST", headers, body });
}

/** Written as no library would write it; every reader finds 10 in it. */
const ODD = [
  '{"amount":10}',
  '\t\r\n {  "z" : 1e1 ,\n"\\u0061\\u006Dount":1.0E+1,"a":{"amount":1000},"\\u00e9":"\\/"}  \n\n',
  `{"amount":10,"pad":"${" ".repeat(70_000)}"}`,
  '{"__proto__":{"amount":1000},"amount":10,"toString":null}',
  '{"amount":10,"text":"é – 😀 \\ud83d\\ude00"}',
];

describe("attack 75: the bytes that were decided on are the bytes that are sent", () => {
  test.each(ODD)("attack 75: odd body %# arrives as it came, however it comes", async (body) => {
    const bytes = Buffer.from(body);
    const raw = bytes.toString("latin1");
    const ways: readonly (readonly [string[], string])[] = [
      [[JSON_TYPE, `Content-Length: ${bytes.length}`], raw],
      [[JSON_TYPE, "Transfer-Encoding: chunked"], chunked(body, 1_000)],
      [[JSON_TYPE, "Transfer-Encoding: chunked"], chunked(body, Math.ceil(body.length / 5), ";amount=1000")],
    ];
    for (const [headers, sent] of ways) {
      const answer = await lab.send("/proxy/paid/refunds", { method: "POST", headers, body: sent });
      expect(answer.status, answer.text).toBe(200);
      const received = lab.upstream.last();
      expect(received.body.equals(bytes)).toBe(true);
      expect(received.header("content-length")).toEqual([String(bytes.length)]);
      expect(received.header("transfer-encoding")).toEqual([]);
    }
    expect(lab.upstream.requests.length).toBe(ways.length);
  });

  test("attack 75: forms as well", async () => {
    const body = "%61mount=1%30&metadata%5border%5D=a%20b+c&&note=%E2%82%AC&expand[]=x&expand%5B%5D=y&empty";
    const answer = await post("/proxy/closed/x", [FORM_TYPE], body);
    expect(answer.status, answer.text).toBe(200);
    expect(lab.upstream.last().body.toString()).toBe(body);
  });

  test.each([
    '{"amount":10,"amount":1000}',
    '{"amount":1000,"amount":10}',
    '{"amount":10,"\\u0061mount":1000}',
    '{"amount":10,"AMOUNT":1000}',
    '{"amount":10}\n{"amount":1000}',
    '{"amount":10,"x":1e999}',
    '{"amount":9.99999999999999999999}',
    '\u00ef\u00bb\u00bf{"amount":10}',
    '{"amount":10,"x":"\\udc00"}',
    "{'amount':10}",
    '{"amount":10,"a":"\u00ff"}',
  ])("attack 75: what others could read as another amount goes nowhere: %j", async (body) => {
    for (const [headers, sent] of [
      [[JSON_TYPE, `Content-Length: ${body.length}`], body],
      [
        [JSON_TYPE, "Transfer-Encoding: chunked"],
        [...body].map((byte) => `1\r\n${byte}\r\n`).join("") + "0\r\n\r\n",
      ],
    ] as const) {
      const answer = await post("/proxy/paid/refunds", headers, sent);
      expect([answer.status, codeOf(answer)]).toEqual([400, "BODY_AMBIGUOUS"]);
    }
    expect(lab.upstream.requests).toEqual([]);
    // Elsewhere nobody looks into it, and it arrives as it came.
    expect(
      (await post("/proxy/free/refunds", [JSON_TYPE, `Content-Length: ${body.length}`], body)).status,
    ).toBe(200);
    expect(lab.upstream.last().body.toString("latin1")).toBe(body);
  });

  test.each([
    [["Content-Type: application/json", "Content-Type: text/plain"], "BODY_AMBIGUOUS"],
    [["Content-Type: text/plain", "Content-Type: application/json"], "BODY_AMBIGUOUS"],
    [["Content-Type: application/json", "Content_Type: text/plain"], "BODY_AMBIGUOUS"],
    [["Content-Type: application/json", "Content-Encoding: gzip"], "VALIDATION_ERROR"],
    [["Content-Type: application/json; charset=utf-16"], "VALIDATION_ERROR"],
    [["Content-Type: application/json; charset=utf-8; charset=utf-7"], "VALIDATION_ERROR"],
    [["Content-Type: text/json"], "POLICY_DENIED"],
    [["Content-Type: multipart/form-data; boundary=x"], "POLICY_DENIED"],
    [[], "POLICY_DENIED"],
  ])("attack 75: a body that says %j of itself is not guessed at", async (headers, code) => {
    const answer = await post("/proxy/paid/refunds", headers, '{"amount":10}');
    expect(codeOf(answer)).toBe(code);
    expect(lab.upstream.requests).toEqual([]);
  });

  test("attack 75: a body that is cut short, or does not end, is not decided on in part", async () => {
    const cut = await lab
      .send("/proxy/paid/refunds", {
        method: "POST",
        headers: [JSON_TYPE, "Content-Length: 40"],
        body: '{"amount":10}',
        timeoutMs: 2_000,
      })
      .catch(() => ({ status: 0 }));
    expect([0, 400, 408]).toContain(cut.status);
    const large = `{"amount":10,"a":"${"x".repeat(1_100_000)}"}`;
    for (const [headers, body] of [
      [[JSON_TYPE], large],
      [[JSON_TYPE, "Transfer-Encoding: chunked"], chunked(large, 65_536)],
    ] as const) {
      const answer = await post("/proxy/paid/refunds", headers, body);
      expect([answer.status, codeOf(answer)]).toEqual([413, "BODY_TOO_LARGE"]);
    }
    expect(lab.upstream.requests).toEqual([]);
  });

  test("attack 75: people are asked about what can be read in one way only", async () => {
    expect(codeOf(await post("/proxy/asked/ask", [JSON_TYPE], '{"to":"a"}'))).toBe("APPROVAL_REQUIRED");
    expect(codeOf(await post("/proxy/asked/ask", [JSON_TYPE], '{"to":"a","to":"b"}'))).toBe("BODY_AMBIGUOUS");
    expect(codeOf(await post("/proxy/asked/ask?to=a&to=b", [JSON_TYPE], "{}"))).toBe("BODY_AMBIGUOUS");
    expect(lab.upstream.requests).toEqual([]);
  });
});
