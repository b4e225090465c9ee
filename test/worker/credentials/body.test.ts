import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCredential } from "../../../src/credentials/kinds.ts";
import { bodyText, CANARY, outgoing, problemOf, secretsOf } from "./outgoing.ts";

const { kind, options } = parseCredential({ kind: "body", field: "api_key" });
const MEMBER = `"api_key":"${CANARY}"`;

function attach(type: string, body: string, secret: string = CANARY): string {
  const request = outgoing({ headers: { "content-type": type, "content-length": "1" }, body });
  kind.strip(request, options);
  kind.inject(request, options, secretsOf({ secret }));
  expect(request.headers.has("content-length")).toBe(false);
  return bodyText(request);
}

const json = (text: string, secret?: string) => attach("application/json", text, secret);
const form = (text: string, secret?: string) => attach("application/x-www-form-urlencoded", text, secret);

describe("JSON body", () => {
  test("the field stands in front and nothing else changes, numbers and white space included", () => {
    expect(json("{}")).toBe(`{${MEMBER}}`);
    expect(json(' {\n  "a" : 1.0e2, "b":12345678901234567890 }\n')).toBe(
      ` {${MEMBER},\n  "a" : 1.0e2, "b":12345678901234567890 }\n`,
    );
    expect(attach("application/vnd.api+json; charset=UTF-8", '{"a":1}')).toBe(`{${MEMBER},"a":1}`);
  });

  test.each([
    '{"api_key":"evil","a":1}',
    '{"a":1,"api_key":"evil"}',
    '{"api_key":1,"a":1,"api_key":{"x":[1,2,"}"]}}',
    '{"\\u0061pi_key":"evil","a":1}',
    '{"api\\u005fkey":"evil","a":1}',
    '{"API_KEY":"evil","a":1}',
    '{"api_\u212aey":"evil","a":1}',
    '{"api_key" : "\\"},{\\\\","a":1}',
  ])("attack 29: the client's own field in %s never arrives", (text) => {
    expect(json(text)).toBe(`{${MEMBER},"a":1}`);
  });

  test("attack 29: letters that only fold to ASCII are the same name, as they are in Go", () => {
    const session = parseCredential({ kind: "body", field: "session" });
    const request = outgoing({
      headers: { "content-type": "application/json" },
      body: '{"\u017fession":1,"Se\u017f\u017fion":2}',
    });
    session.kind.strip(request, session.options);
    expect(bodyText(request)).toBe("{}");
  });

  test.each([
    '{"a":{"api_key":1}}',
    '{"a":"\\"api_key\\":1"}',
    '{"a":["api_key",{"api_key":2}]}',
    '{"api_key2":1}',
  ])("%s is none of the credential's business", (text) => {
    expect(json(text)).toBe(`{${MEMBER},${text.slice(1)}`);
  });

  test("attack 29: whatever is mixed with whatever, exactly the attempts go and the rest stays byte for byte", () => {
    const space = fc.constantFrom("", " ", "\n", "\t \r\n");
    const value = fc.oneof(
      fc.jsonValue().map((any) => JSON.stringify(any)),
      fc.constantFrom("1.50", "1E400", '"\\u0041"', '{"api_key" : 1,"api_key":2}', '"},{"', "[[],{}]"),
    );
    const name = fc.constantFrom(
      "api_key",
      "API_KEY",
      "\\u0061pi_key",
      "api_ke\\u0079",
      "\\u0041pi\\u005FKey",
    );
    const member = (key: fc.Arbitrary<string>, keep: boolean) =>
      fc
        .tuple(space, key, space, space, value, space)
        .map(([a, k, b, c, v, d]) => ({ keep, text: `${a}"${k}"${b}:${c}${v}${d}` }));
    const benign = fc.string({ unit: "grapheme" }).map((text) => JSON.stringify(`x${text}`).slice(1, -1));
    const members = fc.array(fc.oneof(member(benign, true), member(name, false)), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(members, (all) => {
        const kept = all.filter(({ keep }) => keep).map(({ text }) => text);
        expect(json(`{${all.map(({ text }) => text).join(",")}}`)).toBe(`{${[MEMBER, ...kept].join(",")}}`);
      }),
      { numRuns: 300, seed: 29 },
    );
  });

  test("attack 33: a secret cannot leave its string, whatever it holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1 }), (secret) => {
        expect(JSON.parse(json('{"a":1}', secret))).toEqual({ a: 1, api_key: secret });
      }),
      { numRuns: 200, seed: 33 },
    );
  });

  test("attack 89: a hundred thousand levels are read without a stack", () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    expect(json(`{"a":${deep}}`)).toBe(`{${MEMBER},"a":${deep}}`);
  });
});

describe("form body", () => {
  test("the field stands behind the client's own", () => {
    expect(form("")).toBe(`api_key=${CANARY}`);
    expect(form("a=1&b=%20+")).toBe(`a=1&b=%20+&api_key=${CANARY}`);
  });

  test.each([
    "api_key=evil",
    "api%5Fkey=evil",
    "API_KEY=evil&api_key",
    "api.key=evil",
    "api+key=evil",
    "api_key[]=evil",
  ])("attack 29: the client's own %s never arrives", (text) => {
    expect(form(`${text}&a=1&${text}`)).toBe(`a=1&api_key=${CANARY}`);
  });

  test("bytes that are not UTF-8 arrive as they were sent", () => {
    const request = outgoing({ headers: { "content-type": "application/x-www-form-urlencoded" } });
    request.body = new Uint8Array([0x61, 0x3d, 0xff, 0x80, 0x26, 0xc3]);
    kind.strip(request, options);
    kind.inject(request, options, secretsOf({ secret: CANARY }));
    expect([...(request.body ?? [])].slice(0, 6)).toEqual([0x61, 0x3d, 0xff, 0x80, 0x26, 0xc3]);
  });
});

describe("other bodies", () => {
  test.each([
    ["application/json", "[1]"],
    ["application/json", '"text"'],
    ["application/json", '{"a":1'],
    ["application/json", "{'api_key':1}"],
    ["application/json", '{"a":1,}'],
    ["application/json", '/**/{"a":1}'],
    ["application/json", '\ufeff{"a":1}'],
    ["application/json", ""],
    ["application/json; charset=utf-16", "{}"],
    ["application/json, text/plain", "{}"],
    ["text/plain", "{}"],
    ["multipart/form-data; boundary=x", "--x--"],
    ["", "{}"],
  ])("%j with %j is refused", (type, text) => {
    expect(problemOf(() => attach(type, text)).code).toBe("VALIDATION_ERROR");
  });

  test("a compressed body, a missing one and one that is not UTF-8 are refused", () => {
    const compressed = outgoing({
      headers: { "content-type": "application/json", "content-encoding": "gzip" },
      body: "{}",
    });
    const missing = outgoing({ headers: { "content-type": "application/json" } });
    const broken = outgoing({ headers: { "content-type": "application/json" } });
    broken.body = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
    for (const request of [compressed, missing, broken]) {
      kind.strip(request, options);
      expect(problemOf(() => kind.inject(request, options, secretsOf({ secret: CANARY }))).code).toBe(
        "VALIDATION_ERROR",
      );
    }
  });
});
