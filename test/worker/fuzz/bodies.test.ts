import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkJson, checkParameters } from "../../fuzz/targets/bodies.ts";

const runs = { numRuns: 3_000, seed: 20_261_122 };

/** Few names, in many spellings: some of them are the same to somebody. */
const NAMES = [
  "amount",
  "Amount",
  "\\u0061mount",
  "amount\\u0000",
  "__proto__",
  "to",
  "ſ",
  "s",
  "a.b",
  "",
  "toString",
];
const NUMBERS = [
  ...["0", "-0", "1", "1.0", "1e0", "10", "1E1", "0.1", "0.10", "1e-7", "123456789012345678"],
  ...["9007199254740991", "9007199254740992", "9007199254740993", "1e22", "1e400", "1e-400", "-1e15"],
  ...[
    "0.30000000000000004",
    "0.300000000000000044",
    "5e-324",
    "4.9e-324",
    "01",
    "+1",
    "1.",
    ".5",
    "0x1",
    "NaN",
  ],
];
const TEXTS = ['"x"', '"\\ud800"', '"\\ud83d\\ude00"', '"é"', '"a\\u0000b"', '"\\n"', '"\n"', '"\\x"', "'x'"];
const space = fc.constantFrom("", "", "", " ", "\n\t", "\u00a0", "/**/");
const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.oneof(fc.constantFrom(...NUMBERS, ...TEXTS, "true", "null", "undefined"), fc.double().map(String)),
    fc
      .array(fc.tuple(space, fc.constantFrom(...NAMES), space, tie("value")), { maxLength: 4 })
      .map((members) => `{${members.map(([a, name, b, of]) => `${a}"${name}"${b}:${of}`).join(",")}}`),
    fc
      .array(fc.tuple(space, tie("value")), { maxLength: 3 })
      .map((items) => `[${items.map((i) => i.join("")).join()}]`),
  ),
}));
const json = fc
  .tuple(fc.constantFrom("", "", "", "\ufeff", " "), value, fc.constantFrom("", "", "", "x", ",", "{}", "\0"))
  .map((parts) => Buffer.from(parts.join(""), "utf8"));

const piece = fc.constantFrom(
  ...["a", "A", "b", "a", "%61", "%2561", "[", "]", "[]", "[b]", "[0]", "[00]", ".", "%2e", "_", "+", "%20"],
  ...["%00", "%", "%zz", "%c3%a9", "%C3", "é", ";", "?", "1", "&", "=", "%5B%5D", "%26", "%3D", "b", "c"],
);
const name = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "a[b]",
    "a[c]",
    "a[]",
    "b[]",
    "c[0]",
    "c[1]",
    "d[][x]",
    "d[][y]",
    "e.f",
    "A",
    "a_b",
    "e[f]",
  ),
  fc.array(piece, { maxLength: 4 }).map((parts) => parts.join("")),
);
const form = fc
  .array(
    fc.tuple(name, fc.constantFrom("=1", "=2", "=", "", "=a+b%20c", "=%00", "=%u0031", "=1;a=2", "==")),
    { maxLength: 5 },
  )
  .map((pairs) => pairs.map((pair) => pair.join("")).join("&"));

/** How many of the runs are read at all: a reader that refuses everything would have every property. */
function share<T>(what: fc.Arbitrary<T>, check: (input: T) => boolean): number {
  let taken = 0;
  fc.assert(
    fc.property(what, (input) => {
      if (check(input)) taken += 1;
    }),
    runs,
  );
  return taken / runs.numRuns;
}

describe("attacks 29 and 75: what is read one way only is the same to every reader", () => {
  it("of JSON", () => {
    expect(share(json, checkJson)).toBeGreaterThan(0.1);
  });

  it("of JSON that was written by a machine, which is never refused for its form", () => {
    const plain = fc
      .dictionary(
        fc.stringMatching(/^[a-z]{1,8}$/),
        fc.oneof(fc.string({ unit: "grapheme" }), fc.maxSafeInteger(), fc.boolean()),
      )
      .filter((object) => !JSON.stringify(object).includes("\\u0000"));
    expect(
      share(
        plain.map((object) => Buffer.from(JSON.stringify(object))),
        checkJson,
      ),
    ).toBe(1);
  });

  it("of forms and queries", () => {
    expect(share(form, checkParameters)).toBeGreaterThan(0.1);
  });
});
